"""Names, labels and errors that steer: nothing of them reaches terminal, page, figure or XML as it came."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from harness.api import run, write_report
from harness.cli.main import run_command_line
from harness.data.dataset import load_dataset
from harness.document.canvas import figure_file, style
from harness.document.foreign_text import html_text, visible
from harness.document.markdown import escaped
from harness.document.section import Picture, Section, Title
from harness.document.writer import write_sections
from harness.errors import ExitCode
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.results.run_folder import RunFolder
from harness.roundoff.disputed_cells import disputes

TITLE, RED = "\x1b]0;evil\x07", "\x1b[31m"
LABELS = [f"a$x{TITLE}", "[/red]b", f":Boom:{RED}", " ", "c_$", "<script>alert(1)</script>"]
PLUGIN = """
from backends.numpy_backend import NumPyBackend

class Wild(NumPyBackend):
    name = "wild"
    def train(self, data, network, training, cells, plan, *others, **more):
        raise ValueError("[/job:worker] \\x1b]0;evil\\x07 \\udcff $ <b> :Boom:")
    train_one = train
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with brackets in its name, hostile labels in a file, and a hostile plug-in."""
    folder = tmp_path_factory.mktemp("runs") / "x [red] $y"
    folder.mkdir()
    rng = np.random.default_rng(0)
    y = np.repeat(LABELS, 20)
    x = rng.normal(size=(len(y), 2)) + np.repeat(np.arange(len(LABELS)), 20)[:, None]
    table = pd.DataFrame(x, columns=[f"$f{RED}", "[b]g"]).assign(kind=y)
    table.to_parquet(folder / "wild.parquet")
    (folder / "wild_plugin.py").write_text(PLUGIN)
    return folder


def harness(folder, *arguments):
    """A command of the harness; its exit code, and what it printed anywhere, which holds no control."""
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder,
        capture_output=True,
    )
    printed = (done.stdout + done.stderr).decode()
    assert visible(printed) == printed
    assert "Traceback" not in printed
    return done.returncode, printed


def test_hostile_text_goes_through_every_verb_and_comes_out_as_text(folder):
    settings = ["--dataset", "wild.parquet", "--target", "kind", "--epochs", "2"]
    settings += ["--eta", "0.01,0.1", "--lmbd", "0", "--repeats", "4", "--executor", "serial"]
    code, printed = harness(
        folder,
        "run",
        *settings,
        "--backend",
        "numpy,sklearn,wild_plugin:Wild",
        "--output",
        "out [/b]",
    )
    assert code == 3
    (run_folder,) = (folder / "out [/b]").iterdir()
    assert f"out [/b]/{run_folder.name}/report.html" in printed
    assert "[/job:worker]" in printed
    assert ":Boom:" in printed
    own = f"out [/b]/{run_folder.name}"
    assert harness(folder, "report", own) == (0, f"report: {own}/report.html\n")
    assert harness(folder, "compare", own, "--no-chaos")[0] == 0  # of the two that trained
    for file in run_folder.rglob("*"):
        if file.suffix in (".html", ".md", ".svg", ".json"):
            text = file.read_text("utf-8")
            assert visible(text) == text, file
            assert "<script>alert" not in text or file.suffix in (".json",)
        if file.suffix == ".svg":
            ElementTree.parse(file)
    assert "a$x" in (run_folder / "figures" / "confusion.svg").read_text("utf-8")


def test_a_check_of_hostile_labels_gives_xml_and_markdown(folder, tmp_path):
    settings = Experiment(
        dataset=str(folder / "wild.parquet"),
        target="kind",
        epochs=2,
        eta=(0.1,),
        lmbd=(0.0,),
        repeats=4,
        backends=("numpy",),
    )
    result = run(settings, Execution(executor="serial", output=str(folder / "base")))
    assert (
        harness(folder, "baseline", "save", result.address, "--name", "b", "--folder", "bl")[0] == 0
    )
    files = ["--junit", "check.xml", "--markdown", "check.md"]
    code, _ = harness(
        folder, "check", "--baseline", "b", "--folder", "bl", "--run", result.address, *files
    )
    assert code == 0
    ElementTree.parse(folder / "check.xml")
    assert json.loads((Path(result.address) / "manifest.json").read_text())


def test_one_function_for_each_medium():
    assert visible("a\x1b[31m\udcff\u202e\r\nb\tc") == r"a\x1b[31m\udcff\u202e\r" + "\nb\tc"
    assert str(html_text('<a b="\x00">&')) == r"&lt;a b=&#34;\x00&#34;&gt;&amp;"
    assert escaped("$a$ [x](y) <b> &lt; ~~s~~ \x07") == (
        r"\$a\$ \[x\](y) &lt;b> &amp;lt; \~~s\~~ " + r"\\x07"
    )


def test_figures_take_any_text_as_it_is():
    with style():
        figure = Figure()
        axis = figure.add_subplot(title="$x_ \x1b \udcff", xlabel="$\\frac{1}$")
        axis.plot([0, 1], label=" ")
        axis.legend()
        drawing = figure_file(figure, "svg")
        assert figure_file(figure, "png").startswith(b"\x89PNG")
    ElementTree.fromstring(drawing)
    assert rb"$x_ \x1b \udcff" in drawing
    assert rb"$\frac{1}$" in drawing


def test_a_figure_that_fails_costs_one_line(tmp_path):
    def fail():
        raise RuntimeError("no [ink]")

    pictures = [Picture("good", Figure, "", ""), Picture("bad", fail, "", "")]
    address = write_sections(
        Title("t", ""), [Section("s", pictures=pictures)], RunFolder(str(tmp_path))
    )
    (fault,) = address.faults
    assert "bad" in fault
    assert "RuntimeError: no [ink]" in fault
    assert fault in (tmp_path / "report.html").read_text()
    assert (tmp_path / "figures" / "good.png").exists()
    assert not (tmp_path / "figures" / "bad.png").exists()


def test_a_section_that_fails_costs_one_line(tmp_path):
    settings = Experiment(dataset="iris", epochs=1, eta=(0.1,), lmbd=(0.0,), backends=("numpy",))
    result = run(settings, Execution(executor="serial", output=str(tmp_path)))
    broken = replace(result, curves=result.curves.drop(columns="epoch"))
    address = write_report(broken)
    assert len(address.faults) >= 1
    text = Path(address).read_text()
    assert "could not be made: KeyError" in text
    assert 'id="verdict"' in text
    assert not write_report(result).faults


@pytest.mark.parametrize("flags", [[], ["--debug"]])
def test_debug_shows_the_traceback_of_a_section_that_fails(tmp_path, capsys, flags):
    settings = Experiment(dataset="iris", epochs=1, eta=(0.1,), lmbd=(0.0,), backends=("numpy",))
    result = run(settings, Execution(executor="serial", output=str(tmp_path)))
    folder = Path(result.address)
    result.curves.drop(columns="epoch").to_parquet(folder / "curves.parquet")
    # as from before contents were hashed: what is in its files is not known to be as it was written
    unhashed = {k: v for k, v in result.manifest.items() if k not in ("files", "sha256")}
    (folder / "manifest.json").write_text(json.dumps(unhashed))
    with pytest.raises(SystemExit) as ended:
        run_command_line(["report", result.address, *flags])
    assert ended.value.code == ExitCode.UNFINISHED
    told = capsys.readouterr().err
    assert "could not be made: KeyError" in told
    assert ("Traceback" in told) == ("File" in told) == bool(flags)


def test_who_failed_is_not_held_against_the_others_and_who_stands_apart_is_named():
    cells = {"eta": 0.1, "lmbd": 0.0, "repeat": 0}
    labels = {"numpy": [0, 1, 2], "sklearn": [0, 1, 2], "keras": [0, 2, 2], "tensorflow": []}
    status = {"tensorflow": "failed"}
    records = pd.DataFrame(
        [
            {"backend": b, **cells, "status": status.get(b, "ok"), "test_accuracy": 1.0}
            for b in labels
        ]
    )
    predictions = pd.DataFrame(
        [{"backend": b, **cells, "predicted": np.array(v, int)} for b, v in labels.items()]
    )
    settings = Experiment(dataset="iris", eta=(0.1,), lmbd=(0.0,), backends=tuple(labels))
    (row,) = disputes(settings, load_dataset(settings), records, predictions).to_dict("records")
    assert row["apart"] == pytest.approx(1 / 3)
    assert row["alone"] == "keras"
    alike = predictions.assign(
        predicted=[np.array([0]), np.array([0]), np.array([0]), np.array([], int)]
    )
    assert disputes(settings, load_dataset(settings), records, alike).empty
