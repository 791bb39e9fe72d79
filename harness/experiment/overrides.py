"""What single backends do otherwise: layers of settings over each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.errors import InputError


def layered(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of two layers, the upper over the lower.

    What the upper gives for all backends wins over what the lower gives to one. Settings of one backend
    add to each other, and so do variants.
    """
    below, own = lower.get("overrides", {}), upper.get("overrides", {})
    for wrong in (layer for layer in (own, below) if not _are_tables(layer)):
        return {**lower, **upper, "overrides": wrong}  # which validation refuses
    overrides = {
        backend: {key: value for key, value in changes.items() if key not in upper}
        for backend, changes in below.items()
    }
    for backend, changes in own.items():
        overrides[backend] = {**overrides.get(backend, {}), **changes}
    both = {**lower, **upper}
    named = [layer["variants"] for layer in (lower, upper) if "variants" in layer]
    if len(named) == 2 and all(isinstance(variants, Mapping) for variants in named):
        both["variants"] = {**named[0], **named[1]}
    return both | {"overrides": overrides} if "overrides" in both else both


def _are_tables(overrides: Any) -> bool:
    return isinstance(overrides, Mapping) and all(
        isinstance(changes, Mapping) for changes in overrides.values()
    )


def parse_overrides(texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Settings by backend from texts such as ``keras.hidden=100,50``."""
    overrides: dict[str, dict[str, Any]] = {}
    for text in texts:
        place, equals, value = text.partition("=")
        backend, _, name = place.rpartition(".")
        name = name.strip().replace("-", "_")
        if not (equals and backend):
            raise InputError(f"override: found {text!r}; allowed: BACKEND.SETTING=VALUE")
        if name in overrides.setdefault(backend, {}):
            raise InputError(f"override: {backend}.{name} given more than once; allowed: once")
        overrides[backend][name] = value.strip()
    return overrides
