"""``python -m harness``, and the installed script ``harness``."""

from __future__ import annotations

import sys

from harness.cli.interruption import end, stop_on_signals, tell_stopped
from harness.cli.streams import open_streams


def main() -> None:
    """Run the command line; modules in the working directory can be imported, as under ``python -m``."""
    open_streams()
    stop_on_signals()  # before anything that takes time is imported
    if "" not in sys.path:
        sys.path.insert(0, "")
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
