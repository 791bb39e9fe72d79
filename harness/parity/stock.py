"""The stock program of a backend, its ``train_one``, held against its stack; or judged in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backends.base import Backend
from backends.distance import relative_errors
from backends.network import Array, Cells, Fit, Network, Training, Weights
from backends.plan import Plan
from harness.roundoff.round_off import allowed_by, round_off
from harness.roundoff.trial import Trial
from harness.training.contract import BackendFault

STOCK_COLUMNS = ["backend", "dtype", "step", "tensor", "relative", "verdict"]
_STEPS = (1, 10)  # a stock program is slow, and what it rounds shows at once
SAME, ROUND_OFF, LIBRARY = "same bits", "same to round-off", "the library's, not made up for"


class StockProgram(Backend):
    """A backend by its stock program alone."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        for attribute in (
            "name", "library", "modules", "activations", "optimizers", "heeds", "conventions",
        ):  # fmt: skip
            setattr(self, attribute, getattr(backend, attribute))

    @property
    def program(self) -> type[Backend]:
        return self.backend.program

    def versions(self) -> dict[str, str]:
        return self.backend.versions()

    def load(self) -> None:
        self.backend.load()

    def unsupported(self, network: Network, training: Training) -> str | None:
        return self.backend.unsupported(network, training)

    def train(
        self, x: Array, y: NDArray[Any], network: Network, training: Training, cells: Cells, plan: Plan
    ) -> Fit:  # fmt: skip
        return self.backend.train_stock(x, y, network, training, cells, plan)

    def predict_proba(self, x: Array, network: Network, weights: Weights) -> Array:
        return self.backend.predict_proba(x, network, weights)


def stock_errors(trial: Trial, backends: Mapping[str, Backend]) -> pd.DataFrame:
    """How far each backend's stack is from its stock program; a row for each step looked at.

    In two cells of the middle of the grid, over at most ten steps: the relative error of the tensor that is
    furthest beyond what round-off explains, which tensor, and what that says. Both may be off as far as a
    library may be off the reference. Backends that train by their stock program, or have none, have no row.
    """
    middle = len(trial.cells) // 2
    few = np.arange(middle, min(middle + 2, len(trial.cells)))
    steps = sorted({min(step, trial.plan.steps) for step in _STEPS})
    short = trial.of(few).at(*steps)
    names = list(trial.plan.initial.named())
    allowed = 2 * allowed_by(round_off(short).distance, trial.dtype)
    rows: list[dict[str, object]] = []
    for name, backend in backends.items():
        if not backend.has_stock_program or backend.program.train is Backend.train:
            continue
        if backend.unsupported(trial.network, trial.training):
            continue
        try:
            stack, stock = short.train(backend), short.train(StockProgram(backend))
        except BackendFault as fault:
            told = f"failed: {fault}"
            rows.append({"backend": name, "dtype": trial.dtype, "step": steps[0], "verdict": told})
            continue
        start = trial.plan.initial
        for step, one, other, most in zip(steps, stack, stock, allowed, strict=True):
            found = relative_errors(other, one, start)
            share = np.nan_to_num(found / most, nan=np.inf)
            place = np.unravel_index(np.argmax(share), share.shape)
            rows.append(
                {
                    "backend": name,
                    "dtype": trial.dtype,
                    "step": step,
                    "tensor": names[place[0]],
                    "relative": float(found[place]),
                    "verdict": _verdict(float(found.max()), float(share[place])),
                }
            )
    return pd.DataFrame(rows, columns=STOCK_COLUMNS)


def stock_table(errors: pd.DataFrame) -> pd.DataFrame:
    """A line for each backend and dtype, as a reader sees it."""
    rows: list[dict[str, object]] = []
    for (name, dtype), own in errors.groupby(["backend", "dtype"], sort=False):
        worst = own.iloc[int(own["relative"].fillna(np.inf).to_numpy().argmax())]
        after = {
            f"after {step}": "-" if np.isnan(relative) else f"{relative:.1e}"
            for step, relative in zip(own["step"], own["relative"], strict=True)
        }
        rows.append(
            {"backend": name, "dtype": dtype, **after, "tensor": worst["tensor"]}
            | {"stack and stock program": worst["verdict"]}
        )
    return pd.DataFrame(rows).astype(object)


def stock_points(errors: pd.DataFrame) -> list[str]:
    """A sentence for each backend and dtype whose stock program is further off than round-off."""
    said = []
    beyond = errors[~errors["verdict"].isin([SAME, ROUND_OFF])]
    for (name, dtype), own in beyond.groupby(["backend", "dtype"], sort=False):
        row = own.iloc[-1]
        if row["verdict"] == LIBRARY:
            said.append(
                f"{name} {dtype}: its stock program is {row['relative']:.1e} off in {row['tensor']} after "
                f"step {row['step']}, which the stack makes up for (--stock judges it)"
            )
        else:
            said.append(f"{name} {dtype}: its stock program {row['verdict']}")
    return said


def _verdict(relative: float, share: float) -> str:
    if relative == 0:
        return SAME
    return ROUND_OFF if share <= 1 else LIBRARY
