"""What a person waited for a command, and what for."""

from __future__ import annotations

import time
from collections.abc import Mapping

_LOADED = time.perf_counter()  # before all else that takes time is imported
_NOTHING = 0.05  # seconds that are not worth a word


class Waiting:
    """Seconds since this program was loaded, cut into parts: :meth:`until` ends one and names it."""

    def __init__(self) -> None:
        self._last = _LOADED
        self.parts: dict[str, float] = {}

    def until(self, moment: float | None, name: str) -> None:
        """What ``name`` took lasted until this moment of ``time.perf_counter``; None: it did not happen."""
        if moment is not None:
            self.parts[name] = self.parts.get(name, 0.0) + max(0.0, moment - self._last)
            self._last = max(moment, self._last)

    def words(self) -> str:
        """All of it and its parts: ``12.3 s in all: 1.2 s loading, 9.0 s training, 2.1 s report``."""
        return waiting_words(time.perf_counter() - _LOADED, self.parts)


def waiting_words(total: float, parts: Mapping[str, float]) -> str:
    """As :meth:`Waiting.words`; parts that took next to nothing are left out."""
    told = [f"{took:.1f} s {name}" for name, took in parts.items() if took >= _NOTHING]
    return f"{total:.1f} s in all: {', '.join(told)}" if told else f"{total:.1f} s in all"
