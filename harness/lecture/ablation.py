"""What each convention does to the grid: one after another is switched to the fair one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from backends.network import Cells
from harness.data.dataset import Dataset
from harness.document.canvas import Frame, panels
from harness.document.number_words import grid as grid_value
from harness.document.number_words import shown_score
from harness.document.section import Picture, Section, Table
from harness.document.words import paragraphs
from harness.experiment.execution import cores
from harness.experiment.experiment import Experiment
from harness.lecture.accuracy import accuracies_on_test
from harness.results.result import Result
from harness.results.run_folder import DAMAGE, RunFolder, content_hash
from harness.training.prepare import prepare

GRIDS_FILE = "conventions.parquet"  # in the run folder: what the switched grids gave
AS_WRITTEN = "as written"
FAIR_RECIPE = "everything: the fair recipe"
WORKING_ACCURACY = 0.9  # on the test part, from which a learning rate counts as one that works

_AVERAGED = "the cost is averaged, not summed"
_FAIR_START = {"initial_weights": "glorot_uniform", "weight_scale": 1.0, "initial_bias": 0.0}
_FAIR: dict[str, Any] = {
    "hidden": [50],
    "dtype": "float32",
    "minibatches": "permutation",
    **_FAIR_START,
}
# Settings switched to the fair ones, each on top of those before it.
_SWITCHES: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "numpy": (
        (_AVERAGED, {"cost": "mean"}),
        ("Glorot weights, biases 0", _FAIR_START),
    ),
    "sklearn": (
        ("never stops early", {"patience": None, "tol": 0.0}),
        ("SGD in place of Adam", {"optimizer": "sgd"}),
    ),
    "tensorflow": (
        ("Glorot weights, biases 0", _FAIR_START),
        ("a permutation an epoch", {"minibatches": "permutation"}),
    ),
    "keras": (
        ("penalty lmbd * W in every layer", {"penalty_factor": 1.0, "penalised": "all"}),
        ("the short last minibatch dropped", {"keep_last_batch": False}),
    ),
}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProgramGrid:
    """The grid of one program with some conventions switched.

    accuracy: test accuracy, (eta, lmbd); NaN where training diverged.
    """

    program: str
    switched: str
    eta: tuple[float, ...]
    lmbd: tuple[float, ...]
    accuracy: NDArray[np.float64]

    @property
    def best(self) -> tuple[float, float, float]:
        """eta, lmbd and accuracy of the best cell, chosen on the test part as the notes do."""
        highest = np.nan_to_num(self.accuracy, nan=-1.0).argmax()
        row, column = np.unravel_index(highest, self.accuracy.shape)
        return self.eta[row], self.lmbd[column], float(self.accuracy[row, column])

    @property
    def by_eta(self) -> NDArray[np.float64]:
        """The best accuracy at each eta."""
        return np.asarray(np.nan_to_num(self.accuracy, nan=0.0).max(axis=1))

    @property
    def working(self) -> tuple[float, ...]:
        """The etas that reach 90 % with some lmbd."""
        best = zip(self.eta, self.by_eta, strict=True)
        return tuple(eta for eta, accuracy in best if accuracy >= WORKING_ACCURACY)


def train_switched(
    experiment: Experiment, dataset: Dataset, programs: Sequence[str]
) -> list[ProgramGrid]:
    """Train the grid for every switch of these programs, and once with the fair recipe.

    All of it by the NumPy backend, which trains what any other would, on the experiment's split; every
    cell on the same draws, in float32.
    """
    recipes: list[tuple[str, str, dict[str, Any]]] = []
    for program in programs:
        recipe: dict[str, Any] = dict(experiment.overrides.get(program, {}))
        for name, change in _SWITCHES.get(program, ()):
            recipe |= change
            recipes.append((program, name, dict(recipe)))
    recipes.append(("all", FAIR_RECIPE, _FAIR))
    # a thread for each grid at work and none within one: small products gain nothing from more
    with threadpool_limits(1), ThreadPoolExecutor(cores()) as pool:
        grids: list[ProgramGrid] = []
        for accuracy in pool.map(lambda r: _grid_accuracy(experiment, dataset, r[2]), recipes):
            program, name, _ = recipes[len(grids)]
            grids.append(ProgramGrid(program, name, experiment.eta, experiment.lmbd, accuracy))
            _logger.info(
                "one convention after another switched: grid %d of %d", len(grids), len(recipes)
            )
    return grids


def _grid_accuracy(
    experiment: Experiment, dataset: Dataset, recipe: Mapping[str, Any]
) -> NDArray[np.float64]:
    """Test accuracy (eta, lmbd) of the experiment's grid, trained by this recipe."""
    own = {**recipe, "dtype": "float32", "drawn_before": [], "shared_stream": []}
    variant = Experiment(**(experiment.model_dump() | {"overrides": {"numpy": own}}))
    cells = Cells.grid(variant.eta, variant.lmbd)
    accuracy = accuracies_on_test(prepare(variant, dataset, "numpy", [0]), cells)
    return accuracy.reshape(len(variant.eta), len(variant.lmbd))


def grids_to_frame(grids: Sequence[ProgramGrid]) -> pd.DataFrame:
    """Grids in long form: program, switched, eta, lmbd, test_accuracy."""
    tables = [
        pd.DataFrame(
            {
                "program": g.program,
                "switched": g.switched,
                "eta": np.repeat(g.eta, len(g.lmbd)),
                "lmbd": np.tile(g.lmbd, len(g.eta)),
                "test_accuracy": g.accuracy.ravel(),
            }
        )
        for g in grids
    ]
    return pd.concat(tables, ignore_index=True)


