"""What a study says of its tables, made up here: nothing is trained."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

from harness.document.page import page
from harness.document.section import Section, Title
from harness.study.effects import axis_rankings, axis_shares
from harness.study.maps import StudyTable, study_map
from harness.study.section import _maps_section, study_table
from harness.study.study import StudyResult


def made_up(axes, scores, backends=("numpy",), lost=(), eta=(0.1,)) -> StudyResult:
    """A study of a cell or a few a point whose accuracy on all parts is ``scores`` of the point's values.

    ``lost``: points that failed.
    """
    rows, points = [], []
    for point, values in enumerate(product(*axes.values())):
        labels = dict(zip(axes, values, strict=True))
        fate = "failed" if values in lost else "ok"
        points.append({"point": point, **labels, "folder": f"points/{point}", "status": fate})
        for backend, rate, repeat in product(backends, eta, range(2)):
            score = scores(*values, repeat) if fate == "ok" else np.nan
            measured = {f"{part}_accuracy": score for part in ("train", "validation", "test")}
            measured |= {f"{part}_loss": 1 - score for part in ("train", "validation", "test")}
            key = {"backend": backend, "eta": rate, "lmbd": 0.0, "repeat": repeat}
            rows.append(
                {"point": point, **labels, **key, "status": fate, **measured, "seconds": 0.1}
            )
    facts = {"zipped": False, "task": "classification", "choose_by": None, "validated": True}
    named = {axis: list(values) for axis, values in axes.items()}
    return StudyResult("results/made-up", named, pd.DataFrame(points), pd.DataFrame(rows), facts)


AXES = {"activation": ["tanh", "relu"], "hidden": ["5", "6", "7"]}


def spread(activation, hidden, repeat):
    return 0.7 + 0.1 * (activation == "relu") + 0.01 * int(hidden) + 0.003 * repeat


@pytest.mark.parametrize("chosen", [True, False])
def test_copies_of_a_backend_are_no_further_evidence(chosen):
    one = axis_shares(made_up(AXES, spread), chosen=chosen)
    four = axis_shares(made_up(AXES, spread, ("a", "b", "c", "d")), chosen=chosen)
    pd.testing.assert_frame_equal(one, four)
    assert one["high"].notna().any()


def test_what_is_lacking_at_one_data_set_is_no_mean_over_the_others():
    axes = {"dataset": ["iris", "wine", "digits"], "hidden": ["5", "6"]}
    made = made_up(axes, lambda name, hidden, repeat: 0.9, lost=[("wine", "6")])
    table: StudyTable = study_table(made)
    best = table.best(["hidden"])
    assert best.loc["5", "test_accuracy"] == pytest.approx(0.9)
    assert np.isnan(best.loc["6", "test_accuracy"])
    assert best["lacking"].tolist() == [False, True]
    words = study_map(table, "hidden", "backend").alt
    assert "90" in words
    assert axis_rankings(table) == []  # two data sets are left that have both


def test_the_page_has_a_map_of_each_two_axes_of_which_one_is_chosen():
    pictures = _maps_section(study_table(made_up(AXES, spread)), []).pictures
    # this study has one eta and one lmbd, which are no axes of a map
    assert [picture.choice for picture in pictures] == ["activation × hidden"]
    made = made_up(AXES | {"epochs": ["1", "2"]}, lambda a, b, epochs, repeat: spread(a, b, repeat))
    pictures = _maps_section(study_table(made), []).pictures
    assert len(pictures) == 3
    section = Section("Maps", pictures=pictures)
    words = page(Title("a study", ""), [section], {one.name: b"<svg/>" for one in pictures})
    assert words.count('type="radio"') == 3
    assert words.count(" checked>") == 1
    for one in pictures:
        assert f'<label for="pick-{one.name}">{one.choice}</label>' in words


def test_a_map_says_where_not_all_that_is_averaged_over_is_there():
    axes = {"dataset": ["iris", "wine", "digits"], "hidden": ["5", "6"], "epochs": ["1", "2"]}
    made = made_up(axes, lambda *_: 0.9, lost=[("wine", "6", "2"), ("wine", "6", "1")])
    figure = study_map(study_table(made), "hidden", "epochs").draw()
    words = " ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))
    assert "not on all that is averaged over" in words
