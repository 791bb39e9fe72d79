"""Tables and figures go into a thesis by name; a report for reviewers does not say whose it is."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from harness.api import report_content, run
from harness.cli.export import export_command
from harness.cli.main import run_command_line
from harness.document.markdown import markdown
from harness.document.number_words import with_error
from harness.document.section import Section, Table
from harness.errors import InputError
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from
from harness.report.anonymous import anonymous_result
from harness.report.export import export_names, exported_figure, exported_table, inches
from harness.report.report import report_title
from harness.report.runs import Material

SETTINGS = {
    "dataset": "iris",
    "scale": "standard",
    "backends": ["numpy", "sklearn"],
    "eta": [1e-5, 0.01, 0.1],
    "lmbd": [0.0, 0.01, 1.0],
    "epochs": 3,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    output = str(tmp_path_factory.mktemp("runs"))
    how = Execution(executor="serial", output=output, name="iris")
    return run(experiment_from(SETTINGS), how)


@pytest.fixture(scope="module")
def sections(trained):
    return report_content([trained])


def test_help_names_tables_and_figures_that_there_are(sections):
    said = re.findall(r"[a-z-]+", str(export_command.__doc__).partition("called")[2])
    tables, figures = export_names(sections)
    promised = {"chosen", "cells", "agreement", "hyperparameters", "conventions", "data", "time"}
    assert promised <= set(tables) & set(said)
    assert {"test-accuracy", "learning-curves", "confusion"} <= set(figures) & set(said)


def test_a_wrong_name_is_told_with_the_right_one(sections, trained):
    with pytest.raises(InputError, match="did you mean 'chosen'"):
        exported_table(sections, Material((trained,)), "chosne")
    with pytest.raises(InputError, match="did you mean 'confusion'"):
        exported_figure(sections, "confusoin")


def test_scores_have_wilsons_error_as_two_columns_of_numbers(sections, trained):
    text = exported_table(sections, Material((trained,)), "cells", "csv")
    table = pd.read_csv(io.StringIO(text))
    assert len(table) == 2 * 9
    accuracy = trained.pivot("numpy", "test_accuracy").to_numpy().ravel()
    own = table[table["backend"] == "numpy"]
    np.testing.assert_allclose(own["test accuracy (%)"], 100 * accuracy)
    low, high = proportion_confint(30 * accuracy, 30, alpha=0.31731, method="wilson")
    errors = own["test accuracy (%) error"]
    np.testing.assert_allclose(errors, 100 * (high - low) / 2, rtol=1e-4)


def test_eta_and_lmbd_are_numbers_with_all_their_digits(trained):
    eta = trained.records["eta"].replace(0.01, 0.0123456)
    fine = replace(trained, records=trained.records.assign(eta=eta))
    material = Material((fine,))
    table = pd.read_csv(io.StringIO(exported_table([], material, "cells", "csv")))
    assert set(table["eta"]) == {1e-5, 0.0123456, 0.1}
    assert "0.01235" in exported_table([], material, "cells", "markdown")


def test_the_caption_of_several_runs_says_what_each_is(trained):
    facts = trained.manifest["dataset"] | {"name": "wine"}
    other = replace(
        trained,
        address="runs/other",
        manifest=trained.manifest | {"dataset": facts},
        experiment=trained.experiment.changed(repeats=3, choose_by="macro_f1"),
    )
    once = exported_table([], Material((trained,)), "cells", "markdown")
    assert "Every cell of the grid, iris. One training;" in once
    both = Material((trained, other))
    two = exported_table([], both, "cells", "markdown")
    assert "Every cell of the grid, iris and wine. iris: one training;" in two
    assert "other: mean of 3 repeats" in two
    made = [Section("s", tables=[Table(pd.DataFrame({"a": ["b"]}), name="chosen")])]
    three = exported_table(made, both, "chosen", "markdown")
    assert "validation accuracy and macro F1, iris and wine" in three
    text = exported_table([], both, "cells", "csv")
    assert "Measured" not in text
    table = pd.read_csv(io.StringIO(text))
    assert table.groupby("backend")["test macro F1"].count().to_dict() == {
        "numpy (iris)": 0,
        "numpy (other)": 9,
        "sklearn (iris)": 0,
        "sklearn (other)": 9,
    }


@pytest.mark.parametrize(
    ("value", "error", "shown", "apart"),
    [
        (97.24, 0.87, "97.2(9)", "97.2 ± 0.9"),
        (97.24, 0.134, "97.24(13)", "97.24 ± 0.13"),
        (97.24, 1.12, "97.2(1.1)", "97.2 ± 1.1"),
        (97.24, 14.2, "97(14)", "97 ± 14"),
        (97.24, 0.0, "97.24", "97.24"),
        (-0.004, 0.02, "0.00(2)", "0.00 ± 0.02"),
        (97.24, 0.099, "97.24(10)", "97.24 ± 0.10"),
        (97.24, 0.96, "97.2(1.0)", "97.2 ± 1.0"),
    ],
)
def test_a_number_has_the_digits_that_its_error_leaves(value, error, shown, apart):
    assert with_error(value, error) == shown
    assert with_error(value, error, plus_minus=True) == apart


def test_latex_obeys_nothing_that_data_say(trained):
    hostile = pd.DataFrame({r"a_b & \input{x}": ["50 % of $x$ {#1} ~^", "1e-05"]})
    section = Section("s", tables=[Table(hostile, "50 % off", name="hostile")])
    text = exported_table([section], Material((trained,)), "hostile", "latex")
    for rule in ("toprule", "midrule", "bottomrule", r"label{tab:hostile}", r"caption{50 \% off}"):
        assert rule in text
    assert r"a\_b \& \textbackslash{}input\{x\}" in text
    assert r"50 \% of \$x\$ \{\#1\} \textasciitilde{}\textasciicircum{}" in text
    assert "$10^{-5}$" in text


def test_html_and_markdown_hold_no_markup_of_data(trained):
    hostile = pd.DataFrame({"<b>": ["<script>|"]})
    section = Section("s", tables=[Table(hostile, "<i>", name="hostile")])
    for kind in ("html", "markdown"):
        text = exported_table([section], Material((trained,)), "hostile", kind)
        assert "<script>" not in text
        assert "<b>" not in text


@pytest.mark.parametrize("name", ["test-accuracy", "learning-curves", "confusion"])
def test_a_figure_has_the_width_asked_for_and_texts_one_can_read(sections, name):
    svg = exported_figure(sections, name, "svg", inches("8.6cm")).decode()
    size = re.search(r'<svg[^>]* width="([\d.]+)pt"', svg)
    assert size
    assert float(size[1]) == pytest.approx(72 * 8.6 / 2.54, rel=1e-3)
    sizes = [float(s) for s in re.findall(r"font: ([\d.]+)px", svg)]
    sizes += [float(s) for s in re.findall(r"font-size: ([\d.]+)px", svg)]
    assert sizes
    assert min(sizes) >= 6
    assert np.median(sizes) >= 8


def test_a_pdf_has_its_fonts_in_it_and_no_date(sections):
    pdf = exported_figure(sections, "numpy-test-accuracy", "pdf", inches("12cm"))
    assert pdf.startswith(b"%PDF")
    assert b"/FontFile2" in pdf
    assert b"/CreationDate" not in pdf


@pytest.mark.parametrize("width", ["8.6", "cm", "1cm", "5m", "900cm", "-8cm"])
def test_a_width_that_is_none_is_refused(width):
    with pytest.raises(InputError, match="width"):
        inches(width)


def test_the_command_writes_what_it_says(trained, tmp_path, capsys):
    table = tmp_path / "new" / "t.tex"
    for words, code in (
        (["--table", "chosen", "--output", str(table)], 0),
        ([], 0),
        (["--table", "chosen", "--format", "pdf"], 2),
        (["--table", "chosen", "--width", "8cm"], 2),
        (["--table", "chosen", "--figure", "confusion"], 2),
        (["--output", str(tmp_path / "nothing.tex")], 2),
        (["--format", "csv"], 2),
        (["--table", "hyperparameters", "--plus-minus"], 2),
        (["--table", "chosen", "--plus-minus", "--format", "csv"], 2),
    ):
        with pytest.raises(SystemExit) as ended:
            run_command_line(["export", trained.address, *words])
        assert ended.value.code == code
    assert "numpy" in table.read_text()
    told = capsys.readouterr()
    assert re.search(r"tables: .*\bchosen, ", told.out)
    assert told.err.count("error: ") == 7


def test_an_anonymous_report_has_no_machine_and_no_folder(trained):
    secret = "/home/jane/secret lab"
    manifest = trained.manifest | {
        "directory": secret,
        "git_commit": "c0ffee" * 6,
        "machine": {"cpu": "Jane's own", "platform": "jane-laptop", "cores": 2, "blas": "jane's"},
        "environment": {"OPENBLAS_CORETYPE": "jane"},
        "xla_flags": "--xla_dump_to=jane",
        "backends": {
            name: about | {"gpus": ["Jane's GPU"]}
            for name, about in trained.manifest["backends"].items()
        },
        "command": ["python", "-m", "harness", "run", "--dataset", f"{secret}/iris.csv"],
        "notes": [
            "read from /home/jane/lab/iris.csv and ../jane/x.csv; C:\\jane\\y.csv, ~jane/z.csv"
        ],
        "dataset": trained.manifest["dataset"] | {"source": f"{secret}/iris.csv"},
    }
    records = trained.records.assign(reason="no module in /home/jane/env/lib/x.py, see eta/lmbd")
    named = replace(trained, manifest=manifest, records=records)
    named = replace(
        named, experiment=named.experiment.model_copy(update={"dataset": f"{secret}/iris.csv"})
    )
    hidden = anonymous_result(named)
    told = markdown(report_title([hidden]), report_content([named], anonymous=True))
    assert hidden.address == trained.name
    shown = markdown(report_title([named]), report_content([named]))
    for word in ("jane", "Jane", "secret", "c0ffee"):
        assert word not in told
    for word in ("jane's", "OPENBLAS_CORETYPE=jane", "--xla_dump_to=jane", "Jane's GPU"):
        assert word in shown
    for kept in ("iris.csv", "x.csv", "y.csv", "z.csv"):
        assert kept in told


def test_the_citation_names_the_version_that_is_installed():
    import tomllib

    root = Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    cited = dict(re.findall(r"^([\w-]+): (.+)$", (root / "CITATION.cff").read_text(), re.M))
    assert cited["version"] == project["version"]
    assert cited["title"] == project["name"]
    assert cited["license"] == project["license"]
