"""Short minibatches filled up, for a library whose minibatches are all of one size.

A row that fills up has weight zero in the cost, so which sample it shows does not matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backends.network import Array, Training
from backends.plan import Plan


def rectangle(plan: Plan) -> tuple[NDArray[np.integer], NDArray[np.bool_]]:
    """Row numbers (streams, steps, rows of a full minibatch), and which are the plan's (steps, rows).

    Row 0 fills up what a short minibatch lacks.
    """
    size = plan.batch_size
    real = np.arange(size) < np.diff(plan.bounds)[:, None]
    order = np.zeros((plan.streams, plan.steps, size), dtype=np.int32)
    order[:, real] = plan.order
    return order, real


def cost_weights(plan: Plan, training: Training) -> Array:
    """What each row's cost is multiplied by, (steps, rows): 1/n or 1, and 0 for a row that fills up."""
    counts = np.diff(plan.bounds)
    real = np.arange(plan.batch_size) < counts[:, None]
    return real * np.array([training.cost_scale(n) for n in counts])[:, None]


def penalty_factors(plan: Plan, training: Training) -> Array:
    """What lmbd is multiplied by, (steps,), in the layers that are penalised."""
    # layer 0 of 2 is penalised whatever ``penalised`` says
    return np.array([training.penalty(1.0, int(n), 0, 2) for n in np.diff(plan.bounds)])
