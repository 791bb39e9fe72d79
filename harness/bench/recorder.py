"""What recording costs: a training of PyTorch's plain loop beside the same training, recorded."""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from backends.recording import Recorder
from harness.bench.phases import wall_seconds

_SIZES = (64, 50, 10)
_SAMPLES, _STEPS, _ROUNDS = 1797, 300, 11


def recorder_ratio(batch_size: int) -> float:
    """Time of a recorded training over that of the plain one, the median of pairs; NaN without PyTorch.

    A 64-50-10 network, ``nn.Linear`` and plain SGD, every step's weights kept; the two take turns.
    """
    if importlib.util.find_spec("torch") is None:
        return float("nan")
    import torch

    rng = np.random.default_rng(0)
    x = rng.normal(size=(_SAMPLES, _SIZES[0])).astype(np.float32)
    y = rng.integers(0, _SIZES[-1], _SAMPLES)
    inputs, labels = torch.tensor(x), torch.tensor(y)
    layers = [torch.nn.Linear(*_SIZES[:2]), torch.nn.Sigmoid(), torch.nn.Linear(*_SIZES[1:])]
    model, loss = torch.nn.Sequential(*layers), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = [rng.choice(_SAMPLES, batch_size, replace=False) for _ in range(_STEPS)]

    def train(recorder: Any = None) -> None:
        for rows in batches:
            optimizer.zero_grad()
            loss(model(inputs[rows]), labels[rows]).backward()
            optimizer.step()
            if recorder is not None:
                recorder.step(rows, model)

    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(_ROUNDS):
            recorder = Recorder(Path(folder) / f"{number}.npz", x, y).start(model)
            recorded = wall_seconds(lambda recorder=recorder: train(recorder))  # type: ignore[misc]
            ratios.append(recorded / wall_seconds(train))
            recorder.close()
    return statistics.median(ratios[1:])  # the first warms up
