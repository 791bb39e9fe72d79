"""``python -m harness``, and the installed script ``harness``."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def working_directory_last() -> None:
    """Let modules in the working directory be imported, but none of them in place of another one.

    ``python -m`` puts it first, where a ``numpy.py`` that lies there would be run; the installed script
    leaves it out. Who works in the harness's own source tree keeps it where it is.
    """
    try:
        here = os.path.realpath(os.curdir)
    except OSError:  # it has been removed, and nothing can be imported from it
        return
    if here != os.path.realpath(Path(__file__).parents[1]):
        sys.path[:] = [place for place in sys.path if os.path.realpath(place or os.curdir) != here]
        sys.path.append(here)


def main() -> None:
    """Run the command line."""
    working_directory_last()
    # imported here, because that is what the import path is put right for
    from harness.cli.interruption import end, stop_on_signals, tell_stopped
    from harness.cli.streams import open_streams

    open_streams()
    stop_on_signals()  # before anything that takes time is imported
    try:
        from backends.frameworks import collect_less
        from harness.cli.main import run_command_line

        collect_less()
        run_command_line()
    except KeyboardInterrupt:
        tell_stopped()
        end(3)
    except SystemExit as ending:
        end(int(ending.code or 0))


if __name__ == "__main__":
    main()
