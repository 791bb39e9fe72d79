"""``python -m harness``, and the installed script ``harness``."""

from __future__ import annotations

import gc
import sys

from harness.cli import main as run_command_line


def main() -> None:
    """Run the command line; modules in the working directory can be imported, as under ``python -m``."""
    if "" not in sys.path:
        sys.path.insert(0, "")
    # half a million objects of the libraries stay to the end: look for garbage less often than after
    # every 700 new objects, and not on the way out
    gc.set_threshold(50_000, 20)
    try:
        run_command_line()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
