"""Parity: whether backends take the same path, weight by weight, and where they part if not.

trial        what every backend is given: one recipe in one dtype
twin         the same training with its sums in other orders
chaos        how far round-off alone carries a training, cell by cell
paths        how far several backends' paths are from the reference's
measure      every error of every tensor, as a table
verdict      who agrees, how closely, and who stands apart
group        the comparison of backends that share a recipe
comparison   the whole of it: :func:`parity`
step         one optimiser step written out, and the mistakes that can be made in it
probe        the tensors of a step, read off any backend from outside
explanation  the mistake that explains a backend's weights
settlement   what becomes of disagreements
divergence   the first step and the first tensor that differ
conformity   what the conformance kit found
words, tables, section, figures, record, writer   what is printed and written
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.parity.chaos import chaos_map
    from harness.parity.comparison import Parity, parity

__all__ = ["Parity", "chaos_map", "parity"]

_HOMES = {
    "Parity": "harness.parity.comparison",
    "chaos_map": "harness.parity.chaos",
    "parity": "harness.parity.comparison",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
