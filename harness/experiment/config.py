"""Settings as a person gives them: a TOML file, flags, or both; sorted into experiment and execution."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.experiment.memory_data import DATA_FILE, MEMORY
from harness.experiment.setting import unknown_setting

_FLAGS_NAMES = {"backend": "backends", "override": "overrides"}  # which a file may use as well


def read_config(path: Path) -> dict[str, Any]:
    """The settings of a TOML file; names may be written with - or _."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"config: {str(path)!r} cannot be read ({error})") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"config: {str(path)!r} is not TOML ({error})") from None
    _find_data(content, path)
    settings: dict[str, Any] = {}
    for key, value in content.items():
        name = _FLAGS_NAMES.get(key, key).replace("-", "_")
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

    It is looked for beside the file and in the folders above: a run folder lies in ``results/`` of the
    folder that the run was started in. Data given in memory lie beside the file.
    """
    folder = config.absolute().parent
    for name in ("dataset", "test_file", "test-file"):
        value = settings.get(name)
        if not isinstance(value, str) or Path(value).exists():
            continue
        if not Path(value).suffix and not value.startswith(MEMORY):
            continue  # the name of a data set
        if value.startswith(MEMORY) and (folder / DATA_FILE).is_file():
            import pandas as pd

            settings[name] = pd.read_parquet(folder / DATA_FILE)
            continue
        places = (above / value for above in (folder, *folder.parents))
        there = next((place for place in places if place.is_file()), None)
        if there is not None:
            settings[name] = str(there)


def sort_settings(settings: Mapping[str, Any]) -> tuple[Experiment, Execution]:
    """Experiment and execution from settings by name; :class:`InputError` for what is wrong."""
    for name in settings:
        if name not in Experiment.model_fields and name not in Execution.model_fields:
            raise unknown_setting(name, [*Experiment.model_fields, *Execution.model_fields])
    how = {k: v for k, v in settings.items() if k in Execution.model_fields}
    what = {k: v for k, v in settings.items() if k not in how}
    return Experiment(**what), Execution(**how)