def grids_from_frame(frame: pd.DataFrame) -> list[ProgramGrid]:
    """The grids that :func:`grids_to_frame` wrote."""
    grids = []
    for (program, switched), rows in frame.groupby(["program", "switched"], sort=False):
        eta, lmbd = tuple(rows["eta"].unique()), tuple(rows["lmbd"].unique())
        accuracy = rows["test_accuracy"].to_numpy(np.float64).reshape(len(eta), len(lmbd))
        grids.append(ProgramGrid(str(program), str(switched), eta, lmbd, accuracy))
    return grids


def ablation_section(result: Result, dataset: Dataset) -> Section:
    """What each convention does to the grid, for a report; trains the grids once for a run folder."""
    grids = [*_grids_as_written(result), *_grids_switched(result, dataset)]
    rows = []
    for program in [*_SWITCHES, "all"]:
        for grid in (g for g in grids if g.program == program):
            eta, lmbd, accuracy = grid.best
            rows.append(
                {
                    "program": program,
                    "switched to the fair convention": grid.switched,
                    "best eta": f"{eta:g}",
                    "best lmbd": f"{lmbd:g}",
                    "test accuracy": shown_score(accuracy, "accuracy"),
                    "eta that reach 90 %": ", ".join(f"{v:g}" for v in grid.working) or "none",
                }
            )
    return Section(
        "What each difference does to the grid",
        text=_why_the_best_eta(grids, result),
        tables=[
            Table(
                pd.DataFrame(rows),
                "One convention after another switched, each on top of those above it",
            )
        ],
        pictures=[
            Picture(
                "conventions",
                partial(draw_ablation, grids),
                "The best test accuracy at each eta. Left: the programs as written. Right: the NumPy "
                "program with its conventions switched one by one.",
                "Two plots of accuracy over the learning rate; the curves of the left one are far apart, "
                "on the right they move together.",
            )
        ],
    )


def _grids_as_written(result: Result) -> list[ProgramGrid]:
    """The grids of the run itself."""
    grids = []
    for backend in result.backends:
        table = result.pivot(backend, "test_accuracy")
        if table.notna().to_numpy().any():
            eta, lmbd = (tuple(float(v) for v in axis) for axis in (table.index, table.columns))
            accuracy = table.to_numpy(np.float64)
            grids.append(ProgramGrid(backend, AS_WRITTEN, eta, lmbd, accuracy))
    return grids


def _grids_switched(result: Result, dataset: Dataset) -> list[ProgramGrid]:
    """The switched grids, from the run folder if they are there, else trained and stored there."""
    folder = RunFolder(result.address)
    defining = {"experiment": result.experiment.digest("repeats"), "programs": result.backends}
    with suppress(FileNotFoundError, *DAMAGE):  # what cannot be read is trained again
        frame, metadata = folder.read_frame(GRIDS_FILE)
        if metadata == defining | {"values": _values_hash(frame)}:
            return grids_from_frame(frame)
    programs = [name for name in result.backends if name in _SWITCHES]
    grids = train_switched(result.experiment, dataset, programs)
    frame = grids_to_frame(grids)
    folder.write_frame(GRIDS_FILE, frame, defining | {"values": _values_hash(frame)})
    return grids


def _values_hash(frame: pd.DataFrame) -> str:
    """A hash that is the same before a table is written and after it is read."""
    return content_hash(frame.to_csv(index=False).encode())


def _why_the_best_eta(grids: Sequence[ProgramGrid], result: Result) -> list[str]:
    """Why the best eta of NumPy's and of scikit-learn's program is where it is."""
    best = {(g.program, g.switched): grid_value(g.best[0]) for g in grids}
    others = [
        f"{name}'s is {best[name, AS_WRITTEN]}"
        for name in ("tensorflow", "keras")
        if (name, AS_WRITTEN) in best
    ]
    return paragraphs(
        "lecture/sentences.jinja",
        "best_eta",
        numpy=best.get(("numpy", AS_WRITTEN)),
        averaged=best.get(("numpy", _AVERAGED)),
        others=others,
        sklearn=best.get(("sklearn", AS_WRITTEN)),
        batch=result.experiment.recipe("numpy").batch_size,
    )


def draw_ablation(grids: Sequence[ProgramGrid]) -> Figure:
    """Best accuracy over eta: the programs as written, and NumPy's on its way to the fair recipe."""
    frame = Frame(width=4.1, height=2.6, left=0.72, right=0.2, top=0.42, bottom=1.4)
    figure, axes = panels(2, 2, frame)
    colours = ("#cf222e", "#2da44e", "#d9730d", "#3b6fb6")
    groups = {
        AS_WRITTEN: [(g.program, g) for g in grids if g.switched == AS_WRITTEN],
        "numpy, switched one by one": [
            (g.switched, g) for g in grids if g.program == "numpy" or g.switched == FAIR_RECIPE
        ],
    }
    for axis, (title, lines) in zip(axes, groups.items(), strict=True):
        for (label, grid), colour in zip(lines, colours, strict=False):
            axis.plot(grid.eta, grid.by_eta, "o-", ms=4, color=colour, label=label)
        axis.set_xscale("log")
        axis.set_ylim(0, 1.03)
        axis.set_title(title)
        axis.set_xlabel("eta")
        axis.set_ylabel("best test accuracy")
        if lines:
            axis.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(0, -0.17))
    return figure
