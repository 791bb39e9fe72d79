"""What is shown of a check and of a baseline: one screen for a person, the same words in Markdown."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pandas as pd

from harness.check.baseline import Baseline
from harness.check.decisive_tests import STABLE_CELL, Primary
from harness.check.verdict import CheckVerdict
from harness.document import number_words
from harness.document.number_words import cell, change, probability
from harness.document.section import NOTHING, Section, Table
from harness.document.words import render
from harness.results.result import CELL
from harness.stats.repeats import FORMULA, repeat_summary, repeat_table, selection_optimism

_SENTENCES = "check/sentences.jinja"
_POINTS = 2  # lines of failures, and of what is open, on a terminal
_SHOWN = 8  # rows of a listing


def check_headline(verdict: CheckVerdict) -> str:
    """The answer in one line."""
    open_ = [p for p in verdict.primaries if p.outcome == "inconclusive"]
    return render(
        _SENTENCES,
        "headline",
        outcome=verdict.outcome,
        word=verdict.word,
        run=run_name(verdict),
        baseline=verdict.baseline.name,
        obstacle=verdict.obstacles[0] if verdict.obstacles else "",
        failures=len(verdict.failures),
        needed=[p.needed for p in open_],
        measured=not any(np.isnan(p.difference) for p in open_),
        repeats=verdict.repeats,
    )


def run_name(verdict: CheckVerdict) -> str:
    """The run's name; before there is one, words for it."""
    return verdict.run.name if verdict.run else "a run"


def check_section(verdict: CheckVerdict, *, short: bool = False) -> Section:
    """The verdict, ready for Markdown or a report; ``short``: for a terminal."""
    return Section(
        "Check",
        text=[f"{check_headline(verdict)}."],
        points=check_points(verdict, _POINTS if short else None),
        tables=[table for table in _tables(verdict) if len(table.frame)],
        kind="verdict" if verdict.outcome == "pass" else "warning",
        method=[] if verdict.obstacles else [_method(verdict)],
    )


def _tables(verdict: CheckVerdict) -> list[Table]:
    """What was tested; and where that leaves nothing to explain, the cells that moved all the same."""
    passed = all(primary.outcome == "pass" for primary in verdict.primaries)
    return [_tests(verdict), *([_changed(verdict)] if passed else [])]


def check_points(verdict: CheckVerdict, most: int | None = None) -> list[str]:
    """What failed or hinders, what else a person should see; one line each, ``most`` of a sort."""
    said = [f"not comparable: {obstacle}" for obstacle in verdict.obstacles[1:]]
    said += _first([f"FAIL {finding}" for finding in verdict.failures], "FAIL", most)
    waits = verdict.outcome in ("inconclusive", "fail")
    open_ = tuple(p for p in verdict.primaries if p.outcome == "inconclusive" and waits)
    said += _first([_open(names, p, verdict) for names, p in _alike(open_)], "OPEN", most)
    if len(verdict.changed):
        first = verdict.changed.iloc[0]
        said.append(_say("changed", cells=len(verdict.changed), first=first))
    said += _unchanged(verdict)
    said += _round_off(verdict)
    said += [
        _say(
            "chaotic",
            choice=choice,
            metric=verdict.metric,
            p=probability(choice.p),
            alone=any(
                p.quantity.chaotic and p.quantity.backend == choice.backend
                for p in verdict.primaries
            ),
        )
        for choice in verdict.chaotic
        if verdict.word != "identical"
    ]
    if len(verdict.fallen):
        first = verdict.fallen.iloc[0]
        said.append(_say("fallen", cells=len(verdict.fallen), first=first, metric=verdict.metric))
    return [*said, *verdict.signs.words, *verdict.notes]


def _say(block: str, /, **values: object) -> str:
    return render(_SENTENCES, block, **values)


def _first(lines: list[str], mark: str, most: int | None) -> list[str]:
    """The first lines of many, and how many are left."""
    left = 0 if most is None else len(lines) - most
    return [*lines[:most], f"{mark} {left} more: --json has all"] if left > 1 else lines


