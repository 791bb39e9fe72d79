"""Where a verb prints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """Where a verb prints; as wide as the terminal, or 120 columns into a file or pipe.

    Brackets and colons are what they are: names and reasons come from outside. Styles go beside the text.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 120
    return Console(stderr=stderr, width=width, soft_wrap=False, markup=False, emoji=False)
