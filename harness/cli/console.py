"""Where a verb prints."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions
from rich.segment import Segment

from harness.document.foreign_text import visible


class SafeConsole(Console):
    """A console that shows signs which the terminal would obey, whoever they come from."""

    def render(self, renderable: Any, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What rich renders, before lines are fitted; rich's own controls are told apart by it."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def console(*, stderr: bool = False) -> Console:
    """Where a verb prints; as wide as the terminal, or 120 columns into a file or pipe.

    Brackets and colons are what they are: names and reasons come from outside. Styles go beside the text.
    """
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 120
    return SafeConsole(stderr=stderr, width=width, soft_wrap=False, markup=False, emoji=False)
