"""What is shown of a check and of a baseline: one screen for a person, the same words in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.check.baseline import Baseline
from harness.check.decisive_tests import CHOSEN_CELL, Primary
from harness.check.verdict import CheckVerdict
from harness.document import numbers
from harness.document.numbers import cell, change, count, probability
from harness.document.section import NOTHING, Section, Table
from harness.results.result import CELL
from harness.stats.repeats import FORMULA, repeat_summary, repeat_table, selection_optimism

_SHOWN = 8  # rows of a listing

_CHANGES = {
    "identical": "the same predictions",
    "same": "the same up to round-off",
    "changed": "changed, and no worse",
}


def check_headline(verdict: CheckVerdict) -> str:
    """The answer in one line."""
    what = f"{run_name(verdict)} against baseline {verdict.baseline.name}"
    if verdict.outcome == "pass":
        return f"pass: {what}: {_CHANGES[verdict.word]}"
    if verdict.outcome == "not comparable":
        return f"not comparable: {what}: {verdict.obstacles[0]}"
    if verdict.outcome == "fail":
        return f"fail: {what}: {count(len(verdict.failures), 'failure')}"
    open_ = [p for p in verdict.primaries if p.outcome == "inconclusive"]
    return f"inconclusive: {what}: {_needed(open_)}"


def run_name(verdict: CheckVerdict) -> str:
    """The run's name; before there is one, words for it."""
    return verdict.run.name if verdict.run else "a run"


def _needed(open_: Sequence[Primary]) -> str:
    needed = [p.needed for p in open_]
    if not needed:
        return "the baseline has no cell that trained in every repeat"
    if min(needed) < 0:
        return "a difference lies too close to the margin for any number of repeats"
    return f"{max(needed)} repeats would decide"


def check_section(verdict: CheckVerdict) -> Section:
    """The verdict, ready for a terminal, Markdown or a report."""
    passed = verdict.outcome == "pass"
    return Section(
        "Check",
        text=[f"{check_headline(verdict)}.", *([] if verdict.obstacles else [_method(verdict)])],
        points=check_points(verdict),
        tables=[t for t in _tables(verdict) if len(t.frame)],
        kind="verdict" if passed else "warning",
    )


def check_points(verdict: CheckVerdict) -> list[str]:
    """What failed or hinders, what else a person should see; one line each."""
    said = [f"not comparable: {obstacle}" for obstacle in verdict.obstacles]
    said += [f"FAIL {finding}" for finding in verdict.failures]
    said += [
        f"OPEN {p.quantity.name}: {_open(p, verdict)}" for p in verdict.primaries if _is_open(p)
    ]
    if len(verdict.changed):
        first = verdict.changed.iloc[0]
        said.append(
            f"changed: {count(len(verdict.changed), 'stable cell')} moved by more than round-off, most "
            f"{first['backend']} at {cell(first['eta'], first['lmbd'])} (a loss by {first['shift']:.1e} "
            "of itself)"
        )
    said += _still(verdict)
    if len(verdict.fallen):
        first = verdict.fallen.iloc[0]
        said.append(
            f"warning: {count(len(verdict.fallen), 'single cell')} fell, most {first['backend']} at "
            f"{cell(first['eta'], first['lmbd'])} "
            f"({numbers.points(first['difference'], verdict.metric)}); this never fails a check"
        )
    return [*said, *verdict.layer.words, *verdict.notes]


def _is_open(primary: Primary) -> bool:
    return primary.outcome == "inconclusive"


def _open(primary: Primary, verdict: CheckVerdict) -> str:
    text = change(primary.difference, primary.low, primary.high, verdict.metric)
    if primary.needed < 0:
        return f"{text}; too close to the margin to be decided"
    most = verdict.baseline.repeats
    more = f"{text}; {primary.needed} repeats would decide, {verdict.repeats} were run"
    if primary.needed > most:
        return f"{more} (the baseline allows {most}: make one with {2 * primary.needed})"
    return f"{more}: --repeats {primary.needed}"


def _still(verdict: CheckVerdict) -> list[str]:
    """How many labels differ although nothing moved beyond round-off, and what chaos moved."""
    moved = verdict.moved
    if not len(moved) or verdict.word == "identical":
        return []
    said = []
    other = moved[~moved["same_labels"] & ~moved["moved"]]
    calm = other[~other["chaotic"]]
    if len(calm):
        said.append(f"{count(len(calm), 'network')} in stable cells differ in labels by round-off")
    if wild := int(other["chaotic"].sum()):
        said.append(f"{count(wild, 'network')} in chaotic cells differ in labels, as they may")
    return said


def _tables(verdict: CheckVerdict) -> list[Table]:
    """The primaries, and the cells that moved most."""
    metric = verdict.metric
    rows = [
        {
            "quantity": primary.quantity.name,
            "verdict": primary.outcome,
            "baseline": numbers.score(primary.then, metric),
            "now": numbers.score(primary.now, metric),
            "change": _interval(primary, metric),
            "p (worse)": probability(primary.p_worse).removeprefix("p = "),
            "test": _test(primary),
        }
        for primary in verdict.primaries
    ]
    made = [Table(pd.DataFrame(rows), "Primary quantities")]
    if len(verdict.changed):
        shown = verdict.changed.head(_SHOWN)
        frame = pd.DataFrame(
            {
                "cell": [
                    f"{b}, {cell(e, m)}"
                    for b, e, m in zip(shown["backend"], shown["eta"], shown["lmbd"], strict=True)
                ],
                "baseline": [numbers.score(v, metric) for v in shown["then"]],
                "now": [numbers.score(v, metric) for v in shown["now"]],
                "loss moved by": [NOTHING if v != v else f"{v:.1e}" for v in shown["shift"]],
            }
        )
        more = len(verdict.changed) - len(shown)
        caption = "Stable cells that moved most" + (f" ({more} more)" if more else "")
        made.append(Table(frame, caption, folded=True))
    return made


def _test(primary: Primary) -> str:
    if primary.difference == primary.low == primary.high == 0:
        return "none needed"
    return "paired" if primary.pairs else "two samples"


def _interval(primary: Primary, metric: str) -> str:
    mean, low, high = (
        numbers.difference(v, metric) for v in (primary.difference, primary.low, primary.high)
    )
    return mean if low == high else f"{mean} [{low}, {high}]"


def _method(verdict: CheckVerdict) -> str:
    """What was tested, how, on how much."""
    samples = len(verdict.run.target(0)) if verdict.run else 0
    chosen = any(p.quantity.kind == CHOSEN_CELL for p in verdict.primaries)
    return (
        f"Test {verdict.metric} of {', '.join(verdict.backends)} on {samples} samples; "
        f"{count(verdict.repeats, 'repeat')} against {verdict.baseline.experiment.repeats}. Fails on a "
        f"loss beyond {numbers.span(verdict.rules.margin, verdict.metric)} in "
        f"{'a chosen cell or ' if chosen else ''}the mean of stable cells: one-sided t tests, Holm's "
        f"correction over {count(len(verdict.primaries), 'test')}, family alpha {verdict.rules.alpha:g}."
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
            f"on {machine.get('cpu')}, {machine.get('platform')}, {threads} thread(s) a worker",
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
                "mean": numbers.score(own["mean"], metric),
                "sd": numbers.span(own["sd"], metric),
                "interval": " to ".join(numbers.score(own[k], metric) for k in ("low", "high")),
                "selection optimism": numbers.points(flattery, metric),
                "stable": "no" if key in baseline.chaotic else "yes",
            }
        )
    return pd.DataFrame(rows)
