"""What a document is called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Title:
    """The title, and one line under it that says what it is about."""

    name: str
    about: str
