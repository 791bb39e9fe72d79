"""Cells in which two backends label test samples differently, looked at again: is it round-off?

Where eta is large, training amplifies round-off until two right programs end with other labels. Whether it
does is measured: the reference trains the cell as planned, and again with every result perturbed in its last
place and its sums in other orders (:mod:`harness.roundoff.chaos_map`). What then differs is round-off and
nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from harness.data.dataset import Dataset
from harness.experiment.experiment import Experiment
from harness.results.result import KEY, Result
from harness.results.run_folder import RunFolder, content_hash, parquet_frame
from harness.roundoff.chaos_map import chaos_map
from harness.roundoff.round_off import PARTED, TWINS
from harness.roundoff.trial import recipes
from harness.training.status import TRAINED

DISPUTED_CELL = ["eta", "lmbd"]
_TRAINING = [*DISPUTED_CELL, "repeat"]
_FOUND_COLUMNS = ["recipe", *DISPUTED_CELL, "repeat", "apart", "gap", "alone"]
DISPUTE_COLUMNS = [*_FOUND_COLUMNS, "status", "difference", "swing", "followed"]
_REPEATS = 3  # that are looked at
MOST_CELLS = 98  # trainings of a recipe that are looked at again, those of the cells furthest apart
_MOST_TWINS = 8  # of the chaotic cell whose test score moved least beside what backends show
_FOLLOWED = 3  # cells of a recipe whose trainings are followed step by step
UNEXPLAINED = (
    "unexplained",
    "stable",
)  # kinds of disputed cells that round-off does not account for
_KINDS = ["stable", "sensitive", "chaotic", "diverged"]  # from best to worst
_KEPT = "disputes.parquet"
_ELSEWHERE = 0.1  # relative distance of weights from which on a twin has gone another way

# follows some cells of a repeat, by their numbers, step by step, and says what came of it
Follow = Callable[[Experiment, int, Sequence[int]], str]

_logger = logging.getLogger(__name__)


def disputes(
    experiment: Experiment, dataset: Dataset, records: pd.DataFrame, predictions: pd.DataFrame
) -> pd.DataFrame:
    """The cells that backends of one recipe do not label alike; a row a cell and repeat.

    Columns: recipe (the backends that share it), eta, lmbd, repeat; ``apart``: the largest share of
    test samples that any two label differently, 1 where one trained and another diverged; ``gap``: the
    range of their test scores; ``alone``: the one backend that stands apart from others that are alike,
    else empty. One that did not get as far as labels there (failed, timed out, unsupported) is not held
    against anybody. Real
    predictions differ if they are a thousandth of the targets' standard deviation apart, whatever the
    spread of the predictions: those of a collapsed training have none.
    """
    allowed = 0.0 if dataset.classes else PARTED * float(np.std(dataset.y))
    trained = records[records["status"].isin(TRAINED)]
    keys = [name for name in KEY if name in predictions]
    predictions = predictions.merge(trained[keys], on=keys)
    present = [name for name in experiment.backends if (trained["backend"] == name).any()]
    frames = []
    for names in recipes(experiment, present, dtypes=True):
        if len(names) < 2 or any(experiment.recipe(name).watches_training for name in names):
            continue
        apart = pd.concat(
            [_apart(predictions, a, b, allowed) for a, b in combinations(names, 2)],
            ignore_index=True,
        )
        worst = apart.groupby(_TRAINING)[["apart"]].max().assign(alone=_alone(apart, names))
        own = trained[trained["backend"].isin(names)]
        scores = own.groupby(_TRAINING)[f"test_{experiment.metrics[0]}"]
        worst["gap"] = (scores.max() - scores.min()).reindex(worst.index).fillna(0.0)
        worst = worst[worst["apart"] > 0].reset_index()
        frames.append(worst.assign(recipe=", ".join(names)))
    found = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=_FOUND_COLUMNS)
    return found[_FOUND_COLUMNS]


def _alone(pairs: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Of every training the backend without whose pairs the others are alike; "" if there is none.

    pairs: columns eta, lmbd, repeat, a, b, apart. Where only two have labels, neither is alone.
    """
    most = pairs.groupby(_TRAINING)["apart"].max()
    alone = pd.Series("", most.index)
    for name in names:
        others = pairs[(pairs["a"] != name) & (pairs["b"] != name)]
        left = others.groupby(_TRAINING)["apart"].max().reindex(most.index)
        alone[(left == 0) & (most > 0)] = name
    return alone


