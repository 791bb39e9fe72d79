"""Data given in memory: a table that is part of the experiment, named by its content.

It goes where the experiment goes, into worker processes and, as ``data.parquet``, into the run folder.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from harness.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

MEMORY = "memory:"  # what names of such data begin with
DATA_FILE = "data.parquet"  # in the run folder


class MemoryData(str):
    """The name of data given in memory, ``memory:`` and a hash of it, with the table as ``frame``."""

    frame: pd.DataFrame

    @classmethod
    def of(cls, frame: pd.DataFrame) -> MemoryData:
        """The name of a table; two tables have the same one if they hold the same."""
        import pandas as pd
        import pyarrow as pa

        frame = frame.set_axis([str(column) for column in frame.columns], axis=1)
        for column in frame.columns[frame.columns.duplicated()]:
            raise InputError(
                f"dataset: two columns are called {column!r}; allowed: names that differ"
            )
        for column in frame.columns:
            if frame[column].dtype.kind == "c":
                raise InputError(f"dataset: column {column!r} is complex; allowed: real numbers")
        try:  # as it comes back from the run folder
            kept = pa.Table.from_pandas(frame, preserve_index=False).to_pandas()
        except (pa.ArrowException, TypeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"dataset: the table cannot be kept as Parquet ({reason}); allowed: columns of one kind each"
            ) from None
        digest = hashlib.sha256(repr(list(kept.columns)).encode())
        digest.update(pd.util.hash_pandas_object(kept, index=False).to_numpy().tobytes())
        name = cls(f"{MEMORY}{digest.hexdigest()[:12]}")
        name.frame = kept
        return name


def dataset_name(value: Any) -> str:
    """What an experiment keeps of the data it is given: a name, a path as text, or a table in memory."""
    if isinstance(value, MemoryData):
        return value
    if isinstance(value, str | os.PathLike):
        return os.fspath(value) if not isinstance(value, str) else value
    if hasattr(value, "columns") and hasattr(value, "to_parquet"):
        return MemoryData.of(value)
    raise InputError(
        f"found {type(value).__name__}; allowed: a name, a path, a DataFrame with target, or (X, y)"
    )


def with_target(x: Any, y: Any) -> tuple[pd.DataFrame, str]:
    """A table of features and target, and the target's column; images become a column a pixel."""
    import numpy as np
    import pandas as pd

    if hasattr(x, "toarray"):
        x = x.toarray()
    if not isinstance(x, pd.DataFrame):
        array = np.asarray(x)
        flat = array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1)
        x = pd.DataFrame(flat, columns=[f"x{i + 1}" for i in range(flat.shape[1])])
    values = y.to_numpy() if isinstance(y, pd.Series | pd.DataFrame) else np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or len(values) != len(x):
        raise InputError(
            f"dataset: X has {len(x)} samples and y the shape {values.shape}; allowed: one class or value "
            "for each sample"
        )
    name = str(getattr(y, "name", None) or "target")
    taken = set(map(str, x.columns))
    while name in taken:
        name += "_y"
    column = y.reset_index(drop=True) if isinstance(y, pd.Series) else values
    return x.reset_index(drop=True).assign(**{name: column}), name
