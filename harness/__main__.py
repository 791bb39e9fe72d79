"""``python -m harness``, and the installed script ``harness``."""

from __future__ import annotations

import gc
import sys

from backends.frameworks import collect_less
from harness.cli.main import run_command_line


def main() -> None:
    """Run the command line; modules in the working directory can be imported, as under ``python -m``."""
    if "" not in sys.path:
        sys.path.insert(0, "")
    collect_less()
    try:
        run_command_line()
    finally:
        gc.freeze()  # on the way out nothing is worth looking for


if __name__ == "__main__":
    main()
