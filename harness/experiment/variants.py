"""Backends under names of one's own: ``old`` for ``sklearn@scikit-learn==1.5.2``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from backends.registry import BUILT_IN, ON_REQUEST
from backends.settings import not_known
from backends.where import Where
from harness.errors import InputError

_FORM = (
    "BACKEND, BACKEND@WHERE, or a table of backend, packages, python, environment, threads, engine"
)
_KEYS = ("backend", "packages", "python", "environment", "threads", "engine")
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_. -]*[A-Za-z0-9_.-])?")
_TAKEN = ("all", "every", *BUILT_IN, *ON_REQUEST)


def is_variant_name(name: str) -> bool:
    """Whether a backend may be called so: plainly, and not as one of this package or all of them."""
    return bool(_NAME.fullmatch(name)) and name not in _TAKEN


def variant_places(given: Any) -> Any:
    """Variants by name, each as ``BACKEND@WHERE``, from texts of that form and tables of its parts.

    ValueError for another name or form.
    """
    if not isinstance(given, Mapping):
        return given
    return {str(name): _place(str(name), value) for name, value in given.items()}


def place_of_backend(name: str, variants: Mapping[str, str]) -> str:
    """What a backend is looked up by: its name, or what a variant of this name stands for."""
    base, at, where = name.partition("@")
    if base not in variants:
        return name
    place = variants[base]
    return f"{place}{'+' if '@' in place else '@'}{where}" if at else place


def parse_variants(texts: Iterable[str]) -> dict[str, str]:
    """Variants by name from texts such as ``old=sklearn@scikit-learn==1.5.2``."""
    variants: dict[str, str] = {}
    for text in texts:
        name, equals, place = (part.strip() for part in text.partition("="))
        if not (name and equals and place):
            raise InputError(f"variant: found {text!r}; allowed: NAME=BACKEND@WHERE")
        if name in variants:
            raise InputError(f"variant: {name} given more than once; allowed: once")
        variants[name] = place
    return variants


def _place(name: str, given: Any) -> str:
    if name != given and not is_variant_name(name):
        raise ValueError(
            f"found {name!r}, which is no name or another backend's; allowed: a name of its own, of "
            "letters, digits, '_', '-', '.'"
        )
    try:
        place = _from_table(given) if isinstance(given, Mapping) else given
        if not isinstance(place, str) or not place.partition("@")[0].strip():
            raise ValueError(f"found {given!r}; allowed: {_FORM}")
        _, at, where = place.partition("@")
        if at:
            Where.parse(where)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return place


def _from_table(table: Mapping[str, Any]) -> str:
    """The place that a table tells of; ValueError for what it may not hold."""
    for key in table:
        if key not in _KEYS:
            raise ValueError(not_known("setting", str(key), _KEYS))
    packages, environment = table.get("packages", ()), table.get("environment", {})
    packages = (packages,) if isinstance(packages, str) else packages
    threads = table.get("threads", 0)
    right = (
        all(isinstance(table.get(key, ""), str) for key in ("backend", "python", "engine"))
        and isinstance(packages, list | tuple)
        and isinstance(environment, Mapping)
        and all(isinstance(value, str | int | float) for value in environment.values())
        and isinstance(threads, int)
        and not isinstance(threads, bool)
        and ("threads" not in table or threads > 0)
    )
    if not right or not table.get("backend"):
        raise ValueError(f"found {dict(table)!r}; allowed: {_FORM}")
    where = Where(
        tuple(map(str, packages)),
        table.get("python", ""),
        {str(key): str(value) for key, value in environment.items()},
        threads,
        table.get("engine", ""),
    )
    if not str(where):
        return str(table["backend"])
    if Where.parse(str(where)) != where:
        raise ValueError(f"found {dict(table)!r}; allowed: {_FORM}")
    return place_of_backend(f"it@{where}", {"it": table["backend"]})
