"""Regression: squared error, identity output, R² and RMSE; the backends train the same weights."""

from __future__ import annotations

import numpy as np
import pytest

from backends.network import Cells
from backends.registry import find
from harness.api import run
from harness.cli.main import run_command_line
from harness.data.dataset import load_dataset
from harness.data.scaling import target_scale
from harness.data.split import split_rows
from harness.errors import ExitCode
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from
from harness.results.result import load_result
from harness.training.prepare import prepare

SMALL = {
    "task": "regression",
    "dataset": "diabetes",
    "scale": "standard",
    "hidden": [6],
    "epochs": 3,
    "batch_size": 64,
    "eta": [0.05, 0.2],
    "lmbd": [1e-3],
}


def trained(backend, **settings):
    """The final weights of a small grid on diabetes."""
    experiment = experiment_from(SMALL | settings)
    p = prepare(experiment, load_dataset(experiment), backend, [0])
    cells = Cells.grid(experiment.eta, experiment.lmbd)
    return find(backend).train(p.x, p.y, p.network, p.training, cells, p.plan).weights


@pytest.mark.parametrize("backend", ["sklearn", "tensorflow", "keras"])
@pytest.mark.parametrize(
    ("dtype", "apart"),
    # 12 steps on weights of order one: a few roundings, of 1e-7 and 1e-16, each time
    [("float32", 2e-6), ("float64", 1e-13)],
)
def test_backends_train_the_same_regression(backend, dtype, apart):
    reference = trained("numpy", dtype=dtype).named()
    for name, tensor in trained(backend, dtype=dtype).named().items():
        assert np.abs(tensor - reference[name]).max() < apart, name


def test_training_lowers_the_squared_error_that_is_written_down():
    """One full-batch step moves the weights by -eta times the gradient of 1/2n sum (y - t)^2."""
    settings = {"dtype": "float64", "epochs": 1, "batch_size": 10_000, "eta": [1e-6], "lmbd": [0.0]}
    experiment = experiment_from(SMALL | settings)
    p = prepare(experiment, load_dataset(experiment), "numpy", [0])
    backend = find("numpy")
    before = p.plan.initial
    after = backend.train(p.x, p.y, p.network, p.training, Cells.of(1e-6, 0.0), p.plan).weights

    def cost(weights):
        rows = p.split.train
        predicted = backend.predict_proba(p.x[rows], p.network, weights)[0, :, 0]
        return 0.5 * np.mean((predicted - p.y[rows]) ** 2)

    moved = sum(
        float(np.square(after.named()[name] - tensor).sum())
        for name, tensor in before.named().items()
    )
    # first order of Taylor's series: the cost falls by |step|^2 / eta
    assert cost(before) - cost(after) == pytest.approx(moved / 1e-6, rel=1e-4)


@pytest.fixture
def houses(tmp_path):
    """A CSV file of prices around 300,000 that depend on two features."""
    rng = np.random.default_rng(0)
    area, age = rng.uniform(40, 200, 240), rng.uniform(0, 80, 240)
    price = 2_000 * area - 1_500 * age + 120_000 + rng.normal(0, 5_000, 240)
    path = tmp_path / "houses.csv"
    rows = [f"{a:.2f},{b:.2f},{c:.0f}" for a, b, c in zip(area, age, price, strict=True)]
    path.write_text("\n".join(["area,age,price", *rows]))
    return path


def test_a_csv_with_a_numeric_target_is_learnt_and_scored_in_its_own_units(houses, tmp_path):
    experiment = experiment_from(
        {
            "task": "regression",
            "dataset": str(houses),
            "target": "price",
            "scale": "standard",
            "backends": ["numpy", "sklearn"],
            "hidden": [8],
            "epochs": 60,
            "batch_size": 16,
            "eta": [0.1],
            "lmbd": [1e-5],
        }
    )
    result = run(experiment, Execution(executor="serial", output=str(tmp_path / "results")))
    for record in result.records.itertuples():
        predicted = result.predicted(record.backend, 0.1, 1e-5, 0)
        target = result.target(0)
        assert record.test_r2 > 0.9, record.backend
        assert record.test_rmse == pytest.approx(
            np.sqrt(np.mean((predicted - target) ** 2)), rel=1e-4
        )
        assert 5_000 < record.test_rmse < 40_000  # noise and the prices' own spread
    assert result.metric == "r2"


def test_targets_are_scaled_by_the_training_part_alone():
    experiment = experiment_from(SMALL)
    dataset = load_dataset(experiment)
    train = dataset.y[split_rows(dataset, experiment).train]
    shift, width = target_scale(dataset, split_rows(dataset, experiment), experiment)
    assert (shift, width) == pytest.approx((train.mean(), train.std()))


def test_targets_are_left_alone_unless_asked():
    experiment = experiment_from(SMALL | {"scale": "none"})
    dataset = load_dataset(experiment)
    p = prepare(experiment, dataset, "numpy", [0])
    assert np.array_equal(p.y, dataset.y.astype(np.float32))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_r2_of_a_constant_target_is_undefined_and_said_to_be_so_once(tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{5 + (k < 2)}" for k, a in enumerate(rng.normal(size=40))]
    (tmp_path / "flat.csv").write_text("\n".join(["area,price", *rows]))
    flags = ["--task", "regression", "--target", "price", "--backend", "numpy,sklearn"]
    flags += ["--hidden", "2", "--epochs", "1", "--eta", "0.1", "--lmbd", "0", "--jobs", "1"]
    flags += ["--output", str(tmp_path), "--name", "flat", "--batch-size", "all"]
    with pytest.raises(SystemExit) as ended:
        run_command_line(["run", "--dataset", str(tmp_path / "flat.csv"), *flags])
    assert ended.value.code == ExitCode.DONE
    result = load_result(str(tmp_path / "flat"))
    assert np.ptp(result.target(0)) == 0
    assert result.records["test_r2"].isna().all()
    assert np.isfinite(result.records["test_rmse"]).all()
    words = "R² is not defined: all test targets are the same"
    page = (tmp_path / "flat" / "report.md").read_text()
    for told in (" ".join(capsys.readouterr().out.split()), " ".join(page.split())):
        assert told.count(words) == 1
