"""The kit that pages are made of: values as JSON, words from templates."""

from __future__ import annotations

import json
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
import pytest

from harness.document import number_words
from harness.document.glossary import glossary
from harness.document.plain import plain
from harness.document.section import Section, Table
from harness.document.words import every, paragraphs, plural, render, series

HARNESS = Path(__file__).parents[1] / "harness"


def test_plain_values_are_what_json_has():
    frame = pd.DataFrame({"cell": [0, 1], "p": [0.5, np.nan]})
    value = {1: np.float32(0.5), "rows": frame, "x": np.array([1.0, np.inf]), "y": (np.nan, None)}
    shown = plain(value)
    assert json.loads(json.dumps(shown, allow_nan=False)) == {
        "1": 0.5,
        "rows": [{"cell": 0, "p": 0.5}, {"cell": 1, "p": None}],
        "x": [1.0, "infinite"],
        "y": [None, None],
    }


def test_a_series_and_a_row_are_plain_too():
    assert plain(pd.Series([np.int64(3), np.nan])) == [3.0, None]
    assert plain(-np.inf) == "-infinite"


def test_words_agree_with_their_number():
    assert [plural(n, "is", "are") for n in (0, 1, 2)] == ["are", "is", "are"]
    assert (plural(1, "cell"), plural(2, "cell")) == ("cell", "cells")


def test_a_series_reads_as_a_sentence_does():
    assert [series(["a", "b", "c"][:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_all_of_a_number_are_both_or_the_one():
    said = [every(n, "cell") for n in (1, 2, 9)]
    assert said == ["the one cell", "both cells", "all 9 cells"]


def test_vast_scores_are_told_by_their_size():
    shown = [number_words.shown_score(v, "r2") for v in (-1.04e37, 0.287, 1234.5)]
    assert shown == ["−1.0e+37", "0.287", "1234.500"]
    assert number_words.span(4.8e36, "r2") == "4.8e+36"
    cells = [number_words.in_cell(v, "r2") for v in (-1.04e37, -0.0001, 0.29, -250.0)]
    assert cells == ["−10³⁷", "0.00", "0.29", "−10²"]
    assert number_words.in_cell(150.0, "rmse") == "150.00"


def test_words_are_explained_where_they_are_used():
    said = Section(
        "Answer", ["Preset fair, 9 cells chaotic."], tables=[Table(pd.DataFrame({"eta": [1]}))]
    )
    (words,) = glossary([], [said])
    assert {"preset", "cell", "chaotic", "eta"} == {row[0] for row in words.tables[0].rows}
    assert not list(glossary([], [Section("Nothing")]))


def blocks() -> list[tuple[str, str]]:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HARNESS))
    found = []
    for path in sorted(HARNESS.rglob("*.jinja")):
        name = str(path.relative_to(HARNESS))
        source = path.read_text("utf-8")
        parsed = environment.parse(source)
        found += [(name, block.name) for block in parsed.find_all(jinja2.nodes.Block)]
    return found


def test_every_block_of_a_template_is_used_by_the_code_beside_it():
    for name, block in blocks():
        code = "".join(p.read_text("utf-8") for p in (HARNESS / name).parent.glob("*.py"))
        assert f'"{block}"' in code, f"{name}: nobody renders {block}"


def test_a_name_that_nobody_gave_is_an_error():
    with pytest.raises(KeyError, match="no block 'nothing'"):
        render("compare/sentences.jinja", "nothing")
    with pytest.raises(jinja2.UndefinedError):
        paragraphs("compare/sentences.jinja", "headline")
