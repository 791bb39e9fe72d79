"""The catalogue of mistakes that are tried on a training's steps.

One entry for each mistake: what was done, the first tensor it shows in, and how the step goes with it. In
the words {p} is the mistake's size. Where two entries do the same in an experiment both are named, so
that of two that do the same in every experiment only one is here.
"""

from __future__ import annotations

from harness.mistakes.cost_mistakes import class_weight_mistakes, cost_mistakes
from harness.mistakes.forward_mistakes import (
    data_mistakes,
    function_mistakes,
    rounding_mistakes,
)
from harness.mistakes.gradient_mistakes import (
    gradient_mistakes,
    slope_mistakes,
    storing_mistakes,
)
from harness.mistakes.mistake import Mistake
from harness.mistakes.optimiser_mistakes import (
    adam_mistakes,
    momentum_mistakes,
    optimiser_mistakes,
    rate_mistakes,
    root_mistakes,
)
from harness.mistakes.penalty_mistakes import penalty_mistakes
from harness.mistakes.reference_step import StepRules


def catalogue(rules: StepRules) -> list[Mistake]:
    """Every mistake that can be made in an experiment, the likeliest and simplest of its group first."""
    return [
        *penalty_mistakes(rules),
        *cost_mistakes(rules),
        *class_weight_mistakes(rules),
        *function_mistakes(rules),
        *data_mistakes(rules),
        *rounding_mistakes(rules),
        *slope_mistakes(rules),
        *gradient_mistakes(rules),
        *momentum_mistakes(rules),
        *adam_mistakes(rules),
        *root_mistakes(rules),
        *optimiser_mistakes(rules),
        *rate_mistakes(rules),
        *storing_mistakes(rules),
    ]
