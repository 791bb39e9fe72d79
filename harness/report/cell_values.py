"""What the page's explorer shows: every cell of every side as compact columns, for JSON.

All sides lie on one grid, the union of theirs, its cells numbered with lmbd running fastest.
What would be too large is left out by a rule, and ``notes`` say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import load_dataset
from harness.document import number_words
from harness.document.attempt import attempt
from harness.document.heatmaps import colour_stops
from harness.document.plain import rounded
from harness.report.agreement import CellAgreement, agreement_with, cell_command
from harness.report.chosen_cells import mean_interval
from harness.report.curves_section import CONFUSED, curve_samples_words
from harness.report.decision_regions import add_decision_regions
from harness.report.runs import Material
from harness.results.backend_grid import BackendGrid, common_grid, same_samples
from harness.results.result import Result
from harness.roundoff.disputed_cells import kinds
from harness.roundoff.trial import recipes
from harness.training.evaluate import CERTAINTY, PARTS
from harness.training.status import Status

_CURVE_DIGITS = 4
_MOST_CURVES = (
    120_000  # rows of learning curves that are kept one by one; of more the mean over repeats
)
_MOST_LABELS = 1_500_000  # predicted labels that are kept
_MOST_CERTAINTIES = 120_000  # numbers on how sure networks are of samples
_MOST_REPEATED = 50_000  # networks whose scores are kept repeat by repeat
_MOST_PAIRED = 8  # sides of which every pair is compared; of more each with its reference
_MOST_PICTURES = 300
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def cell_values(material: Material) -> dict[str, Any]:
    """All that the explorer shows, in what JSON has."""
    sides = material.sides
    eta = sorted({float(v) for side in sides for v in side.eta})
    lmbd = sorted({float(v) for side in sides for v in side.lmbd})
    places = [_places(side, eta, lmbd) for side in sides]
    notes: list[str] = curve_samples_words(material)
    if not all(result.experiment.validation_size for result in material.results):
        notes.append(
            "Without a part for validation the test part stands in for it, in the curves as well."
        )
    runs = {id(result): number for number, result in enumerate(material.results)}
    cells = len(eta) * len(lmbd)
    one_by_one = sum(side.statuses.size for side in sides) <= _MOST_REPEATED
    if not one_by_one and any(side.repeats > 1 for side in sides):
        notes.append("Scores are mean and sd over repeats; records.csv has those of each.")
    shown = [
        _side(side, runs[id(side.result)], place, cells, one_by_one)
        for side, place in zip(sides, places, strict=True)
    ]
    compared = _compared(material)
    curves = _curves(sides, places, shown, cells, notes)
    labels = _labels(material, places, shown, compared, notes)
    _certainties(material, places, shown, labels["texts"], notes)
    remarkable = _remarkable(material, places, shown, compared)
    regions = add_decision_regions(sides, places, shown, remarkable, notes)
    return {
        "eta": eta,
        "lmbd": lmbd,
        "eta_names": [number_words.tick(v) for v in eta],
        "lmbd_names": [number_words.tick(v) for v in lmbd],
        "runs": [_run(n, r) for n, r in zip(material.names, material.results, strict=True)],
        "sides": shown,
        "quantities": _quantities(material),
        "pairs": [_pair(c, sides, places, cells) for c in compared if c.both.any()],
        "kinds": _kinds(material, eta, lmbd),
        "curves": curves,
        "labels": labels,
        "regions": regions,
        "pictures": _pictures(material, labels, shown),
        "colours": {
            name: colour_stops(name) for name in ("viridis", "vlag", "cividis", "rocket_r")
        },
        "confused": CONFUSED,
        "notes": notes,
    }


def _places(side: BackendGrid, eta: Sequence[float], lmbd: Sequence[float]) -> NDArray[np.int64]:
    """The number of each of a side's cells among those of the common grid, (cells,)."""
    rows, columns = np.searchsorted(eta, side.eta), np.searchsorted(lmbd, side.lmbd)
    return np.asarray((rows[:, None] * len(lmbd) + columns).ravel())


def _spread(values: list[Any], place: NDArray[np.int64], cells: int) -> list[Any]:
    """A side's values on the common grid; None where it has no cell."""
    whole: list[Any] = [None] * cells
    for number, value in zip(place.tolist(), values, strict=True):
        whole[number] = value
    return whole


