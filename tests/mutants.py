"""Mutants of the NumPy backend: its source with one operator, number or statement changed. Not tests.

They are found by walking the syntax tree, in order, so the same source gives the same mutants.
"""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

OTHER = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
}
# where the mathematics is; how cells are cut into stacks changes no number
TARGETS = {
    "backends.numpy_backend": (
        "_train_stack",
        "_penalty",
        "gradients",
        "_SGD.__call__",
        "_Adam.__call__",
    ),
    "backends.formulas": (
        "sigmoid",
        "_leaky_relu",
        "_elu",
        "softmax",
        "product",
        "_side_by_side",
        "sum_samples",
        "adam_correction",
        "_sigmoid_back",
        "_tanh_back",
        "_elu_back",
        "forward",
    ),
}


@dataclass(frozen=True)
class Mutant:
    """A changed function: where, what the line was, what was done to it, and the module's new tree."""

    module: str
    function: str
    line: str
    change: str
    tree: ast.Module

    def __str__(self) -> str:
        return f"{self.function}: {self.line}: {self.change}"

    def backend(self) -> str:
        """Make the mutant importable; the ``module:Class`` that parity finds it by."""
        name = "mutant_of_numpy"
        trees = {"backends.numpy_backend": _tree("backends.numpy_backend")}
        if self.module == "backends.formulas":
            _execute("mutant_of_formulas", self.tree)
            _redirect(trees["backends.numpy_backend"])
        else:
            trees["backends.numpy_backend"] = self.tree
        module = _execute(name, trees["backends.numpy_backend"])
        module.NumPyBackend.name = "mutant"
        return f"{name}:NumPyBackend"


def mutants(targets: Mapping[str, Sequence[str]] = TARGETS) -> Iterator[Mutant]:
    """Every mutant of every target: of functions by the module that they are in."""
    for module, functions in targets.items():
        original = _tree(module)
        source = inspect.getsource(importlib.import_module(module)).splitlines()
        for function in functions:
            body = _find(original, function)
            for place, node in enumerate(ast.walk(body)):
                for change in _changes(node):
                    tree = copy.deepcopy(original)
                    parent = _find(tree, function)
                    target = list(ast.walk(parent))[place]
                    words = _apply(target, change, parent)
                    line = source[node.lineno - 1].strip()
                    yield Mutant(module, function, line, words, ast.fix_missing_locations(tree))


def _changes(node: ast.AST) -> list[str]:
    if isinstance(node, ast.BinOp) and type(node.op) in OTHER:
        return ["operator"]
    if isinstance(node, ast.AugAssign) and type(node.op) in OTHER:
        return ["operator", "removed"]
    if isinstance(node, ast.IfExp):
        return ["branches"]
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return ["number"]
    return []


def _apply(node: ast.AST, change: str, function: ast.AST) -> str:
    before = ast.unparse(node)
    if change == "operator":
        assert isinstance(node, ast.BinOp | ast.AugAssign)
        node.op = OTHER[type(node.op)]()
    elif change == "branches":
        assert isinstance(node, ast.IfExp)
        node.body, node.orelse = node.orelse, node.body
    elif change == "number":
        assert isinstance(node, ast.Constant)
        node.value = node.value + 1 if isinstance(node.value, int) else node.value * 1.01
    else:
        for parent in ast.walk(function):
            for statements in (getattr(parent, "body", []), getattr(parent, "orelse", [])):
                if isinstance(statements, list) and node in statements:
                    statements[statements.index(node)] = ast.Pass()
        return f"without {before}"
    return f"{before} to {ast.unparse(node)}"


def _find(tree: ast.AST, function: str) -> ast.AST:
    found = tree
    for name in function.split("."):
        found = next(n for n in ast.walk(found) if getattr(n, "name", None) == name)
    return found


def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(module)))


def _redirect(tree: ast.Module) -> None:
    """Import the formulas from the mutant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "backends.formulas":
            node.module = "mutant_of_formulas"


def _execute(name: str, tree: ast.Module) -> ModuleType:
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(tree, name, "exec"), module.__dict__)
    return module
