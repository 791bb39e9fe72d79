"""A result without what tells whose it is, for reviewers who must not know."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pandas as pd

from harness.results.result import Result

_PRIVATE = ("machine", "git_commit", "directory", "environment", "xla_flags")
_STEP = r"[^\s'\":;,()<>|/\\=]+"
# an absolute path, one below a home folder or above this one, of which the last name is kept
_PLACE = re.compile(rf"(?<![\w./:\\~])(?:~\w*|[A-Za-z]:|\.\.)?[/\\](?:{_STEP}[/\\])*({_STEP})?")
_WHOLE = re.compile(r"(?:[/~]|[A-Za-z]:[/\\]|\.\.[/\\]|file:)")


def anonymous_result(result: Result) -> Result:
    """The result without machine, commit and folders: of every path there is its last name alone.

    Its own address as well: who writes a report on it says where.
    """
    manifest = {k: v for k, v in result.manifest.items() if k not in _PRIVATE}
    manifest["backends"] = {
        name: {key: value for key, value in about.items() if key != "gpus"}
        for name, about in manifest.get("backends", {}).items()
    }
    settings = {
        name: getattr(result.experiment, name) for name in type(result.experiment).model_fields
    }
    tables = ("records", "predictions", "targets", "curves", "disputes", "regions")
    own: dict[str, Any] = {name: _table(getattr(result, name)) for name in tables}
    return replace(
        result,
        address=result.name,
        manifest=_placeless(manifest),
        experiment=result.experiment.model_copy(update=_placeless(settings)),
        **own,
    )


def _placeless(value: Any) -> Any:
    """A value with the last name of each path in it, also among keys."""
    if type(value) is str:
        if _WHOLE.match(value) and "\n" not in value and value.strip("/\\"):
            return re.split(r"[/\\]", value.rstrip("/\\"))[-1]
        return _PLACE.sub(lambda place: place[1] or "", value)
    if isinstance(value, dict):
        return {_placeless(name): _placeless(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_placeless(own) for own in value)
    return value


def _table(table: pd.DataFrame | None) -> pd.DataFrame | None:
    if table is None:
        return None
    words = [name for name in table.columns if pd.api.types.is_string_dtype(table[name])]
    return table.assign(**{name: table[name].map(_placeless) for name in words})