def _side(
    side: BackendGrid, run: int, place: NDArray[np.int64], cells: int, one_by_one: bool
) -> dict[str, Any]:
    """One side's scores, losses and seconds; the main ones of every repeat too if ``one_by_one``."""
    columns: dict[str, Any] = {}
    repeated = side.repeats > 1
    for part in PARTS:
        for score in ("loss", *_scores(side)):
            name = f"{part}_{score}"
            column = {"mean": _spread(rounded(side.mean(name)), place, cells)}
            if repeated:
                column["sd"] = _spread(rounded(side.sd(name), 4), place, cells)
            if repeated and one_by_one and score in ("loss", side.metric):
                values = side.values(name).reshape(-1, side.repeats)
                column["all"] = _spread([rounded(row) for row in values], place, cells)
            if "all" in column and name == f"test_{side.metric}":
                for end, ends in zip(("low", "high"), mean_interval(side, name), strict=True):
                    column[end] = _spread(rounded(ends), place, cells)
            columns[name] = column
    seconds = side.records["seconds"].to_numpy(float).reshape(*side.shape, side.repeats)
    columns["seconds"] = {"mean": _spread(rounded(seconds.mean(axis=2), 3), place, cells)}
    if "epochs" in side.records:
        epochs = side.records["epochs"].astype("Float64").to_numpy(float, na_value=np.nan)
        means = epochs.reshape(*side.shape, side.repeats).mean(axis=2)
        columns["epochs"] = {"mean": _spread(rounded(means, 4), place, cells)}
    first = (side.statuses != Status.OK).argmax(axis=2)
    reasons = side.records["reason"].to_numpy().reshape(side.statuses.shape)
    reason = np.take_along_axis(reasons, first[..., None], axis=2)[..., 0]
    told: dict[str, int] = {}
    said = [told.setdefault(str(r), len(told)) for r in reason.ravel()]
    chosen = _chosen(side, place)
    return {
        "label": side.label,
        "run": run,
        "recipe": _recipe(side),
        "metric": side.metric,
        "repeats": side.repeats,
        "status": _spread([str(s) for s in side.status.ravel()], place, cells),
        "reasons": list(told),
        "reason": _spread(said, place, cells),
        "chosen": chosen,
        "columns": columns,
    }


def _recipe(side: BackendGrid) -> int:
    """The number of a side's recipe in its run: sides of one number are to train the same networks."""
    groups = recipes(side.result.experiment, side.result.backends, dtypes=True)
    return next(number for number, names in enumerate(groups) if side.backend in names)


def _chosen(side: BackendGrid, place: NDArray[np.int64]) -> int:
    """The number of the chosen cell on the common grid, -1 where none was chosen."""
    if side.chosen is None:
        return -1
    row, column = side.chosen
    return int(place[row * len(side.lmbd) + column])


def _scores(side: BackendGrid) -> list[str]:
    """The scores that a side has of all parts."""
    return [
        name
        for name in number_words.NAMES
        if all(f"{part}_{name}" in side.records for part in PARTS)
    ]


def _quantities(material: Material) -> list[dict[str, Any]]:
    """What can be shown, in the order in which it is offered."""
    metrics = [*material.metrics, *(s for s in material.shown_scores if s not in material.metrics)]
    names = dict.fromkeys(
        [*metrics, "loss", *(n for side in material.sides for n in _scores(side))]
    )
    return [
        {
            "key": name,
            "name": number_words.NAMES.get(name, name),
            "percent": name in number_words.PERCENT,
            "positive": name in ("loss", "rmse"),
        }
        for name in names
    ]


def _compared(material: Material) -> list[CellAgreement]:
    """Sides against each other: every pair of those on the same samples, or each with its reference.

    Those of a later run have two: the same backend of the first run, and their own run's first.
    """
    trained = [side for side in material.sides if side.ok.any()]
    if len(trained) > _MOST_PAIRED:
        later = [[s for s in trained if s.result is result] for result in material.results[1:]]
        within = [agreement_with(side, own[0]) for own in later for side in own[1:]]
        return [*material.compared, *within]
    return [
        agreement_with(b, a)
        for a, b in combinations(trained, 2)
        if all(common_grid(a, b)[0].shape) and same_samples(a, b)
    ]


