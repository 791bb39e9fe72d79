"""The verb ``data``: what it tells of a file, and that the command it gives trains on it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import run_command_line
from harness.data.dataset import load_dataset
from harness.experiment.experiment import Experiment

HOME = Path(__file__).parent / "data"
FLOWERS = "Id,length,width,colour,when,species\n" + "".join(
    f"{n + 1},{n % 7}.5,{'' if n % 10 == 4 else n % 5},{'red' if n % 4 else 'blue'},"
    f"2024-01-{n % 28 + 1:02},{('rosa', 'lily')[n % 5 > 1]}\n"
    for n in range(40)
)


@pytest.fixture
def told(capsys):
    """What the verb says of a file with flags: exit code, output, errors."""

    def data(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            run_command_line(["data", *map(str, arguments)])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return data


@pytest.fixture
def facts(told):
    """What the verb says of a file as JSON."""

    def data(*arguments: object) -> dict:
        code, out, _ = told(*arguments, "--json")
        assert code == 0
        return json.loads(out)

    return data


def experiment_of(command: str) -> Experiment:
    """The experiment of a command line that the verb gave."""
    words = shlex.split(command)
    assert words[:4] == ["python", "-m", "harness", "run"]
    flags = dict(zip(words[4::2], words[5::2], strict=True))
    return Experiment(**{k.removeprefix("--").replace("-", "_"): v for k, v in flags.items()})


def test_it_says_of_each_column_what_becomes_of_it(tmp_path, facts):
    file = tmp_path / "flowers.csv"
    file.write_text(FLOWERS)
    said = facts(file)
    columns = {column.pop("name"): column for column in said["columns"]}
    kinds = {name: (c["kind"], c["missing"], c["distinct"]) for name, c in columns.items()}
    assert kinds == {
        "Id": ("number", 0, 40),
        "length": ("number", 0, 7),
        "width": ("number", 4, 5),
        "colour": ("category", 0, 2),
        "when": ("date", 0, 28),
        "species": ("category", 0, 2),
    }
    assert columns["Id"]["becomes"].startswith("left out")
    assert columns["colour"]["categories"] == ["blue", "red"]
    assert columns["species"]["becomes"] == "target"
    assert (said["samples"], said["test_samples"], said["inputs"]) == (40, 0, 4)
    assert said["classes"] == {"lily": 24, "rosa": 16}
    assert said["first_rows"][4]["width"] is None
    assert said["first_rows"][0]["colour"] == "blue"
    assert any(line.startswith("delimiter") for line in said["decisions"])


def test_its_command_trains_on_what_cannot_be_trained_on_as_it_is(tmp_path, facts):
    file = tmp_path / "with blanks.csv"
    file.write_text(FLOWERS)
    said = facts(file)
    assert len(said["in_the_way"]) == 2  # the dates and what is missing
    dataset = load_dataset(experiment_of(said["command"]))
    assert dataset.features == ("length", "width", "colour")
    assert len(dataset.y) == 40


@pytest.mark.parametrize(
    ("file", "flags"),
    [
        ("semicolon.csv", ()),
        ("images.npz", ()),
        ("cases.arff", ()),
        ("sparse.svm", ()),
        ("train-images-idx3-ubyte.gz", ()),
        ("census.data", ("--test-file", HOME / "census.test")),
        ("houses.csv", ("--task", "regression", "--target", "value")),
    ],
)
def test_the_command_it_gives_reads_every_kind_of_file(file, flags, facts):
    said = facts(HOME / file, *flags)
    dataset = load_dataset(experiment_of(said["command"]))
    assert len(dataset.y) == said["samples"] + said["test_samples"]
    assert said["test_samples"] == dataset.test


def test_flags_decide_what_it_tells(tmp_path, facts):
    file = tmp_path / "flowers.csv"
    file.write_text(FLOWERS)
    said = facts(file, "--target", "colour", "--drop", "when,width")
    uses = {column["name"]: column["becomes"] for column in said["columns"]}
    assert (uses["colour"], uses["when"], uses["width"]) == ("target", *["left out, as asked"] * 2)
    assert said["in_the_way"] == []
    assert set(said["classes"]) == {"blue", "red"}


def test_for_a_person_it_prints_tables_and_the_command(tmp_path, told):
    file = tmp_path / "flowers.csv"
    file.write_text(FLOWERS)
    code, out, err = told(file)
    assert (code, err) == (0, "")
    for words in ("flowers.csv: 40 samples, 6 columns", "First rows", "in the way:", "lily 24"):
        assert words in out
    assert f"to train on it: python -m harness run --dataset {file}" in out


def test_its_lines_fit_the_terminal_and_no_column_is_squeezed(tmp_path, told, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    names = [f"measured_{n}" for n in range(9)]
    rows = [",".join(f"{n * k + 0.25}" for k in range(9)) + f",{'uv'[n % 2]}" for n in range(20)]
    (tmp_path / "wide.csv").write_text("\n".join([",".join([*names, "label"]), *rows]))
    _, out, _ = told(tmp_path / "wide.csv")
    table = out[out.index("First rows, 5 of 10 columns") : out.index("classes:")]
    assert max(map(len, table.splitlines())) <= 80
    assert names[4] in table
    assert names[5] not in table
    assert "\u2026" not in table


def test_a_column_that_is_mostly_missing_is_warned_of(tmp_path, facts):
    rows = [f"{n % 7 if n % 3 == 0 else ''},{n / 3:.1f},{'uv'[n % 2]}" for n in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["deck,fare,label", *rows]))
    said = facts(tmp_path / "t.csv")
    assert any("more than half" in line and "--drop deck" in line for line in said["warnings"])


def test_scales_that_differ_are_in_its_command(tmp_path, facts):
    file = tmp_path / "scales.csv"
    file.write_text(
        "mass,part,y\n" + "".join(f"{n * 1000},{n % 9 / 9},{n % 2}\n" for n in range(40))
    )
    said = facts(file)
    assert said["command"].endswith("--scale standard")
    assert any("scales differ" in line for line in said["warnings"])


@pytest.mark.parametrize(
    ("text", "flags", "words"),
    [
        (None, (), "no file"),
        ("a,b\n1,2\n3,4,5\n", (), "row 3 has 3 fields"),
        (FLOWERS, ("--target", "specis"), "did you mean 'species'"),
        (FLOWERS, ("--drop", "species"), "'species' is the target"),
        ("", (), "holds no rows"),
    ],
)
def test_what_it_cannot_read_is_one_line_and_2(text, flags, words, tmp_path, told):
    file = tmp_path / "flowers.csv"
    if text is not None:
        file.write_text(text)
    code, out, err = told(file, *flags)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err


def test_it_loads_no_framework(tmp_path):
    (tmp_path / "flowers.csv").write_text(FLOWERS)
    code = (
        "import sys\nfrom harness.cli.main import run_command_line\n"
        "try: run_command_line(['data', 'flowers.csv', '--json'])\n"
        "finally: print(sorted({'tensorflow', 'keras', 'torch', 'jax', 'matplotlib', 'sklearn'} "
        "& set(sys.modules)), file=sys.stderr)\n"
    )
    path = {"PYTHONPATH": str(HOME.parents[1]), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=path, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stderr == "[]\n"
