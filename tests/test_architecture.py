"""The house: imports run one way, no file is called like a standard one, no public name exists twice."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Rooms from the ground up. A file imports from its own room and from those before it.
HARNESS = (
    "errors",
    "experiment",
    "data",
    "training",
    "results",
    "stats",
    "executors",
    "work",
    "runner",
    "document",
    "roundoff",
    "mistakes",
    "report",
    "parity",
    "recordings",
    "compare",
    "lecture",
    "check",
    "upgrade",
    "atlas",
    "study",
    "bench",
    "api",
    "cli",
    "__main__",
)
VERBS = (
    "report",
    "parity",
    "recordings",
    "compare",
    "lecture",
    "check",
    "upgrade",
    "atlas",
    "study",
    "bench",
)
MAY_USE = {
    ("recordings", "parity"),
    ("check", "parity"),
    ("upgrade", "parity"),
    ("upgrade", "compare"),
    ("atlas", "parity"),
    ("bench", "lecture"),
    ("study", "compare"),
    ("study", "check"),
}  # of the verbs, nobody else another
BACKENDS = (
    "recording",
    "settings",
    "error_words",
    "network",
    "memory",
    "draws",
    "plan",
    "padding",
    "formulas",
    "early_stopping",
    "distance",
    "frameworks",
    "process_state",
    "base",
    "numpy_backend",
    "sklearn_backend",
    "tensorflow_backend",
    "keras_stack",
    "keras_backend",
    "torch_backend",
    "jax_backend",
    "plugin_probe",
    "where",
    "environments",
    "messages",
    "elsewhere",
    "registry",
    "elsewhere_program",
    "estimator",
    "testing",
)
MODULE = re.compile(r"(?:harness|backends)(?:\.\w+)+")


def sources() -> dict[str, Path]:
    """Every file of the two packages by its module's name."""
    found = {}
    for package in ("backends", "harness"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


FILES = sources()


def module_of(name: str) -> str | None:
    """The module that a dotted name is or lies in; None if it is none of ours."""
    while name:
        if name in FILES:
            return name
        name = name.rpartition(".")[0]
    return None


def imports(module: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Modules that a file imports, with the names it takes: anywhere in it, and in strings."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner if inner in FILES else str(node.module)), alias.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            place = node.value.partition(":")[0]
            if id(node) not in docstrings and MODULE.fullmatch(place):
                yield place, node.value


def arrows() -> dict[tuple[str, str], set[str]]:
    """(importing module, imported module): the names taken."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for module, path in FILES.items():
        for target, name in imports(module, ast.parse(path.read_text("utf-8"))):
            home = module_of(target)
            if home and home != module and home not in ("harness", "backends"):
                found[module, home].add(name)
    return found


ARROWS = arrows()


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def runs_back(module: str, target: str) -> bool:
    """Whether an arrow between two modules is one that must not be."""
    package, other = module.split(".")[0], target.split(".")[0]
    if not room(module):  # the package's own door, through which nobody inside goes
        return False
    if package != other:
        return package == "backends"
    order = HARNESS if package == "harness" else BACKENDS
    here, there = room(module), room(target)
    if here in VERBS and there in VERBS and here != there:
        return (here, there) not in MAY_USE
    return order.index(there) > order.index(here)


def test_imports_run_one_way():
    wrong = [
        f"{module} -> {target} ({', '.join(sorted(names))})"
        for (module, target), names in sorted(ARROWS.items())
        if runs_back(module, target)
    ]
    assert not wrong, "these imports run back:\n" + "\n".join(wrong)


def circles() -> list[list[str]]:
    """Groups of files that import each other, by Tarjan's algorithm."""
    follow = defaultdict(list)
    for module, target in ARROWS:
        follow[module].append(target)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in follow[node]:
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in FILES:
        if module not in index:
            visit(module)
    return found


def test_no_files_import_each_other():
    told = [
        "\n".join(
            f"{a} -> {b} ({', '.join(sorted(names))})"
            for (a, b), names in sorted(ARROWS.items())
            if a in group and b in group
        )
        for group in circles()
    ]
    assert not told, "these files import each other:\n" + "\n\n".join(told)


def test_every_room_has_its_place():
    rooms = {module.split(".")[1] for module in FILES if module.startswith("harness.")}
    assert rooms == set(HARNESS)
    assert {m.split(".")[1] for m in FILES if m.startswith("backends.")} == set(BACKENDS)


@pytest.mark.parametrize(
    ("module", "target"),
    [
        ("harness.data.split", "harness.report.runs"),
        ("harness.compare.comparison", "harness.parity.parity"),
        ("backends.plan", "harness.errors"),
        ("backends.network", "backends.base"),
    ],
)
def test_an_arrow_that_runs_back_is_one(module, target):
    assert runs_back(module, target)


def test_no_module_is_called_like_one_of_the_standard_library():
    names = {module.rpartition(".")[2] for module in FILES}
    assert not names & set(sys.stdlib_module_names) - {"__main__"}


def test_no_file_of_backends_shadows_a_library():
    names = {path.stem for path in (ROOT / "backends").glob("*.py")}
    assert not names & {"numpy", "sklearn", "tensorflow", "keras", "torch", "jax"}


def test_a_public_name_exists_once_in_harness():
    homes = defaultdict(list)
    for module, path in FILES.items():
        if not module.startswith("harness."):
            continue
        for node in ast.parse(path.read_text("utf-8")).body:
            names = []
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                names = [node.name]
            elif isinstance(node, ast.Assign):
                names = [t.id for t in node.targets if isinstance(t, ast.Name)]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names = [node.target.id]
            for name in names:
                if not name.startswith("_"):
                    homes[name].append(module)
    twice = {name: modules for name, modules in sorted(homes.items()) if len(modules) > 1}
    assert not twice, "these names exist more than once:\n" + "\n".join(
        f"{name}: {', '.join(modules)}" for name, modules in twice.items()
    )