def _pair(
    c: CellAgreement, sides: Sequence[BackendGrid], places: Sequence[NDArray[np.int64]], cells: int
) -> dict[str, Any]:
    """How far one side and another agree, cell by cell."""
    a, b = _number(sides, c.side), _number(sides, c.reference)
    names = {cell: int(place) for cell, place in zip(sides[a].cells, places[a], strict=True)}
    place = np.array([names[cell] for cell in c.side.cells])
    return {
        "sides": [a, b],
        "alike": _spread(rounded(c.alike), place, cells),
        "apart": sorted(place[(c.both & ~c.same).ravel()].tolist()),
    }


def _kinds(material: Material, eta: Sequence[float], lmbd: Sequence[float]) -> list[dict[str, Any]]:
    """Of every run the cells that backends do not label alike, with what was seen of them."""
    told = []
    for result in material.results:
        cells: dict[str, Any] = {}
        known = kinds(result)
        if result.disputes is not None:
            worst = result.disputes.groupby(["eta", "lmbd"])
            for (e, m), rows in worst:
                cell = float(e), float(m)  # type: ignore[arg-type]
                number = list(eta).index(cell[0]) * len(lmbd) + list(lmbd).index(cell[1])
                seen = rows.reindex(columns=["difference", "swing", "apart"]).max()
                alone = set(rows["alone"]) if "alone" in rows else {""}
                cells[str(number)] = {
                    "kind": known.get(cell, "") or "not looked at",
                    "difference": rounded(np.array([seen["difference"]]), 3)[0],
                    "swing": rounded(np.array([seen["swing"]]), 3)[0],
                    "alone": next(iter(alone)) if len(alone) == 1 else "",
                    "followed": next((f for f in rows.get("followed", ()) if f), ""),
                }
        told.append({"cells": cells})
    return told


def _run(name: str, result: Result) -> dict[str, Any]:
    """What a run is called, and how a cell of it is run again; ``{eta}`` stands for a number."""
    address = result.address.rstrip("/")
    train, follow = (cell_command(result, "{eta}", "{lmbd}", verb) for verb in ("run", "parity"))
    classes = result.manifest["dataset"].get("classes") or []
    python = (
        "from harness import load_result, run\n"
        f"experiment = load_result({address!r}).experiment\n"
        'one = run(experiment.model_copy(update={"eta": ({eta},), "lmbd": ({lmbd},)}))\n'
        'one.records[["backend", "status", "test_loss"]]'
    )
    return {
        "name": name,
        "metric": result.metric,
        "classes": [str(c) for c in classes],
        "repeats": result.experiment.repeats,
        "validated": result.experiment.validation_size > 0,
        "commands": {
            "train only this cell": train,
            "follow it step by step": follow,
            "the same in Python": python,
        },
    }


def _curves(
    sides: Sequence[BackendGrid],
    places: Sequence[NDArray[np.int64]],
    shown: list[dict[str, Any]],
    cells: int,
    notes: list[str],
) -> dict[str, Any]:
    """Learning curves, equal ones once; each side is given the numbers of its own, cell by cell."""
    rows = sum(len(s.result.curves) for s in {id(s.result): s for s in sides}.values())
    table: dict[tuple[Any, ...], int] = {}
    epochs: dict[tuple[int, ...], int] = {}
    mean = rows > _MOST_CURVES
    for side, place, own in zip(sides, places, shown, strict=True):
        c = side.result.curves
        c = c[c["backend"] == side.backend]
        quantities = [f"{p}_{q}" for q in ("loss", side.metric) for p in ("train", "validation")]
        if mean and side.repeats > 1:
            c = (
                c.groupby(["eta", "lmbd", "epoch"], as_index=False)[quantities]
                .mean()
                .assign(repeat=0)
            )
        number = {cell: int(p) for cell, p in zip(side.cells, place, strict=True)}
        curves: list[Any] = [None] * cells
        c = c.sort_values(["eta", "lmbd", "repeat", "epoch"])
        values = c[quantities].to_numpy(float)
        keys = c[["eta", "lmbd", "repeat"]].to_numpy()
        starts: Any = (
            np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)]) if len(c) else []
        )
        ends = [*starts[1:], len(c)] if len(c) else []
        when = c["epoch"].to_numpy()
        for start, end in zip(starts, ends, strict=True):
            at = number[float(keys[start, 0]), float(keys[start, 1])]
            own_epochs = tuple(when[start:end].tolist())
            numbers = tuple(rounded(values[start:end].T, _CURVE_DIGITS))
            key = (epochs.setdefault(own_epochs, len(epochs)), *numbers)
            curves[at] = [*(curves[at] or []), table.setdefault(key, len(table))]
        own["curves"] = curves
    if mean and any(side.repeats > 1 for side in sides):
        notes.append("Learning curves are means over repeats: there are too many to keep each.")
    return {"epochs": [list(e) for e in epochs], "table": [list(t) for t in table]}


