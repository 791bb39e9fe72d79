"""Settings as a person gives them: a TOML file, flags, or both; sorted into experiment and execution."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import InputError, unknown
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment, experiment_from, one_line

ALIASES = {"backend": "backends"}


def read_config(path: Path) -> dict[str, Any]:
    """The settings of a TOML file; names may be written with - or _."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"config: {str(path)!r} cannot be read ({error})") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"config: {str(path)!r} is not TOML ({error})") from None
    settings = {}
    for key, value in content.items():
        name = key.replace("-", "_")
        settings[ALIASES.get(name, name)] = value
    return settings


def sort_settings(settings: Mapping[str, Any]) -> tuple[Experiment, Execution]:
    """Experiment and execution from settings by name; :class:`InputError` for what is wrong."""
    names = {*Experiment.model_fields, *Execution.model_fields}
    for name in settings:
        if name not in names:
            raise unknown("setting", name, sorted(names))
    how = {k: v for k, v in settings.items() if k in Execution.model_fields}
    what = {k: v for k, v in settings.items() if k not in how}
    return experiment_from(what), execution_from(how)


def execution_from(settings: Mapping[str, Any]) -> Execution:
    """An execution from settings by name; faults as one clear line."""
    try:
        return Execution(**settings)
    except ValidationError as error:
        raise InputError(one_line(error)) from None
