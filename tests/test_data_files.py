"""Data as they come: every made-up file of tests/data is read as cases.toml says that it is right."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from harness.data.dataset import Dataset, load_dataset
from harness.data.encoding import encoded
from harness.data.split import split_rows
from harness.errors import InputError
from harness.experiment.experiment import Experiment

HOME = Path(__file__).parent / "data"
CASES = tomllib.loads((HOME / "cases.toml").read_text(encoding="utf-8"))


def experiment_on(file: str, given: str = "") -> Experiment:
    """The experiment of flags as a person types them, on a file of tests/data."""
    words = given.split()
    flags = dict(zip(words[::2], words[1::2], strict=True))
    settings = {flag.removeprefix("--").replace("-", "_"): value for flag, value in flags.items()}
    if "test_file" in settings:
        settings["test_file"] = str(HOME / settings["test_file"])
    return Experiment(dataset=str(HOME / file), **settings)


def told(dataset: Dataset) -> str:
    return "; ".join((*dataset.decisions, *dataset.warnings))


@pytest.mark.parametrize("file", [f for f, case in CASES.items() if "error" not in case])
def test_a_file_is_read_as_it_is(file):
    case = CASES[file]
    experiment = experiment_on(file, case.get("given", ""))
    dataset = load_dataset(experiment)
    split = split_rows(dataset, experiment)
    x, inputs = encoded(dataset, split, experiment)
    own = case.get("test_samples", 0)
    assert dataset.test == own
    assert len(dataset.y) == case["samples"] + own
    assert x.shape == (case["samples"] + own, case["features"])
    if own:
        assert split.test.tolist() == list(range(case["samples"], case["samples"] + own))
    if "classes" in case:
        counts = np.bincount(dataset.y[: case["samples"]], minlength=len(dataset.classes))
        assert dict(zip(dataset.classes, counts.tolist(), strict=True)) == case["classes"]
    if "target" in case:
        assert f"target {case['target']}" in told(dataset) or case["target"] in told(dataset)
    if "columns" in case:
        assert list(inputs) == case["columns"]
    if "first" in case:
        assert x[0].tolist() == case["first"]
    for words in case.get("said", ()):
        assert words in told(dataset)


@pytest.mark.parametrize("file", [f for f, case in CASES.items() if "error" in case])
def test_a_file_that_cannot_be_used_says_why_in_one_line(file):
    with pytest.raises(InputError) as caught:
        load_dataset(experiment_on(file))
    message = str(caught.value)
    assert CASES[file]["error"] in message
    assert "note" in message
    assert "--drop when,note" in message
    assert "\n" not in message