def _labels(
    material: Material,
    places: Sequence[NDArray[np.int64]],
    shown: list[dict[str, Any]],
    compared: Sequence[CellAgreement],
    notes: list[str],
) -> dict[str, Any]:
    """Predicted classes as texts, a sign a sample, equal ones once; the true ones; the samples' rows.

    Where they would be too many, those of cells that all sides label alike and nobody chose are left out,
    then those of the last sides.
    """
    texts: dict[str, int] = {}
    targets = [_targets(result) for result in material.results]
    amount = sum(s.statuses.size * len(s.result.target(0)) for s in material.sides)
    wanted = _remarkable(material, places, shown, compared) if amount > _MOST_LABELS else None
    room, left_out, cut = _MOST_LABELS, 0, 0
    for side, place, own in zip(material.sides, places, shown, strict=True):
        if targets[own["run"]] is None:
            continue
        kept: list[Any] = [None] * len(own["status"])
        predicted = side.predicted.reshape(-1, side.repeats)
        for number, of_repeats in zip(place.tolist(), predicted, strict=True):
            if wanted is not None and number not in wanted:
                left_out += 1
                continue
            if room <= 0:
                cut += 1
                continue
            signs = [_signs(labels) for labels in of_repeats]
            room -= sum(len(text) for text in signs if text not in texts)
            kept[number] = [texts.setdefault(text, len(texts)) for text in signs]
        own["labels"] = kept
    if left_out:
        notes.append(
            "Predictions of cells that all label alike, and nobody chose, are left out to keep the page "
            "small; predictions.parquet has all."
        )
    if cut:
        notes.append(
            f"Of {number_words.count(cut, 'cell')} more, counted for each backend, that differ or were "
            "chosen, predictions are left out too: there are too many."
        )
    return {
        "texts": list(texts),
        "true": [own and own[0] for own in targets],
        "rows": [own and own[1] for own in targets],
    }


def _certainties(
    material: Material,
    places: Sequence[NDArray[np.int64]],
    shown: list[dict[str, Any]],
    texts: Sequence[str],
    notes: list[str],
) -> None:
    """Give each side, cell by cell and repeat by repeat, how sure it is of samples that sides label apart.

    That is a list of samples, and one each of the probabilities of their labels and of the leads over the
    class that came next.
    """
    room, signs = _MOST_CERTAINTIES, [np.frombuffer(text.encode(), np.uint8) for text in texts]
    for run in range(len(material.results)):
        own = [k for k, side in enumerate(shown) if side["run"] == run and "labels" in side]
        kept = {
            k: [
                part
                for name in CERTAINTY
                if (part := material.sides[k].certainty(name)) is not None
            ]
            for k in own
        }
        own = [k for k in own if kept[k]]
        numbers = {k: {int(c): n for n, c in enumerate(places[k])} for k in own}
        for k in own:
            shown[k]["sure"] = [None] * len(shown[k]["labels"])
        for cell in range(len(shown[own[0]]["labels"])) if len(own) > 1 else ():
            there = [k for k in own if shown[k]["labels"][cell]]
            apart = [
                np.flatnonzero((labels != labels[0]).any(axis=0))
                for labels in _labels_of(there, shown, cell, signs)
            ]
            room -= 2 * len(there) * sum(map(len, apart))
            if room < 0:
                notes.append(
                    "How sure backends are of samples is left out of some cells: it is much."
                )
                return
            for k in there:
                of_repeats = []
                for repeat, samples in enumerate(apart):
                    place = (*divmod(numbers[k][cell], len(material.sides[k].lmbd)), repeat)
                    values = [part[place] for part in kept[k]]
                    whole = all(len(v) > samples.max(initial=-1) for v in values)
                    of_repeats.append(
                        [samples.tolist(), *(rounded(v[samples], 3) for v in values)]
                        if whole
                        else [[], [], []]
                    )
                shown[k]["sure"][cell] = of_repeats


