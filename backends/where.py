"""Where a backend runs: ``NAME@WHERE``, another version, variable, number of threads, engine or interpreter.

WHERE is joined by ``+``:

    scikit-learn==1.5.2                a distribution of this version, in an environment made for it
    /path/to/venv/bin/python           another interpreter, or the folder of its environment
    TF_ENABLE_ONEDNN_OPTS=0            an environment variable
    threads=2                          threads of each library
    jax                                Keras's engine: tensorflow, jax or torch

``%2B`` stands for a + inside a value.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from backends.frameworks import KERAS_ENGINES

FORMS = (
    "PACKAGE==VERSION, VARIABLE=VALUE, threads=N, a path to an interpreter, or an engine of Keras "
    f"({', '.join(KERAS_ENGINES)})"
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=(?!=)")
_PACKAGE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[\w,-]+\])?(==|>=|<=|~=|!=|<|>)[\w.*!,<>=~-]+$"
)


@dataclass(frozen=True)
class Where:
    """Where a backend runs, and with what.

    ``packages``: requirements as pip takes them. ``python``: an interpreter; "" for this one, or for that
    of the environment that is made for the packages. ``variables``: set there. ``threads``: of each
    library; 0 for as many as here. ``engine``: Keras's; "" for the usual one.
    """

    packages: tuple[str, ...] = ()
    python: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    threads: int = 0
    engine: str = ""

    @classmethod
    def parse(cls, text: str) -> Where:
        """Where from its text; ValueError, with what was found and what is allowed, for another one."""
        packages: list[str] = []
        python, engine, threads = "", "", 0
        variables: dict[str, str] = {}
        for quoted in text.split("+"):
            part = quoted.replace("%2B", "+").strip()
            if part in KERAS_ENGINES:
                engine = part
            elif part.startswith("threads=") and part[8:].isdigit() and int(part[8:]):
                threads = int(part[8:])
            elif _PACKAGE.match(part):
                packages.append(part)
            elif _VARIABLE.match(part) and not part.startswith("threads="):
                name, _, value = part.partition("=")
                variables[name] = value
            elif "/" in part or "\\" in part:
                python = part
            else:
                raise ValueError(f"found {part!r}; allowed after @, joined by +: {FORMS}")
        if packages and python:
            raise ValueError(
                f"found packages ({', '.join(packages)}) and an interpreter ({python}); allowed: one of "
                "the two, because packages are installed into an environment made for them"
            )
        return cls(tuple(packages), python, variables, threads, engine)

    def __str__(self) -> str:
        parts = [
            *self.packages,
            *([self.python] if self.python else []),
            *(f"{name}={value}" for name, value in self.variables.items()),
            *([f"threads={self.threads}"] if self.threads else []),
            *([self.engine] if self.engine else []),
        ]
        return "+".join(part.replace("+", "%2B") for part in parts)

    def interpreter(self) -> str:
        """The path of the interpreter that ``python`` names; ValueError if there is none."""
        place = os.path.expanduser(self.python)
        candidates = [place, *(os.path.join(place, *end) for end in _INTERPRETERS)]
        for candidate in candidates:
            if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
                return os.path.abspath(candidate)
        raise ValueError(
            f"{self.python} is neither an interpreter nor the folder of an environment"
        )


_INTERPRETERS = (("bin", "python"), ("Scripts", "python.exe"))
