"""What the notes' script has at hand when its first network is ready: data, split and initial weights."""

from __future__ import annotations

from dataclasses import dataclass

from backends.draws import draw_weights
from backends.network import Network, Weights
from harness.data.dataset import Dataset, load_dataset
from harness.data.notebook_stream import NotebookStream
from harness.data.split import Split, split_rows
from harness.experiment.experiment import experiment_from


@dataclass(frozen=True)
class Notebook:
    """Digits, the rows of the pictures shown, the split, the network and the script's own weights."""

    dataset: Dataset
    pictures: tuple[int, ...]
    split: Split
    network: Network
    weights: Weights


def notebook() -> Notebook:
    """The notebook after ``np.random.seed(0)`` and its first cells, number for number."""
    experiment = experiment_from({"preset": "lecture"})
    dataset = load_dataset(experiment)
    stream = NotebookStream(experiment, dataset.counts)
    recipe = experiment.recipe("numpy")
    network = experiment.network("numpy", dataset.x.shape[1], len(dataset.classes))
    drawn = draw_weights(network, stream.rng, recipe.initial_weights, bias=recipe.initial_bias)
    return Notebook(
        dataset,
        tuple(int(row) for row in stream.pictures),
        split_rows(dataset, experiment),
        network,
        Weights.stack([drawn]),
    )