def _open(backends: list[str], primary: Primary, verdict: CheckVerdict) -> str:
    """Where quantities stand that are not decided, and what would decide them."""
    return _say(
        "open",
        name=f"{', '.join(backends)}, {primary.quantity.what}",
        change=change(primary.difference, primary.low, primary.low, verdict.metric),
        measured=not np.isnan(primary.difference),
        needed=primary.needed,
        repeats=verdict.repeats,
        ends=len(verdict.looks) > 1,
        most=verdict.baseline.repeats,
    )


def _alike(primaries: tuple[Primary, ...]) -> list[tuple[list[str], Primary]]:
    """Primaries that differ by nothing but their backend, together: the backends, and one of them."""

    def shown(p: Primary) -> tuple[object, ...]:
        values = (p.then, p.now, p.difference, p.low, p.high, p.p_worse)
        return (p.quantity.what, p.outcome, p.test, p.repeats, *(f"{v:.9g}" for v in values))

    kinds = {p.quantity.what: k for k, p in reversed([*enumerate(primaries)])}
    ordered = sorted(primaries, key=lambda p: (kinds[p.quantity.what], str(shown(p))))
    groups = [list(group) for _, group in groupby(ordered, key=shown)]
    return [([p.quantity.backend for p in group], group[0]) for group in groups]


def _unchanged(verdict: CheckVerdict) -> list[str]:
    """The quantities that needed no test, a line for those of the same backends."""
    still = tuple(p for p in verdict.primaries if p.test == "none needed")
    by_backends: dict[str, list[Primary]] = {}
    for backends, primary in _alike(still):
        by_backends.setdefault(", ".join(backends), []).append(primary)
    return [
        _say(
            "unchanged",
            backends=backends,
            primaries=group,
            metric=verdict.metric,
            pairs=group[0].repeats[1],
            repeats=verdict.baseline.experiment.repeats,
        )
        for backends, group in by_backends.items()
    ]


def _round_off(verdict: CheckVerdict) -> list[str]:
    """How many labels differ although nothing moved beyond round-off, and what chaos moved."""
    moved = verdict.moved
    if not len(moved) or verdict.word == "identical":
        return []
    other = moved[~moved["same_labels"] & ~moved["moved"]]
    calm, wild = int((~other["chaotic"]).sum()), int(other["chaotic"].sum())
    said = [_say("labels", networks=calm, chaotic=False)] if calm else []
    return said + ([_say("labels", networks=wild, chaotic=True)] if wild else [])


def _tests(verdict: CheckVerdict) -> Table:
    """The quantities that were tested; those that are alike but for their backend share a row."""
    metric = verdict.metric
    tested = tuple(p for p in verdict.primaries if p.test != "none needed")
    rows = [
        {
            "backend": ", ".join(backends),
            "quantity": _short(primary),
            "verdict": "open" if primary.outcome == "inconclusive" else primary.outcome,
            "baseline": number_words.shown_score(primary.then, metric),
            "now": number_words.shown_score(primary.now, metric),
            "change": _change(primary, metric),
        }
        for backends, primary in _alike(tested)
    ]
    caption = "What was tested, with the change's 95 % interval"
    if pairs := next((p.repeats[0] for p in tested if p.test == "paired"), 0):
        caption += f"; in pairs: {_of_repeats(pairs, verdict.baseline.experiment.repeats)}"
    return Table(pd.DataFrame(rows), caption)


def _of_repeats(pairs: int, held: int) -> str:
    return f"all {held} repeats" if pairs == held else f"the first {pairs} of {held} repeats"


def _short(primary: Primary) -> str:
    """A quantity in few words, and whether the numbers are of the same repeats on both sides."""
    quantity = primary.quantity
    one = "best stable" if quantity.kind == STABLE_CELL else "chosen"
    what = one if len(quantity.cells) == 1 else f"{len(quantity.cells)} stable"
    return f"{what}, in pairs" if primary.test == "paired" else what


def _changed(verdict: CheckVerdict) -> Table:
    """The stable cells that moved most."""
    shown, metric = verdict.changed.head(_SHOWN), verdict.metric
    rows = [
        {
            "cell": f"{row['backend']}, {cell(row['eta'], row['lmbd'])}",
            "baseline": number_words.shown_score(row["then"], metric),
            "now": number_words.shown_score(row["now"], metric),
            "loss moved by": NOTHING if row["shift"] != row["shift"] else f"{row['shift']:.1e}",
        }
        for row in shown.to_dict("records")
    ]
    more = len(verdict.changed) - len(shown)
    caption = "Stable cells that moved most" + (f" ({more} more)" if more else "")
    return Table(pd.DataFrame(rows), caption, folded=True)


