"""The answer that a report begins with: do they agree, which cell is best, and how sure is that?"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
import pandas as pd

from harness.document import number_words
from harness.document.section import Section, Table
from harness.document.words import every, render, series
from harness.report.agreement import disputed_by_kind
from harness.report.chosen_cells import Choice, mean_interval
from harness.report.runs import Material
from harness.results.backend_grid import same_samples
from harness.results.result import Result
from harness.roundoff.disputed_cells import UNEXPLAINED
from harness.roundoff.trial import recipes
from harness.stats.agreement import mcnemar
from harness.stats.differences import paired
from harness.training.status import Status

_SENTENCES = "report/sentences.jinja"


def answer_section(material: Material) -> Section:
    """One sentence that begins with the answer's kind, and a table of two lines: the best cell, how sure."""
    finished = all(result.complete for result in material.results)
    words = [] if finished else ["Unfinished."]
    if material.several:
        words += _of_runs(material)
    else:
        words += _of_backends(material.results[0])
    rows = [
        ("Which cell is best?", _best(material.choices)),
        ("How sure is that?", _sure(material.choices)),
    ]
    frame = pd.DataFrame([row for row in rows if row[1]], columns=["question", "answer"])
    return Section(
        "Answer",
        text=[" ".join(words)],
        tables=[Table(frame)] if len(frame) else [],
        kind="verdict",
    )


def answer_kind(compared: int, kinds: pd.Series, looked: bool) -> str:
    """What the cells of backends trained alike say together.

    kinds: the kind of every cell that is not labelled alike, empty where it was not looked at. Gives back
    ``same`` (all alike, or round-off accounts for the rest), ``not the same``, ``undecided``, or ``nothing``
    where no cell could be compared.
    """
    if not compared:
        return "nothing"
    if kinds.isin(UNEXPLAINED).any():
        return "not the same"
    return "undecided" if len(kinds) and (not looked or (kinds == "").any()) else "same"


def _of_backends(result: Result) -> list[str]:
    """A sentence for every group of backends that train alike, or for one backend by itself."""
    trained = [name for name in result.backends if (result.of(name)["status"] == Status.OK).any()]
    groups = [g for g in recipes(result.experiment, trained, dtypes=True) if len(g) > 1]
    absent: dict[str, list[str]] = {}
    for name in result.backends:
        if name not in trained:
            statuses = result.of(name)["status"].unique()
            absent.setdefault(number_words.listed(list(map(str, statuses))), []).append(name)
    alone = [name for name in trained if groups and not any(name in group for group in groups)]
    words = render(_SENTENCES, "answer_rest", alone=alone, absent=absent if trained else {})
    rest = [words] if words else []
    if not groups:
        return [render(_SENTENCES, "answer_alone", backends=trained), *rest]
    said = []
    for names in groups:
        if any(result.experiment.recipe(name).watches_training for name in names):
            said.append(render(_SENTENCES, "answer_patience", backends=names))
            continue
        compared, kinds = disputed_by_kind(result, names)
        kind = answer_kind(compared, kinds, result.disputes is not None)
        counts = {str(k) or "not looked at": int(n) for k, n in kinds.value_counts().items()}
        said.append(
            render(
                _SENTENCES,
                "answer",
                kind=kind,
                who=every(len(names), "backend")
                if names == list(result.backends)
                else series(names),
                labels=result.metric == "accuracy",
                compared=compared,
                alike=compared - len(kinds),
                counts={"chaotic": 0, "unexplained": 0} | counts,
                looked=result.disputes is not None,
            )
        )
    return [*said, *rest]


def _of_runs(material: Material) -> list[str]:
    """How many cells of the runs are predicted alike by the same backend in each."""
    own = [
        c
        for c in material.compared
        if c.side.result is not c.reference.result and c.side.backend == c.reference.backend
    ]
    cells = sum(int(c.both.sum()) for c in own)
    same = sum(int(c.same.sum()) for c in own)
    labels = material.metrics == ["accuracy"]
    return [
        render(
            _SENTENCES, "answer_runs", names=material.names, cells=cells, same=same, labels=labels
        )
    ]


def _best(choices: Sequence[Choice]) -> str:
    """The chosen cells and what they score."""
    cells: dict[str, dict[str, list[str]]] = {}
    for choice in choices:
        score = number_words.shown_score(choice.test, choice.side.metric)
        of_cell = cells.setdefault(number_words.cell(choice.eta, choice.lmbd), {})
        of_cell.setdefault(score, []).append(choice.side.label)
    if not cells:
        return ""
    return render(
        _SENTENCES,
        "answer_best",
        cells=cells,
        metric=choices[0].side.metric,
        number=len(choices),
        validated=_validated(choices),
        repeats=min(choice.side.repeats for choice in choices),
    )


def _validated(choices: Sequence[Choice]) -> bool:
    """Whether no cell was chosen by the test part."""
    return all(choice.side.result.experiment.validation_size > 0 for choice in choices)


def _sure(choices: Sequence[Choice]) -> str:
    """What chance does to the best score, and whether the best backend is more than that above the worst."""
    if not choices:
        return ""
    best, worst = max(choices, key=lambda c: c.test), min(choices, key=lambda c: c.test)
    metric = best.side.metric
    p = _better(best, worst) if best.test > worst.test else float("nan")
    pairs = comb(len(choices), 2)
    p = of_picked_pair(p, pairs)
    scores = best.values(f"test_{metric}")
    ends = mean_interval(best.side, f"test_{metric}")
    shown = {number_words.shown_score(choice.test, metric) for choice in choices}
    return render(
        _SENTENCES,
        "answer_sure",
        metric=metric,
        repeats=len(scores),
        ends=(float(scores.min()), float(scores.max())),
        mean=tuple(float(end[best.row, best.column]) for end in ends),
        alike=len(shown) == 1,
        interval=best.one_accuracy if metric == "accuracy" else (),
        validated=_validated(choices),
        samples=best.samples,
        number=len(choices),
        best=best.side.label,
        bests=[choice.side.label for choice in choices if choice.test == best.test],
        worst=worst.side.label,
        gap=best.test - worst.test,
        p=None if np.isnan(p) else number_words.probability(p),
        chance=bool(np.isnan(p) or p >= 0.05),
        pairs=pairs,
        test="McNemar's exact test" if best.side.repeats == 1 else "a paired t test over repeats",
    )


def of_picked_pair(p: float, pairs: int) -> float:
    """The p value of the pair that differs most of so many (Bonferroni): it was picked, not given."""
    return min(1.0, p * pairs) if not np.isnan(p) else p


def _better(best: Choice, worst: Choice) -> float:
    """The p value of one choice against another on the same samples; NaN where none can be given."""
    if not same_samples(best.side, worst.side) or best.side.repeats != worst.side.repeats:
        return float("nan")
    if best.side.repeats > 1:
        column = f"test_{best.side.metric}"
        frame = paired(best.values(column)[None], worst.values(column)[None], margin=0.0)
        return float(frame["p_difference"].iloc[0])
    if best.side.metric != "accuracy":
        return float("nan")
    frame = mcnemar(best.labels, worst.labels, best.side.targets[0])
    return float(frame["p"].iloc[0])
