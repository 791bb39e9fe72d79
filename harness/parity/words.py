"""Parity in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.document.numbers import cell, count
from harness.parity.divergence import TOGETHER, Divergence
from harness.parity.parity import Parity
from harness.parity.verdict import Verdict

WEIGHTS = ("W", "b")


def headline(parity: Parity) -> str:
    """The answer in one sentence."""
    wrong = _names(parity.of("disagrees"))
    if wrong:
        verb = "does" if len(wrong) == 1 else "do"
        return f"Disagree: {_listed(wrong)} {verb} not take the path of {parity.reference}."
    failed = parity.checks[parity.checks["verdict"] == "failed"]
    if len(failed):
        names = _listed(list(dict.fromkeys(failed["backend"])))
        return f"Weights agree, but {names} does not pass every conformance check."
    agreed, empty = _names(parity.of("agrees")), _names(parity.of("nothing comparable"))
    missing = _names(parity.of("unavailable"))
    others = [name for name in agreed if name != parity.reference]
    if not others and not empty and not missing:
        return "Nothing comparable: there is nobody to compare the reference with."
    if empty:
        return f"Nothing comparable: not one number of {_listed(empty)} could be held to the tolerance."
    if missing:
        return f"Unfinished: {_listed(missing)} cannot be used here."
    everybody = _listed(list(dict.fromkeys([parity.reference, *others])))
    return (
        f"Agree: {everybody} take the same path over {count(parity.steps[-1], 'step')}, "
        f"{_accuracy(parity)}."
    )


def _accuracy(parity: Parity) -> str:
    worst: dict[str, float] = {}
    for verdict in parity.of("agrees"):
        worst[verdict.dtype] = max(worst.get(verdict.dtype, 0.0), verdict.needed)
    parts = [f"{value:.1e} in {dtype}" for dtype, value in sorted(worst.items())]
    return f"with relative errors of at most {' and '.join(parts)}"


def points(parity: Parity) -> list[str]:
    """What stands beside the headline: who stands apart, where they part, who was not compared."""
    found = list(parity.notes)
    for verdict in parity.verdicts:
        if verdict.outcome in ("nothing comparable", "unsupported", "unavailable"):
            found.append(f"{verdict.backend} {verdict.dtype}: {verdict.outcome}: {verdict.reason}")
    apart = {name: dtypes for name, dtypes in _apart(parity).items() if dtypes}
    for name, dtypes in apart.items():
        found.append(f"{name} stands apart from all the others in {' and '.join(dtypes)}")
    wrong = set(_names(parity.of("disagrees")))
    if wrong and not apart:
        participants = {*_names(parity.of("agrees", "disagrees", "reference")), parity.reference}
        if len(participants) == 2:
            found.append("with two backends it cannot be said which of them is wrong")
        elif not wrong <= _outputs_only(parity):
            found.append("no majority agrees, so it cannot be said who is wrong")
    return found + [sentence(divergence) for divergence in parity.divergences]


def sentence(divergence: Divergence) -> str:
    """Where and why a backend parts from the reference."""
    name = f"{divergence.backend} ({divergence.dtype}, {cell(divergence.eta, divergence.lmbd)})"
    if not divergence.step:
        if divergence.first == TOGETHER:
            return (
                f"{name}: trained alone, the cell agrees; it differs where it is trained together "
                "with others"
            )
        what = "loss" if divergence.first == "loss" else "own forward pass"
        return f"{name}: its weights agree, its {what} does not ({divergence.after:.1e})"
    epoch = f" (epoch {divergence.epoch})" if divergence.epoch else ""
    first = f", first in {in_words(divergence.first)}" if divergence.first else ""
    found = (
        f"{name} parts from {divergence.reference} in step {divergence.step}{epoch}{first}: "
        f"relative error {divergence.before:.1e} before, {divergence.after:.1e} after it"
    )
    if divergence.explanation:
        why = divergence.explanation
        return (
            f"{found}. Explanation: {why.words}. That gives its weights after this step to "
            f"{why.left:.1e}, where they differ by {why.of:.1e}"
        )
    return f"{found}. {_hint(divergence)}"


def _hint(divergence: Divergence) -> str:
    table = divergence.tensors
    if not table["differs"].any():
        return "No single step is wrong: the difference builds up"
    size = table.loc[table["differs"], "relative"].min() if len(table) else np.nan
    if divergence.dtype == "float64" and 1e-10 < size < 1e-6:
        return (
            "No mistake that was tried explains it; the size of the difference is that of a number "
            "that went through float32"
        )
    return "No mistake that was tried explains it"


def in_words(tensor: str) -> str:
    """A tensor's name for a reader."""
    fixed = {
        "rows": "the rows of the minibatch",
        "output": "the output",
        "cross-entropy": "the cross-entropy (its derivative by z)",
    }
    if tensor in fixed:
        return fixed[tensor]
    if tensor.startswith("penalty of "):
        return f"the penalty's gradient of {tensor.removeprefix('penalty of ')}"
    if tensor.startswith("d"):
        return f"the gradient of {tensor.removeprefix('d')}"
    if tensor.startswith(WEIGHTS):
        return f"the update of {tensor}"
    kind = "z" if tensor.startswith("z") else "the activations"
    return f"{kind} of layer {tensor[1:]}"


def _apart(parity: Parity) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for dtype, names in parity.apart.items():
        for name in names:
            found.setdefault(name, []).append(dtype)
    return found


def _outputs_only(parity: Parity) -> set[str]:
    """Backends whose weights agree and whose outputs do not: nobody has to be out-voted there."""
    return {d.backend for d in parity.divergences if not d.step and d.first != TOGETHER}


def _names(verdicts: Sequence[Verdict]) -> list[str]:
    return list(dict.fromkeys(verdict.backend for verdict in verdicts))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
