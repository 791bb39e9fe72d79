"""What becomes of disagreements: each is followed to its step, and those that are nobody's fault are let go.

Where z of a unit lies within round-off of a kink of relu, one program finds it above and another below,
and their weights jump apart in that step. Both are right: from its own weights, each takes the step that
the reference takes from them.
"""

from __future__ import annotations

from harness.document.numbers import cell
from harness.parity.divergence import Divergence, divergence_of
from harness.parity.group import Found, Task
from harness.parity.verdict import judge

MOST = 8  # kinks that are looked for in one backend's training before it counts as wrong


def settled(task: Task, found: Found) -> tuple[list[Divergence], list[str]]:
    """Where each backend that disagrees parts from the reference, and a note for every kink.

    Cells that a kink parted are held to the tolerance only up to its step: ``found`` is changed so.
    """
    divergences, notes = [], []
    for name in found.disagreeing:
        for _ in range(MOST):
            divergence = divergence_of(task, found, name)
            if not divergence.at_a_kink:
                divergences.append(divergence)
                break
            notes.append(_let_go(task, found, divergence))
            if name not in found.disagreeing:
                break
        else:
            divergences.append(divergence_of(task, found, name))
    wrong = {(v.backend, v.dtype) for v in found.verdicts if v.outcome == "disagrees"}
    for dtype, names in found.apart.items():
        found.apart[dtype] = [n for n in names if (n, dtype) in wrong or n == task.reference]
    return divergences, notes


def _let_go(task: Task, found: Found, divergence: Divergence) -> str:
    """Stop enforcing the tolerance in a cell from a kink on, judge again, and say so."""
    errors, name, dtype = found.errors, divergence.backend, divergence.dtype
    beyond = (
        (errors["backend"] == name)
        & (errors["dtype"] == dtype)
        & (errors["eta"] == divergence.eta)
        & (errors["lmbd"] == divergence.lmbd)
        & (errors["step"] >= divergence.step)
    )
    errors.loc[beyond, "enforced"] = False
    for place, verdict in enumerate(found.verdicts):
        if (verdict.backend, verdict.dtype) == (name, dtype):
            found.verdicts[place] = judge(errors, name, dtype)
    return (
        f"{name} ({dtype}, {cell(divergence.eta, divergence.lmbd)}) and {divergence.reference} part in "
        f"step {divergence.step} at a kink, where z of a unit lies within round-off of zero: from its own "
        "weights each takes the right step, and the cell is held to the tolerance only until there"
    )