def _labels_of(
    sides: Sequence[int],
    shown: Sequence[dict[str, Any]],
    cell: int,
    signs: Sequence[NDArray[np.uint8]],
) -> Iterator[NDArray[np.uint8]]:
    """The labels that some sides give in a cell, (sides, samples), repeat by repeat; those that have any."""
    for of_repeat in zip(*(shown[k]["labels"][cell] for k in sides), strict=False):
        given = [signs[number] for number in of_repeat if len(signs[number])]
        yield np.array(given) if given else np.zeros((1, 0), np.uint8)


def _targets(result: Result) -> tuple[list[str], list[list[int]]] | None:
    """The true classes of every repeat as texts, and the rows; None without classes, or with too many."""
    classes = len(result.manifest["dataset"].get("classes") or [])
    if not 0 < classes <= len(_ALPHABET):
        return None
    repeats = range(result.experiment.repeats)
    t = result.targets
    rows = [t[t["repeat"] == r]["row"].tolist() for r in repeats]
    if not rows[0]:
        rows = [t[t["repeat"] == -1]["row"].tolist()]
    return [_signs(result.target(r)) for r in repeats], rows


def _remarkable(
    material: Material,
    places: Sequence[NDArray[np.int64]],
    shown: Sequence[dict[str, Any]],
    compared: Sequence[CellAgreement],
) -> set[int]:
    """The numbers of cells that sides label differently or that were chosen."""
    numbers = {int(own["chosen"]) for own in shown}
    for c in compared:
        k = _number(material.sides, c.side)
        names = dict(zip(material.sides[k].cells, places[k].tolist(), strict=True))
        numbers |= {names[cell] for cell in c.side.names(c.both & ~c.same)}
    return numbers


def _number(sides: Sequence[BackendGrid], one: BackendGrid) -> int:
    """Which of the sides a grid, or a part of one, is of."""
    return next(
        k for k, s in enumerate(sides) if s.result is one.result and s.backend == one.backend
    )


def _signs(labels: NDArray[Any]) -> str:
    """Class numbers as a text, a sign each."""
    return "".join([_ALPHABET[int(k)] for k in labels])


def _pictures(
    material: Material, labels: dict[str, Any], shown: Sequence[dict[str, Any]]
) -> list[dict[str, Any] | None]:
    """Of every run whose features are square pictures, those samples that sides label differently."""
    return [
        attempt("the pictures", partial(_run_pictures, number, result, labels, shown))[0]
        for number, result in enumerate(material.results)
    ]


def _run_pictures(
    number: int, result: Result, labels: dict[str, Any], shown: Sequence[dict[str, Any]]
) -> dict[str, Any] | None:
    """Pictures of one run by row: a sign a pixel, 0 to Z; None where features are no square of numbers."""
    about = result.manifest["dataset"]
    width = round(about["features"] ** 0.5)
    if width * width != about["features"] or width < 8 or labels["true"][number] is None:
        return None
    wanted = _disputed_rows(number, labels, shown)
    if not wanted:
        return None
    dataset = load_dataset(result.experiment.model_copy(update={"scale": "none"}))
    if dataset.sha256 != about["sha256"]:
        return None
    x = np.asarray(dataset.x, float)
    low, high = float(x.min()), float(x.max())
    pixels = {}
    for row in wanted[:_MOST_PICTURES]:
        grey = np.clip((x[row] - low) / ((high - low) or 1.0) * 35, 0, 35).round().astype(int)
        pixels[str(row)] = _signs(grey)
    return {"width": width, "pixels": pixels}


def _disputed_rows(
    number: int, labels: dict[str, Any], shown: Sequence[dict[str, Any]]
) -> list[int]:
    """The rows of samples that sides of a run label differently in some cell, those most often first."""
    times: dict[int, int] = {}
    own = [side for side in shown if side["run"] == number and side.get("labels")]
    for cell in range(len(own[0]["labels"]) if len(own) > 1 else 0):
        given = [side["labels"][cell] for side in own if side["labels"][cell]]
        for repeat, texts in enumerate(zip(*given, strict=False)):
            written = [labels["texts"][k] for k in set(texts) if labels["texts"][k]]
            rows = labels["rows"][number]
            names = rows[min(repeat, len(rows) - 1)]
            for sample, signs in enumerate(zip(*written, strict=False) if len(written) > 1 else ()):
                if len(set(signs)) > 1:
                    times[names[sample]] = times.get(names[sample], 0) + 1
    return sorted(times, key=lambda row: (-times[row], row))
