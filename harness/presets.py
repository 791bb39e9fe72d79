"""Presets: named tables of settings over which flags and configuration files win.

A preset gives settings for all backends and, under ``overrides``, what single backends do otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Settings by name, and one line for a person on what they are for."""

    summary: str
    settings: dict[str, Any] = field(default_factory=dict)


PRESETS: dict[str, Preset] = {
    "fair": Preset(
        "one network, one objective, one plan, one dtype for all backends; "
        "differences that remain are the libraries'"
    ),
}