def _change(primary: Primary, metric: str) -> str:
    mean = number_words.difference(primary.difference, metric)
    if primary.low == primary.high or np.isnan(primary.difference):
        return mean
    ends = (number_words.difference(end, metric) for end in (primary.low, primary.high))
    return f"{mean} [{', '.join(ends)}]"


def _method(verdict: CheckVerdict) -> str:
    """What was tested, how, on how much."""
    return _say(
        "method",
        metric=verdict.metric,
        backends=verdict.backends,
        samples=len(verdict.run.target(0)) if verdict.run else 0,
        repeats=verdict.repeats,
        held=verdict.baseline.experiment.repeats,
        rules=verdict.rules,
        tests=len(verdict.primaries),
        looks=verdict.looks,
        paired=any(p.test == "paired" for p in verdict.primaries),
    )


def baseline_section(baseline: Baseline) -> Section:
    """The baseline's origin, stability and chosen cells."""
    facts, experiment = baseline.facts, baseline.experiment
    data, run = facts["dataset"], facts["run"]
    versions = ", ".join(f"{k} {v}" for k, v in facts["versions"].items())
    machine, threads = facts["machine"], facts["execution"].get("threads")
    parts = ", ".join(f"{n} {part}" for part, n in data["parts"].items())
    return Section(
        f"Baseline {baseline.name}",
        text=[
            f"{baseline.name}: {data['name']}, {', '.join(baseline.result.backends)}, "
            f"{len(experiment.eta)} × {len(experiment.lmbd)} grid, {experiment.repeats} repeats "
            f"({experiment.what_varies})",
            f"Interval: {FORMULA}.",
        ],
        points=[
            f"saved {facts['saved']}, from a run of {run.get('created')} at commit "
            f"{run.get('git_commit') or 'unknown'}",
            f"data: {data['source']}, {parts}; sha256 {data['sha256'][:12]}",
            f"made with {versions}",
            f"on {machine.get('cpu')}, {machine.get('platform')}, {threads} "
            f"{'thread' if threads == 1 else 'threads'} a worker",
            f"stability: {_stability(baseline)}",
            f"over the first steps: {_parity(baseline)}",
            f"a check runs the first {baseline.repeats} repeats again",
        ],
        tables=[Table(_chosen(baseline), "Chosen cells, test score over repeats")],
        kind="verdict",
    )


def _stability(baseline: Baseline) -> str:
    if baseline.chaos is None:
        return "not measured"
    cells = len(baseline.chaos)
    return f"{len(baseline.chaotic)} of {cells} cells, over all backends, are chaotic"


def _parity(baseline: Baseline) -> str:
    found = baseline.facts["parity"]
    told = [f"{backend} {facts['outcome']}" for backend, facts in found.items()]
    return ", ".join(told) or "not measured"


def _chosen(baseline: Baseline) -> pd.DataFrame:
    result, metric = baseline.result, baseline.result.metric
    cells = repeat_summary(result.records, f"test_{metric}").to_dict("records")
    spread = {(row["backend"], row["eta"], row["lmbd"]): row for row in cells}
    best = result.best()
    test = repeat_table(result.records, f"test_{metric}")
    optimism = selection_optimism(test, best, metric)
    rows = []
    for key, flattery in zip(best[CELL].itertuples(index=False, name=None), optimism, strict=True):
        own = spread[key]
        backend, eta, lmbd = key
        rows.append(
            {
                "backend": backend,
                "cell": cell(eta, lmbd),
                "mean": number_words.shown_score(own["mean"], metric),
                "sd": number_words.span(own["sd"], metric),
                "interval": number_words.score_range(own["low"], own["high"], metric),
                "selection optimism": number_words.points(flattery, metric),
                "stable": "no" if key in baseline.chaotic else "yes",
            }
        )
    return pd.DataFrame(rows)
