"""Gradients that are summed over steps: set to zero too rarely, or gathered for one update."""

from __future__ import annotations

from typing import Any

from backends.network import Array
from harness.mistakes.mistake import Change, Mistake
from harness.mistakes.optimisers import Optimiser
from harness.mistakes.reference_step import Tensors
from harness.mistakes.step_trace import StepTrace

# steps that pass, where the pattern of right ones tells nothing
_USUAL = (*range(2, 11), 16, 20, 32)
_GROUP = "accumulated"
_FEWEST = 3  # steps that tell anything


def accumulated(every: int | None = None, each_epoch: bool = False) -> dict[str, Change]:
    """The cost's gradients summed over the steps; the penalty is the optimiser's and is not.

    The sum begins anew ``every`` so many steps, with ``each_epoch`` counted from the start of the epoch.
    """

    def summed(g: Tensors, here: Any, p: float) -> Tensors:
        epoch = here.rules.steps_per_epoch
        step = here.step % epoch if each_epoch else here.step
        total = g
        if step % every if every else step:
            total = {name: t + here.memory.get(name, {}).get("sum", 0.0) for name, t in g.items()}
        here.found["accumulated"] = {n: t - here.found[f"penalty of {n}"] for n, t in total.items()}
        return total

    return {"gradients": summed, "stored": _remembered}


def _remembered(theta: Array, here: Any, p: float) -> Array:
    here.kept[here.name]["sum"] = here.found["accumulated"][here.name]
    return theta


def rarely_zeroed(trace: StepTrace) -> list[Mistake]:
    """That gradients are set to zero every few steps only; of plain descent the next steps are right."""
    if None in trace.weights or len(trace) < _FEWEST:
        return []
    right = [not wrong.any() for wrong in trace.wrong(trace.rules)]
    if not right[0] or right[1]:
        return []
    training = trace.rules.training
    few: tuple[int, ...] = _USUAL
    if training.optimizer == "sgd" and not training.momentum:
        few = (right.index(True, 1),) if True in right[1:] else ()
    epoch, last, found = trace.rules.steps_per_epoch, f"dW{trace.rules.network.layers}", []
    words = (
        "gradients are set to zero every {p} steps{}: the others take the sum of all since then "
        "(optimizer.zero_grad() belongs before each backward pass)"
    )
    for k in few:
        told = words.replace("{}", "")
        changes = accumulated(every=k)
        found.append(Mistake("gradients accumulated", told, _GROUP, last, changes, float(k)))
        if epoch and epoch % k and k < epoch:
            told = words.replace("{}", ", counted from the start of each epoch")
            changes = accumulated(every=k, each_epoch=True)
            found.append(Mistake("gradients accumulated", told, _GROUP, last, changes, float(k)))
    return found


def rarely_updated(trace: StepTrace) -> list[Mistake]:
    """That the weights stay for some minibatches, whose gradients are gathered for one update."""
    if None in trace.weights:
        return []
    before = trace.start.weights
    moves = [any((seen[n] != before[n]).any() for n in before) for seen in trace.kept]
    k = moves.index(True) + 1 if True in moves else 0
    if k < 2:
        return []
    ways = [("mean", False, True), ("sum", False, False)]
    words = "the weights are updated after every {p} minibatches only, by the %s of their gradients"
    if trace.rules.lmbd:
        ways.append(("sum, the penalty's as well,", True, False))
    return [
        Mistake("updates every few steps", words % told, _GROUP, "W1", _gathered(k, whole, mean), k)
        for told, whole, mean in ways
    ]


def _gathered(k: int, whole: bool, mean: bool) -> dict[str, Change]:
    """An update after every k minibatches; ``whole``: the penalty's gradients are summed as well."""

    def gradients(g: Tensors, here: Any, p: float) -> Tensors:
        penalty = {name: 0.0 if whole else here.found[f"penalty of {name}"] for name in g}
        total = {n: t - penalty[n] + here.memory.get(n, {}).get("sum", 0.0) for n, t in g.items()}
        last = (here.step + 1) % k == 0
        here.found["accumulated"] = {name: 0.0 * t if last else t for name, t in total.items()}
        return {name: t / (k if mean else 1) + penalty[name] for name, t in total.items()}

    def now_and_then(optimiser: Optimiser, here: Any, p: float) -> Optimiser:
        def update(g: Any, kept: Any, training: Any, eta: float, t: int) -> Any:
            return optimiser(g, kept, training, eta, t // k) if t % k == 0 else (0.0 * g, kept)

        return update

    return {"gradients": gradients, "optimiser": now_and_then, "stored": _remembered}
