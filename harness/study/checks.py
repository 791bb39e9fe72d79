"""A study as baselines, one for each point, and the check of all of them, corrected for all together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from shlex import quote
from typing import Any

import pandas as pd

from harness.check.baseline import (
    POINT_LIST,
    baseline_names,
    load_baseline,
    remove_baseline,
    require_savable,
)
from harness.check.check import check
from harness.check.decisive_tests import CheckRules
from harness.check.section import check_headline, check_section
from harness.check.verdict import CheckVerdict
from harness.document import number_words
from harness.document.section import Section, Table, Title
from harness.document.words import paragraphs, render
from harness.document.writer import PageAddress, write_sections
from harness.errors import ExitCode, InputError
from harness.results.file_names import folder_name
from harness.results.manifest import now
from harness.results.result import load_result
from harness.results.run_folder import DAMAGE, RunFolder
from harness.study.study import POINTS, StudyResult, facts_there

_SENTENCES = "study/sentences.jinja"


def point_folders(study: StudyResult) -> dict[str, str]:
    """The run folder of each point that was run, by its name."""
    folders = [str(f) for f in study.points["folder"] if f]
    return {f.rsplit("/", 1)[-1]: f"{study.address.rstrip('/')}/{f}" for f in folders}


@contextmanager
def study_baseline(
    study: StudyResult, name: str, folder: str, *, replace: bool = False
) -> Iterator[tuple[str, dict[str, str]]]:
    """Inside, the points of a study are to be saved: the folder of their baselines, and each point's run.

    :class:`InputError`, before anything is written, if one of the points cannot be saved. The names of all
    points are kept, and that they are saved only once the caller is done, so that a part of them is never
    taken for the baseline. Points that a study saved there before had, and this one has not, are removed.
    """
    place = f"{folder.rstrip('/')}/{folder_name('name', name)}"
    points, home = point_folders(study), RunFolder(place)
    if home.exists("baseline.json"):
        raise InputError(f"name: {name!r} is the baseline of a run; choose another name")
    begun = _points_there(home)
    for point, run in points.items():
        again = replace or (begun is not None and not begun["saved"])
        require_savable(load_result(run), point, place, replace=again)
    home.write_json(POINT_LIST, {"points": sorted(points), "saved": None})
    yield place, points
    for point in set(begun["points"] if begun else ()) - set(points):
        remove_baseline(point, place)
    home.write_json(POINT_LIST, {"points": sorted(points), "saved": now()})


def study_baselines(name: str, folder: str) -> list[str]:
    """The points of which a study's baseline has one each; none if ``name`` is no study's.

    :class:`InputError` if it has not all that were saved.
    """
    home = RunFolder(f"{folder.rstrip('/')}/{folder_name('baseline', name)}")
    if not home.fs.isdir(home.root) or home.exists("baseline.json"):
        return []
    there, known = baseline_names(home.address), _points_there(home)
    again = f"'harness baseline save STUDY --name {quote(name)} --replace' saves it again"
    if known is None:
        if there:
            raise InputError(
                f"baseline: {home.address!r} has no {POINT_LIST}, which names a study's points; {again}, "
                f"--folder {quote(home.address)} --baseline {quote(there[0])} takes one of those in it"
            )
        return []
    if not known["saved"]:
        raise InputError(f"baseline: {home.address!r} was not saved to its end; {again}")
    lost = [point for point in known["points"] if point not in there]
    if lost:
        raise InputError(
            f"baseline: {home.address!r} lacks {len(lost)} of {len(known['points'])} points "
            f"({number_words.listed(lost)}); git checkout {home.address} brings back what was deleted, "
            f"{again}"
        )
    return list(known["points"])


def _points_there(home: RunFolder) -> dict[str, Any] | None:
    """What is known of the points of a study's baseline; None where there is none."""
    try:
        known = home.read_json(POINT_LIST)
        return {"points": [str(point) for point in known["points"]], "saved": known["saved"]}
    except FileNotFoundError:
        return None
    except DAMAGE as error:
        raise InputError(
            f"baseline: {POINT_LIST} of {home.address!r} is damaged ({error}); git checkout {home.address} "
            "brings it back"
        ) from None


def check_study(
    name: str, folder: str, points: Sequence[str], run: str | None, rules: CheckRules, **how: Any
) -> Iterator[tuple[str, CheckVerdict]]:
    """The verdict on every point's baseline, each at its share of the error: alpha over the number of points.

    ``run``: a study whose points are judged, in place of running them again; ``how``: see
    :func:`harness.check.check.check`. By Bonferroni's inequality all tests of all points together alarm
    falsely with the probability alpha at most.
    """
    place = f"{folder.rstrip('/')}/{name}"
    shared = replace(rules, alpha=rules.alpha / len(points))
    for point in points:
        own = None if run is None else f"{run.rstrip('/')}/{POINTS}/{point}"
        if own is not None and not RunFolder(own).is_run():
            raise InputError(f"run: {run!r} has no point {point!r}, which the baseline has")
        yield point, check(load_baseline(point, place), own, rules=shared, **how)


def points_beside(points: Sequence[str], run: str) -> list[str]:
    """The points of a study, maybe unfinished, of which the baseline knows nothing."""
    home = RunFolder(run)
    facts = facts_there(home)
    folders = [str(point["folder"]) for point in facts.get("points", []) if point["folder"]]
    if not facts:
        folders = [f"{POINTS}/{name}" for name in home.names(POINTS)]
    names = [folder.rsplit("/", 1)[-1] for folder in folders]
    return [name for name in names if name not in points]


def checks_code(verdicts: Sequence[CheckVerdict]) -> ExitCode:
    """1 if any point fails, 3 if any is open, else 0."""
    codes = {verdict.exit_code for verdict in verdicts}
    return next((c for c in (ExitCode.AGAINST, ExitCode.UNFINISHED) if c in codes), ExitCode.DONE)


def checks_word(verdicts: Sequence[CheckVerdict]) -> str:
    """The verdict on all points: fail if any fails, pass if all pass."""
    outcomes = {verdict.outcome for verdict in verdicts}
    return "fail" if "fail" in outcomes else "pass" if outcomes == {"pass"} else "undecided"


def write_checks(
    name: str, section: Section, verdicts: Mapping[str, CheckVerdict], address: str
) -> PageAddress:
    """Write check.md and check.html of a study: all points in a table, each point's check folded."""
    points = [
        replace(check_section(v), title=point, kind="plain", summary=check_headline(v))
        for point, v in verdicts.items()
    ]
    title = Title(f"Check against {name}", number_words.count(len(points), "point"))
    return write_sections(title, [section, *points], RunFolder(address), "check")


def checks_section(
    verdicts: Mapping[str, CheckVerdict], alpha: float, beside: Sequence[str] = ()
) -> Section:
    """All points' verdicts: a row each, and what failed; ``beside`` are points that the baseline lacks."""
    rows = [
        [point, v.outcome, v.word, v.repeats, "; ".join([*map(str, v.failures), *v.obstacles])]
        for point, v in verdicts.items()
    ]
    outcomes = [v.outcome for v in verdicts.values()]
    text = paragraphs(
        _SENTENCES,
        "checks",
        points=len(rows),
        passed=outcomes.count("pass"),
        failed=outcomes.count("fail"),
        alpha=alpha,
    )
    frame = pd.DataFrame(rows, columns=["point", "verdict", "the run is", "repeats", "why"])
    left = [render(_SENTENCES, "beside", points=beside)] if beside else []
    return Section("Check", text=text, points=left, tables=[Table(frame)], kind="verdict")
