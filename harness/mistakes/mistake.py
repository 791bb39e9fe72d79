"""What a mistake is: a change to one stage of a step, in words and as a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

# the stages of a step, in the order of computation, and what a change there is given
STAGES = {
    "point": "the weights that the gradient is taken at, by name",
    "batch": "the minibatch",
    "rows": "its inputs, (rows, features)",
    "targets": "what the output should give, (rows, outputs)",
    "factor": "a factor of a matrix product: a, W or delta",
    "bias": "the bias that is added",
    "z": "z of a layer",
    "function": "the name of a hidden layer's activation",
    "a": "a of a hidden layer",
    "output": "the output, (rows, outputs)",
    "cross-entropy": "the cost's derivative by z of the output layer, of each sample",
    "penalty": "the penalty's gradient, of W (lmbd W) or b (zero)",
    "l1 penalty": "that of the L1 penalty, of W or b (zero)",
    "cost": "what the samples' summed cost is multiplied by: 1/n",
    "slope": "f'(z) of a hidden layer",
    "delta": "the error of a hidden layer",
    "dW": "the cost's gradient by a layer's W",
    "db": "the cost's gradient by a layer's b",
    "gradients": "the gradients of cost and penalty together, by name",
    "training": "the optimiser's settings",
    "eta": "eta",
    "optimiser": "the update rule",
    "memory": "what the optimiser remembers of a tensor before the step",
    "change": "what is taken off a tensor",
    "stored": "the new tensor",
    "order": "whether all layers are updated together",
}

# value of the stage, where it is, size of the mistake -> value
Change = Callable[[Any, Any, float], Any]
Kind = Literal["mistake", "rounding"]


@dataclass(frozen=True)
class Mistake:
    """Something that can be done otherwise in a step.

    ``name``: short and without numbers. ``words``: what was done, a format string for ``p``. ``group``: of
    two mistakes of one group only one is made. ``tensor``: the first one it shows in, in the order of
    computation. ``changes``: what it does, by stage. ``p``: its size; where that is not known (``fit``), it
    is sought from these ``starts`` on. ``kind``: a "rounding" is a setting that a library keeps with fewer
    digits. ``own_digits``: its last bits cannot be foretold, because a library computes there in
    float32 by ways of its own; such a mistake is held against the round-off that it makes itself.
    """

    name: str
    words: str
    group: str
    tensor: str
    changes: Mapping[str, Change] = field(repr=False)
    p: float = 1.0
    starts: tuple[float, ...] = ()
    kind: Kind = "mistake"
    own_digits: bool = False

    @property
    def fit(self) -> bool:
        """Whether its size has to be sought."""
        return bool(self.starts)

    def of_size(self, p: float) -> Mistake:
        return replace(self, p=float(p))

    def __str__(self) -> str:
        return self.words.format(p=_number(self.p))


def _number(value: float) -> str:
    return f"{value:.4g}"


def times_p(value: Any, here: Any, p: float) -> Any:
    """p times whatever a stage gives."""
    return p * value


def always(value: Any) -> Change:
    """In place of whatever a stage gives."""
    return lambda old, here, p: value


def by(function: Callable[[Any], Any]) -> Change:
    """A change that needs nothing but what the stage gives."""
    return lambda value, here, p: function(value)


def in_layer(layer: int, change: Change) -> Change:
    """A change in one layer only."""
    return lambda value, here, p: change(value, here, p) if here.number == layer else value
