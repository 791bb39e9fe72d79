"""Settings as a person gives them: a TOML file, flags, or both; sorted into experiment and execution."""

from __future__ import annotations

import json
import os
import tomllib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.experiment.memory_data import DATA_FILE, MEMORY
from harness.experiment.setting import unknown_setting

FLAGS_NAMES = {"backend": "backends", "override": "overrides"}  # which a file may use as well


def read_config(path: Path) -> dict[str, Any]:
    """The settings of a TOML file; names may be written with - or _.

    The path of a data file may be relative to the file's own folder: see :func:`data_place`.
    """
    try:
        content = tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"config: {str(path)!r} is not TOML ({error})") from None
    _find_data(content, path)
    settings: dict[str, Any] = {}
    for key, value in content.items():
        name = FLAGS_NAMES.get(key, key).replace("-", "_")
        if name in settings:
            raise InputError(f"config: {str(path)!r} has {name} under two names; allowed: once")
        settings[name] = value
    overrides = settings.get("overrides")
    if isinstance(overrides, dict):
        settings["overrides"] = {
            backend: {k.replace("-", "_"): v for k, v in changes.items()}
            if isinstance(changes, dict)
            else changes
            for backend, changes in overrides.items()
        }
    return settings


def _find_data(settings: dict[str, Any], config: Path) -> None:
    """Put in the place of a relative path of data that is not here the one that was meant.

    Data given in memory lie beside the file.
    """
    folder = config.absolute().parent
    over = settings.get("over")
    for place in (over,) if isinstance(over, dict) else ():
        own = place.get("dataset")
        if isinstance(own, list):
            place["dataset"] = [data_place(v, folder) if isinstance(v, str) else v for v in own]
    for name in ("dataset", "test_file", "test-file"):
        value = settings.get(name)
        if not isinstance(value, str):
            continue
        if value.startswith(MEMORY) and (folder / DATA_FILE).is_file():
            import pandas as pd

            settings[name] = pd.read_parquet(folder / DATA_FILE)
        else:
            settings[name] = data_place(value, folder)


def data_place(dataset: str, folder: Path) -> str:
    """A data set as an experiment in ``folder`` names it; the path of a file so that it is found from here.

    What is not found from the working directory is sought from the folder and those above it (a run folder
    lies in ``results/`` of the one that the run was started in), and, where that is a run's, from the
    directory that the run was started in.
    """
    if ":" in dataset or "." not in dataset or Path(dataset).exists():
        return dataset
    starts = [folder, *folder.absolute().parents]
    with suppress(OSError, ValueError, KeyError, TypeError):  # no manifest, or a damaged one
        started_in = json.loads((folder / "manifest.json").read_bytes())["directory"]
        starts.append(Path(os.path.normpath(folder / started_in)))
    places = [start / dataset for start in starts]
    return next((str(place) for place in places if place.exists()), dataset)


def _text(path: Path) -> str:
    """The file's text: TOML is UTF-8; UTF-16 and a byte-order mark, which editors write, are read as well."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"config: {str(path)!r} cannot be read ({error.strerror or error}); allowed: a TOML file"
        ) from None
    encoding = "utf-16" if content[:2] in (BOM_UTF16_LE, BOM_UTF16_BE) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"config: {str(path)!r} is not UTF-8 (line {line}); allowed: TOML, saved as UTF-8"
        ) from None


def sort_settings(settings: Mapping[str, Any]) -> tuple[Experiment, Execution]:
    """Experiment and execution from settings by name; :class:`InputError` for what is wrong."""
    for name in settings:
        if name not in Experiment.model_fields and name not in Execution.model_fields:
            raise unknown_setting(name, [*Experiment.model_fields, *Execution.model_fields])
    how = {k: v for k, v in settings.items() if k in Execution.model_fields}
    what = {k: v for k, v in settings.items() if k not in how}
    return Experiment(**what), Execution(**how)
