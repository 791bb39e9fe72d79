"""Data sets of OpenML, as scikit-learn fetches them."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path
from typing import Any

import pandas as pd

from harness.data.file_table import FileTable, map_values
from harness.errors import InputError


def read_openml(name: str) -> tuple[FileTable, str]:
    """A data set of OpenML with its own target, and where it came from."""
    try:
        with warnings.catch_warnings():  # of attempts that are repeated; what they come to is said
            warnings.filterwarnings("ignore", "Invalid cache|A network error occurred")
            bunch = _openml_bunch(name)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"dataset: 'openml:{name}' could not be fetched ({reason}); "
            "allowed: a name that OpenML knows, with a network connection or already in the cache"
        ) from None
    targets = list(bunch.target_names)
    table = FileTable(
        bunch.frame, header=True, target=str(targets[0]) if len(targets) == 1 else None
    )
    return table, f"OpenML {name}, version {bunch.details['version']}"


def _openml_bunch(name: str) -> Any:
    """What scikit-learn makes of a data set of OpenML; what OpenML calls nominal is a category by its text.

    scikit-learn leaves that to pandas, which from its version 3 on takes categories such as 0 to 9 for
    numbers, whereupon scikit-learn fails. So columns are read as text here where OpenML says nominal.
    """
    from sklearn.datasets import fetch_openml, get_data_home
    from sklearn.datasets._openml import _get_data_features

    def fetch(**how: Any) -> Any:
        return fetch_openml(
            name, version="active", as_frame=True, parser="pandas", read_csv_kwargs=how
        )

    data_id = fetch(nrows=1, dtype={}).details["id"]
    features = _get_data_features(int(data_id), str(Path(get_data_home()) / "openml"))
    nominal = {f["name"]: int(f["index"]) for f in features if f["data_type"] == "nominal"}
    bunch = fetch(dtype=dict.fromkeys(nominal.values(), "str"))
    for column in bunch.frame.columns.intersection(nominal):
        text = map_values(bunch.frame[column], lambda value: value.strip("'"))
        bunch.frame[column] = pd.Categorical(text)
    return bunch
