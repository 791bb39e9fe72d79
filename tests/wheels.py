"""Whether README's install line finds wheels: dry runs of pip for other systems and versions of Python.

    python tests/wheels.py

Nothing is installed; what is asked is pip's resolver and the package index. Ends with 1 if something has no
wheel somewhere. pip judges environment markers by the Python and the system that it runs on itself, so that
those of pyproject.toml are worked out here, for the other one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
# pip's names of a system, and what environment markers call it and its processor
SYSTEMS = {
    "Linux x86-64": (("manylinux_2_28_x86_64", "manylinux_2_27_x86_64"), "Linux", "x86_64"),
    "Linux ARM": (("manylinux_2_28_aarch64", "manylinux_2_27_aarch64"), "Linux", "aarch64"),
    "Windows": (("win_amd64",), "Windows", "AMD64"),
    "macOS ARM": (("macosx_14_0_arm64", "macosx_12_0_arm64"), "Darwin", "arm64"),
}
OLDER = ("manylinux2014", "manylinux_2_17")  # which newer systems of Linux run too
PLATFORMS = {"Linux": "linux", "Windows": "win32", "Darwin": "darwin"}
PYTHONS = ("3.14", "3.13", "3.12")


def requirements(lines: list[str], python: str, system: str, processor: str) -> list[str]:
    """Those of the lines that hold there, without the markers."""
    there = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_system": system,
        "platform_machine": processor,
        "sys_platform": PLATFORMS[system],
        "os_name": "nt" if system == "Windows" else "posix",
    }
    needed = []
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(there):
            requirement.marker = None
            needed.append(str(requirement))
    return needed


def lacking(python: str, tags: tuple[str, ...], system: str, processor: str) -> str:
    """What pip finds no wheel of there; empty if it would install everything."""
    if system == "Linux":
        tags += tuple(f"{older}_{processor}" for older in OLDER)
    needed = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    pins = PROJECT.with_name("constraints.txt").read_text().splitlines()
    with tempfile.TemporaryDirectory() as nowhere:
        pinned = Path(nowhere, "constraints.txt")
        pinned.write_text("\n".join(requirements(pins, python, system, processor)))
        asked = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet"),
                *("-c", str(pinned)),
                *("--only-binary=:all:", "--python-version", python, "--target", nowhere),
                *(part for tag in tags for part in ("--platform", tag)),
                *requirements(needed, python, system, processor),
            ],
            capture_output=True,
            text=True,
        )
    if not asked.returncode:
        return ""
    told = [line for line in asked.stderr.splitlines() if line.startswith("ERROR")]
    return (told or asked.stderr.splitlines() or ["pip failed"])[0]


def main() -> int:
    without = 0
    for python in PYTHONS:
        for name, (tags, system, processor) in SYSTEMS.items():
            fault = lacking(python, tags, system, processor)
            without += bool(fault)
            print(
                f"Python {python}, {name}: {fault or 'wheels of all'}",
                flush=True,
            )
    return 1 if without else 0


if __name__ == "__main__":
    sys.exit(main())
