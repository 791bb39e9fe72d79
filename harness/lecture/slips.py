"""Slips of the lecture's text, each with its consequence; where it can be measured, measured."""

from __future__ import annotations

import numpy as np

from backends.formulas import predict
from backends.network import Cells
from backends.numpy_backend import NumPyBackend
from harness.data.dataset import Dataset
from harness.experiment.experiment import Experiment
from harness.training.prepare import prepare

ETA, LMBD = 1e-3, 1.0  # the NumPy program's best stable cell


def unpaired(experiment: Experiment, dataset: Dataset) -> tuple[float, float]:
    """Test accuracy of the NumPy program's network at one good cell, and the same after inputs and
    labels were shuffled apart, as ``train_test_split_numpy`` of the text does.
    """
    p = prepare(experiment, dataset, "numpy", [0])
    cell = Cells.of(ETA, LMBD)
    found = []
    for y in (p.y, np.random.default_rng(0).permutation(p.y)):
        weights = NumPyBackend().train(p.x, y, p.network, p.training, cell, p.plan).weights
        predicted = predict(p.x[p.split.test], p.network, weights)[0].argmax(axis=1)
        found.append(float((predicted == y[p.split.test]).mean()))
    return found[0], found[1]


def seen(samples: int, batch: int) -> float:
    """The share of samples that an epoch of independent minibatches shows at least once."""
    return float(1 - (1 - batch / samples) ** (samples // batch))


def slips(experiment: Experiment, dataset: Dataset) -> list[str]:
    """The slips, in the order of the text."""
    paired, apart = unpaired(experiment, dataset)
    samples = round(len(dataset.y) * (1 - experiment.test_size))
    recipe = experiment.recipe("numpy")
    batch = min(recipe.batch_size, samples)
    return [
        "The 1797 images are called a selection of MNIST. They are another data set, the UCI Optical "
        "Recognition of Handwritten Digits (8 x 8 pixels); results on one say nothing about the other.",
        "`train_test_split_numpy` shuffles inputs and labels apart and so destroys the pairing: at eta "
        f"{ETA:g}, lmbd {LMBD:g} the test accuracy falls from {100 * paired:.1f} % to "
        f"{100 * apart:.1f} %. It is commented out where it would be used.",
        "delta_L = t − y stands in the text, y − t in the code. Taken literally, gradient descent would "
        "climb.",
        "The text averages the cost over the minibatch, the code sums it: its eta is "
        f"{batch} times as strong as it looks, and its lmbd as many times weaker.",
        "The formula's penalty lmbd sum w² has the gradient 2 lmbd w, the code adds lmbd w: half of it. "
        "Keras's L2 keeps the 2, so the same lmbd penalises twice as hard there.",
        "The comment says `with replacement` beside `replace=False`. Within a minibatch no sample comes "
        "twice, but minibatches are independent: an epoch shows only "
        f"{100 * seen(samples, batch):.0f} % of the training images.",
        "The softmax exponentiates without a shift and overflows for large eta: probabilities become "
        "NaN, argmax of NaN is 0, and the accuracies printed there are the share of class 0. Here the "
        "softmax is shifted; such cells guess, or are marked as diverged.",
        "Cells are compared on the test part, so the best one's accuracy flatters; there is no "
        "validation part.",
        "TensorFlow's `fit` uses the global `DNN` where `self` is meant: it works only because the loop "
        "happens to call its object so.",
        "Only NumPy's random numbers are seeded. What the TensorFlow and Keras grids print changes from "
        "run to run; here they are seeded too.",
    ]