def _apart(predictions: pd.DataFrame, a: str, b: str, allowed: float) -> pd.DataFrame:
    """How far two backends are apart in every cell and repeat: eta, lmbd, repeat, apart, a, b.

    ``allowed``: how far two real predictions may be from each other and still be the same.
    """
    sides = [
        predictions.loc[predictions["backend"] == name].set_index([*DISPUTED_CELL, "repeat"])[
            "predicted"
        ]
        for name in (a, b)
    ]
    both = pd.concat(sides, axis=1, join="inner", keys=["a", "b"])
    sizes = both.map(len)
    apart = (sizes["a"] != sizes["b"]).astype(float)
    whole = both[(sizes > 0).all(axis=1)]
    for _, alike in whole.groupby(whole["a"].map(len)):  # folds may differ by a sample
        one, other = (np.stack(list(alike[side])) for side in ("a", "b"))
        if one.dtype.kind == "f":
            apart[alike.index] = (np.abs(one - other) > allowed).mean(axis=1)
        else:
            apart[alike.index] = (one != other).mean(axis=1)
    return apart.rename("apart").reset_index().assign(a=a, b=b)


def looked_at_again(
    experiment: Experiment, dataset: Dataset, found: pd.DataFrame, follow: Follow | None = None
) -> pd.DataFrame:
    """Disputes with what round-off alone does there: ``status``, ``difference``, ``swing``.

    As :mod:`harness.roundoff.chaos_map` gives them, the worst of the first three repeats; of a cell
    that was not looked at, because there are too many, the status is empty. ``followed``: what
    ``follow`` came to, in the few cells furthest apart of those that round-off does not account for.
    """
    repeats = range(min(experiment.repeats, _REPEATS))
    frames = []
    for _, cells in found.groupby("recipe", sort=False):
        ranked = (
            cells.groupby(DISPUTED_CELL)["apart"].max().sort_values(ascending=False, kind="stable")
        )
        numbered = {cell: number for number, cell in enumerate(experiment.cells)}
        picked = sorted(
            numbered[cell] for cell in ranked.index[: max(1, MOST_CELLS // len(repeats))]
        )
        words = "1 cell that is" if len(picked) == 1 else f"{len(picked)} cells that are"
        _logger.info("looking again at %s not labelled alike", words)
        with threadpool_limits(1):  # another number of threads rounds differently
            seen = _chaos(experiment, dataset, cells, picked)
        seen["rank"] = seen["status"].map(_KINDS.index)
        worst = seen.groupby(DISPUTED_CELL, as_index=False)[["rank", "difference", "swing"]].max()
        worst["status"] = [_KINDS[rank] for rank in worst.pop("rank")]
        told = cells.merge(worst, on=DISPUTED_CELL, how="left").fillna({"status": ""})
        frames.append(_followed(experiment, told, follow))
    if not frames:
        return pd.DataFrame(columns=DISPUTE_COLUMNS)
    return pd.concat(frames, ignore_index=True)[DISPUTE_COLUMNS]


def _followed(
    experiment: Experiment, looked_at: pd.DataFrame, follow: Follow | None
) -> pd.DataFrame:
    """One recipe's disputes with what following the unexplained ones came to; in one repeat, a few cells."""
    looked_at = looked_at.assign(followed="")
    suspect = looked_at[dispute_kind(looked_at).isin(UNEXPLAINED)]
    if follow is None or suspect.empty:
        return looked_at
    furthest = suspect.sort_values("apart", ascending=False, kind="stable")
    repeat = int(furthest["repeat"].iloc[0])
    picked = furthest[furthest["repeat"] == repeat].iloc[:_FOLLOWED]
    numbers = [
        experiment.cells.index(cell) for cell in zip(picked["eta"], picked["lmbd"], strict=True)
    ]
    names = str(picked["recipe"].iloc[0]).split(", ")
    own = experiment.model_copy(update={"backends": tuple(names)})
    what = "1 cell" if len(numbers) == 1 else f"{len(numbers)} cells"
    _logger.info("following %s that round-off does not explain, step by step", what)
    looked_at.loc[picked.index, "followed"] = follow(own, repeat, sorted(numbers))
    return looked_at


def _chaos(
    experiment: Experiment, dataset: Dataset, found: pd.DataFrame, cells: Sequence[int]
) -> pd.DataFrame:
    """The chaos map of some cells.

    A single twin shows chaos; where it shows none, all of them look. More of them look at the cell where
    chaos moved the test score least, beside how far the backends are apart.
    """
    name = str(found["recipe"].iloc[0]).split(", ")[0]
    repeats, picked = range(min(experiment.repeats, _REPEATS)), np.array(cells)
    gap = found[found["repeat"].isin(repeats)].groupby(DISPUTED_CELL)["gap"].max()
    seen = chaos_map(experiment, dataset, name, repeats, picked, twins=1)
    for twins in (TWINS, _MOST_TWINS):
        worst = seen.groupby(DISPUTED_CELL)[["chaotic", "swing"]].max()
        calm, short = ~worst["chaotic"].astype(bool), gap.reindex(worst.index) - worst["swing"]
        short = short.mask(calm, 0.0)
        again = calm if twins == TWINS else (short > 0) & (short == short.max())
        picked_again = picked[[bool(again[experiment.cells[number]]) for number in cells]]
        if len(picked_again):
            more = chaos_map(experiment, dataset, name, repeats, picked_again, twins=twins)
            seen = pd.concat([seen, more], ignore_index=True)
    return seen


def kinds(result: Result) -> dict[tuple[float, float], str]:
    """What kind of training each disputed cell is that was looked at: of ``_KINDS``, or unexplained."""
    if result.disputes is None:
        return {}
    told = result.disputes[result.disputes["status"] != ""]
    cells = zip(told["eta"], told["lmbd"], strict=True)
    return dict(zip(cells, dispute_kind(told), strict=True))


def dispute_kind(looked_at: pd.DataFrame) -> pd.Series:
    """The status, but ``unexplained`` where round-off was measured and came to less than what is disputed.

    It grew, and yet the twins stayed near and scored the same: what backends label otherwise there is
    not put down to it.
    """
    grew = looked_at["status"].isin(["sensitive", "chaotic"])
    near = (looked_at["swing"] == 0) & (looked_at["difference"] < _ELSEWHERE)
    return looked_at["status"].mask(grew & near, "unexplained")


def add_disputes(result: Result, dataset: Dataset, follow: Follow | None = None) -> Result:
    """The result with its disputed cells, looked at again unless that was done before; also on disk.

    Their hash stands in the result's manifest, which is the caller's to write.
    """
    folder, files = RunFolder(result.address), result.manifest.get("files", {})
    found = disputes(result.experiment, dataset, result.records, result.predictions)
    if _KEPT in files and folder.exists(_KEPT):
        content = folder.read(_KEPT)
        if content_hash(content) == files[_KEPT]:
            kept, _ = parquet_frame(content)
            if {*DISPUTE_COLUMNS} <= {*kept} and kept[found.columns].equals(found):
                return replace(result, disputes=kept)
        else:
            _logger.warning("%s is damaged: the cells are looked at again", folder.path(_KEPT))
    looked = looked_at_again(result.experiment, dataset, found, follow)
    files = files | {_KEPT: folder.write_frame(_KEPT, looked)}
    return replace(result, disputes=looked, manifest=result.manifest | {"files": files})
