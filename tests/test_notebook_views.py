"""In a notebook a result shows itself, and gives figures, tables and networks trained again."""

from __future__ import annotations

import html.parser
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import harness
from harness import Execution, Experiment, load_result, run
from harness.errors import InputError
from harness.report.run_tally import notebook_line

CELL = (0.1, 0.01)
SETTINGS = {
    "dataset": "iris",
    "scale": "standard",
    "backends": ("numpy", "sklearn"),
    "eta": (0.01, 0.1, 10.0),
    "lmbd": (0.0, 0.01),
    "epochs": 5,
    "repeats": 2,
}


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return str(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def result(output):
    run(Experiment(**SETTINGS), Execution(executor="serial", output=output, name="iris"))
    return load_result(f"{output}/iris")


def test_in_a_notebook_one_line_tells_how_a_run_goes(output, capsys):
    shells = pytest.importorskip("IPython.core.interactiveshell")
    display = pytest.importorskip("IPython.core.displaypub")
    experiment = Experiment(**SETTINGS | {"backends": ("numpy",), "repeats": 1})
    execution = Execution(executor="serial", output=output, name="told")
    shell = shells.InteractiveShell.instance()
    try:
        shell.kernel = object()  # as the shell of a notebook has one
        shell.display_pub = display.CapturingDisplayPublisher()
        run(experiment, execution, progress=False)
        assert shell.display_pub.outputs == []
        run(experiment, execution.model_copy(update={"fresh": True}))
        shown = shell.display_pub.outputs
        assert [one["update"] for one in shown] == [False, *[True] * (len(shown) - 1)]
        assert len({one["transient"]["display_id"] for one in shown}) == 1
        told = [one["data"]["text/plain"] for one in shown]
        assert told[0].startswith("0 of 6 networks · numpy 0/6")
        assert told[-1].startswith("6 networks · trained in ")
        assert told[-1].endswith(f" s · {output}/told")
    finally:
        shells.InteractiveShell.clear_instance()
    assert capsys.readouterr().out == ""
    assert notebook_line() is None


def test_weights_that_were_kept_are_those_that_training_again_gives(result, output, caplog):
    own = result.experiment.model_copy(update={"backends": ("numpy",)})
    execution = Execution(executor="serial", output=output, name="kept")
    assert "weights" not in run(own, execution).manifest
    kept = run(
        own, execution.model_copy(update={"keep_weights": True})
    )  # trains again, for the weights
    assert len(list(Path(kept.address, "parts").iterdir())) == len(kept.manifest["units"])
    pd.testing.assert_frame_equal(kept.predictions, load_result(kept.address).predictions)
    kept = run(own, execution)  # trains nothing, and the weights stay
    assert kept.manifest["taken_over"]["units"] == len(kept.manifest["units"])
    (file,) = Path(kept.address, "weights").iterdir()
    with np.load(file) as members:
        here = (members["eta"] == 0.1) & (members["lmbd"] == 0.01) & (members["repeat"] == 1)
        ((W, b), *_) = kept.weights("numpy", *CELL, 1)
        assert np.array_equal(members["W1"][here][0], W)
        assert np.array_equal(members["b1"][here][0], b)
    ((again, _), *_) = result.weights("numpy", *CELL, 1)
    assert np.array_equal(W, again)
    assert not caplog.records
    pd.testing.assert_frame_equal(
        kept.predict("numpy", *CELL, 1), result.predict("numpy", *CELL, 1)
    )
    file.write_bytes(file.read_bytes()[:-9])
    assert np.array_equal(kept.weights("numpy", *CELL, 1)[0][0], W)
    assert "is not used: its content is not what was written" in caplog.text
    fresh = execution.model_copy(update={"fresh": True})
    run(own, fresh)
    assert not Path(kept.address, "weights").exists()


def test_completion_offers_the_interface_and_no_more():
    assert set(dir(harness)) == set(harness.__all__)
    assert {"Experiment", "run", "load_result", "write_report", "Execution"} <= set(dir(harness))


def test_a_result_shows_the_answer_the_cells_and_the_maps(result):
    text = result._repr_html_()
    html.parser.HTMLParser().feed(text)
    assert "numpy" in text
    assert "data:image/png;base64," in text
    assert "report.html" in text


def test_what_a_result_shows_is_no_markup_of_data(result):
    hostile = result.records.replace("numpy", "<script>x</script>")
    predictions = result.predictions.replace({"backend": {"numpy": "<script>x</script>"}})
    text = replace(result, records=hostile, predictions=predictions)._repr_html_()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_figures_are_shown_by_a_notebook(result):
    for figure in (
        result.heatmap(),
        result.heatmap("validation_loss", backends="numpy"),
        result.heatmap("test_accuracy", reference="numpy"),
        result.heatmap("seconds"),
        result.heatmap("seconds", reference="numpy"),
        result.learning_curves(),
        result.learning_curves("numpy", *CELL),
        result.confusion(["sklearn"], *CELL),
    ):
        assert isinstance(figure, Figure)
        assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_map_against_a_reference_holds_the_differences(result):
    axis = result.heatmap("test_accuracy", reference="numpy").axes[0]
    drawn = np.ma.filled(axis.collections[0].get_array(), np.nan)
    gap = result.pivot("sklearn", "test_accuracy") - result.pivot("numpy", "test_accuracy")
    np.testing.assert_allclose(drawn.reshape(gap.shape), 100 * gap.to_numpy(), atol=1e-9)


def test_flips_are_the_samples_that_two_label_differently(result):
    table = result.flips("numpy", "sklearn")
    expected = sum(
        int((a != b).sum())
        for cell in result.experiment.cells
        for a, b in [[result.predicted(name, *cell, 0) for name in ("numpy", "sklearn")]]
        if len(a) and len(b)
    )
    assert len(table) == expected
    assert (table["numpy"] != table["sklearn"]).all()
    one = result.flips("numpy", "sklearn", *CELL)
    assert len(one) == (table["eta"].eq(CELL[0]) & table["lmbd"].eq(CELL[1])).sum()


@pytest.mark.parametrize("backend", ["numpy", "sklearn"])
def test_networks_trained_again_label_as_in_the_run(result, backend, caplog):
    for repeat in (0, 1):
        table = result.predict(backend, *CELL, repeat)
        names = np.asarray(result.manifest["dataset"]["classes"], dtype=object)
        kept = names[result.predicted(backend, *CELL, repeat)]
        assert table["predicted"].tolist() == kept.tolist()
        assert table["target"].tolist() == names[result.target(repeat)].tolist()
        shares = np.sort(table.filter(like="p(").to_numpy(), axis=1)
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
        p = result.predictions.set_index(["backend", "eta", "lmbd", "repeat"])
        sure = p.loc[(backend, *CELL, repeat)]
        np.testing.assert_allclose(sure["probability"], shares[:, -1], rtol=1e-3)
        np.testing.assert_allclose(sure["lead"], shares[:, -1] - shares[:, -2], atol=1e-3)
    assert not caplog.records


def test_weights_begin_where_the_plan_says_and_give_the_predictions(result):
    from sklearn.datasets import load_iris

    (w1, b1), (w2, b2) = result.weights("numpy", *CELL, 1)
    assert [w1.shape, b1.shape, w2.shape, b2.shape] == [(4, 50), (50,), (50, 3), (3,)]
    plan = result.plan("numpy", 1)
    assert plan.initial.W[0].shape[-2:] == (4, 50)
    assert not np.array_equal(plan.initial.W[0][0], w1)
    x = load_iris().data[result.predict("numpy", *CELL, 1)["row"]]
    new, own = result.predict("numpy", *CELL, 1, x=x), result.predict("numpy", *CELL, 1)
    pd.testing.assert_frame_equal(new, own[list(new.columns)])


def test_a_table_of_new_samples_is_read_by_its_names(result):
    from sklearn.datasets import load_iris

    frame = load_iris(as_frame=True).data
    own = result.predict("numpy", *CELL, x=frame)
    other = frame[frame.columns[::-1]].assign(more="not asked for").set_index(frame.index + 7)
    pd.testing.assert_frame_equal(result.predict("numpy", *CELL, x=other), own)
    with pytest.raises(InputError, match=r"x: found no column petal width \(cm\)"):
        result.predict("numpy", *CELL, x=frame.drop(columns="petal width (cm)"))
    with pytest.raises(InputError, match=r"holds 'wide' in row 2, numbers in 'iris'"):
        result.predict("numpy", *CELL, x=frame[:3].replace(4.9, "wide"))
    with pytest.raises(InputError, match="has no value in row 1"):
        result.predict("numpy", *CELL, x=frame[:3].replace(5.1, np.nan))
    with pytest.raises(InputError, match="finite numbers"):
        result.predict("numpy", *CELL, x=frame[:3].replace(5.1, np.inf))


def test_new_samples_are_encoded_as_the_runs_were(output, tmp_path):
    rng = np.random.default_rng(1)
    x = rng.normal(size=40)
    frame = pd.DataFrame(
        {"x": x, "kind": np.where(x > 0, "warm", "cold"), "target": np.where(x > 0.1, "b", "a")}
    )
    frame.loc[3, "x"] = -999
    frame.loc[4, "kind"] = None
    file = tmp_path / "samples.csv"
    frame.to_csv(file, index=False)
    settings = {"missing": "impute", "missing_values": ("x=-999",), "eta": (0.1,), "lmbd": (0.0,)}
    how = Execution(executor="serial", output=output, name="text")
    made = run(Experiment(dataset=str(file), backends=("numpy",), epochs=5, **settings), how)
    known = made.predict("numpy", 0.1, 0.0)
    new = made.predict("numpy", 0.1, 0.0, x=frame[["kind", "x"]]).loc[known["row"]]
    pd.testing.assert_frame_equal(new.reset_index(drop=True), known[list(new.columns)])
    values = frame[["x", "kind"]].to_numpy()
    assert made.predict("numpy", 0.1, 0.0, x=values).equals(
        made.predict("numpy", 0.1, 0.0, x=frame)
    )
    with pytest.raises(InputError, match=r"category of column 'kind'.*did you mean 'warm'"):
        made.predict("numpy", 0.1, 0.0, x=frame.replace("warm", "warn"))
    file.write_text(file.read_text() + "1.5,warm,b\n")
    with pytest.raises(InputError, match="has changed since the run"):
        made.predict("numpy", 0.1, 0.0, x=frame)


def test_a_cell_that_is_not_there_is_told(result):
    with pytest.raises(InputError, match=r"eta: found 0\.2; allowed: 0\.01, 0\.1, 10\.0"):
        result.weights("numpy", 0.2, 0.01)
    with pytest.raises(InputError, match="repeat: found 2"):
        result.predict("numpy", *CELL, 2)
    with pytest.raises(InputError, match="did you mean 'numpy'"):
        result.plan("nunpy")
    with pytest.raises(InputError, match="did you mean 'test_accuracy'"):
        result.heatmap("test_acuracy")
    for column in ("eta", "repeat", "backend", "reason"):
        with pytest.raises(InputError, match=r"column: .*allowed: train_accuracy"):
            result.heatmap(column)
    with pytest.raises(InputError, match="eta and lmbd"):
        result.confusion(eta=0.1)


def test_one_cell_of_an_experiment_is_that_cell_of_the_run(result, output):
    one = Experiment(**SETTINGS).cell(*CELL)
    assert one.cells == [CELL]
    how = Execution(executor="serial", output=output)
    alone = run(one, how, backends="numpy")
    assert alone.backends == ["numpy"]
    for repeat in (0, 1):
        labels = alone.predicted("numpy", *CELL, repeat)
        assert labels.tolist() == result.predicted("numpy", *CELL, repeat).tolist()


def test_an_experiment_of_data_in_memory_has_cells_too():
    x = np.random.default_rng(0).normal(size=(30, 2))
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(target=np.arange(30) % 2)
    one = Experiment(dataset=frame, backends=("numpy",)).cell(0.1, 0.0)
    assert one.dataset.frame.shape == (30, 3)
