"""``python -m harness``, and the installed script ``harness``."""

from __future__ import annotations

import sys

from harness.cli import main as run_command_line


def main() -> None:
    """Run the command line; modules in the working directory can be imported, as under ``python -m``."""
    if "" not in sys.path:
        sys.path.insert(0, "")
    run_command_line()


if __name__ == "__main__":
    main()
