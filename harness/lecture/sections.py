"""What the report on a run of the preset ``lecture`` has beside the usual sections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backends.network import Cells
from backends.settings import rows_of_batch
from harness.data.dataset import Dataset, load_dataset
from harness.document.section import Section
from harness.document.words import paragraphs
from harness.experiment.experiment import Experiment
from harness.lecture.ablation import ablation_section
from harness.lecture.accuracy import accuracies_on_test
from harness.lecture.conventions import conventions_section
from harness.lecture.reproduction import printed_accuracies_section, unseeded_section
from harness.results.result import Result
from harness.training.prepare import prepare

_ETA, _LMBD = 1e-3, 1.0  # the NumPy program's best stable cell


def lecture_sections(result: Result) -> list[Section]:
    """The sections of one run; trains the grid again for every convention, once for a run folder."""
    if result.experiment.task != "classification":
        return [conventions_section(result)]
    dataset = load_dataset(result.experiment)
    sections = [
        conventions_section(result),
        ablation_section(result, dataset),
        printed_accuracies_section(result),
        unseeded_section(result),
        slips_section(result.experiment, dataset),
    ]
    return [section for section in sections if section is not None]


def slips_section(experiment: Experiment, dataset: Dataset) -> Section:
    """Slips of the text, each with its consequence; where it can be measured, measured."""
    paired, shuffled_apart = accuracy_without_pairing(experiment, dataset)
    samples = round(len(dataset.y) * (1 - experiment.test_size))
    batch = rows_of_batch(experiment.recipe("numpy").batch_size, samples)
    return Section(
        "Slips of the text",
        text=["Stated, so that nobody copies them; the preset repeats those of the programs."],
        points=paragraphs(
            "lecture/sentences.jinja",
            "slips",
            eta=_ETA,
            lmbd=_LMBD,
            paired=paired,
            shuffled_apart=shuffled_apart,
            batch=batch,
            share_shown=share_shown(samples, batch),
        ),
    )


def accuracy_without_pairing(experiment: Experiment, dataset: Dataset) -> tuple[float, float]:
    """Test accuracy of the NumPy program's network at one good cell, and the same after inputs and
    labels were shuffled apart, as ``train_test_split_numpy`` of the text does.
    """
    prepared, cell = prepare(experiment, dataset, "numpy", [0]), Cells.of(_ETA, _LMBD)
    apart = replace(prepared, y=np.random.default_rng(0).permutation(prepared.y))
    return float(accuracies_on_test(prepared, cell)[0]), float(accuracies_on_test(apart, cell)[0])


def share_shown(samples: int, batch: int) -> float:
    """The share of samples that an epoch of independent minibatches shows at least once."""
    return float(1 - (1 - batch / samples) ** (samples // batch))
