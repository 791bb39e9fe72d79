"""The GitHub Action: its steps' shell runs here as a runner would run it, on a baseline of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from harness.api import run
from harness.cli.baseline import save_command
from harness.cli.main import command_line
from harness.cli.places import write_in_place, write_text
from harness.document.pull_request import LONGEST, in_place, pull_request_comment
from harness.document.section import Section, Table
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS = ACTION["runs"]["steps"]
BASH = shutil.which("bash")
EXPRESSION = re.compile(r"\$\{\{\s*([\w.\-]+)\s*\}\}")
# gh as far as the action uses it: of all comments it gives what the filter asks for, one a line
GH = f"""#!{sys.executable}
import json, os, re, sys
with open(os.environ["GH_LOG"], "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if "--paginate" in sys.argv:
    asked = sys.argv[sys.argv.index("--jq") + 1]
    form = r"\\.\\[\\] \\| select\\(\\.body \\| startswith\\(env\\.(\\w+)\\)\\) \\| \\.id"
    mark = os.environ[re.fullmatch(form, asked)[1]]
    for comment in json.load(open(os.environ["GH_COMMENTS"])):
        if comment["body"].startswith(mark):
            print(comment["id"])
"""


def test_every_expression_names_something_that_there_is():
    ids = {step["id"] for step in STEPS if "id" in step}
    outputs = {"python": {"python-version"}} | {
        step["id"]: set(re.findall(r"echo \"(\w+)=", step.get("run", "")))
        for step in STEPS
        if "run" in step and "id" in step
    }
    text = (ROOT / "action.yml").read_text("utf-8")
    names = re.findall(r"\b((?:inputs|steps)\.[\w.\-]+)", text)
    assert names
    for name in names:
        kind, first, *rest = name.split(".")
        if kind == "inputs":
            assert first in ACTION["inputs"]
        else:
            assert first in ids
            assert rest[0] == "outputs"
            assert rest[1] in outputs[first]
    for given in ACTION["inputs"].values():
        assert given["description"]


def test_every_step_runs_or_uses_and_says_its_shell():
    assert ACTION["runs"]["using"] == "composite"
    for step in STEPS:
        assert ("run" in step) != ("uses" in step)
        assert "run" not in step or step["shell"] == "bash"
        # what a pull request's author writes never stands in the script itself
        assert "${{" not in step.get("run", "")
        assert "uses" not in step or re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])
        # the action lies outside the workspace, where hashes and globs of other actions find nothing
        assert "github.action_path" not in str(step.get("with", ""))


def test_its_flags_are_those_of_the_commands():
    for verb in ("check", "parity"):
        (script,) = (step["run"] for step in STEPS if f"harness {verb}" in step.get("run", ""))
        defaults = ACTION["inputs"][f"{verb}-arguments"]["default"]
        app = command_line(verb)
        import typer

        known = {o for p in typer.main.get_command(app).commands[verb].params for o in p.opts}
        assert set(re.findall(r"(?<!\w)--[a-z-]+", script + defaults)) <= known


@pytest.mark.skipif(BASH is None, reason="no bash here")
def test_its_scripts_are_bash():
    for step in STEPS:
        if "run" in step:
            subprocess.run([BASH, "-n"], input=step["run"], text=True, check=True)


class Runner:
    """Runs steps in order as GitHub's runner does: conditions aside, which the caller decides."""

    def __init__(self, place: Path, inputs: dict[str, str]) -> None:
        self.place, self.steps = place, {}
        self.values = {
            f"inputs.{k}": str(v.get("default", "")) for k, v in ACTION["inputs"].items()
        }
        self.values |= {f"inputs.{k}": v for k, v in inputs.items()}
        self.values["github.event.pull_request.number"] = "7"
        (place / "bin").mkdir(parents=True)
        for name, text in (("gh", GH), ("python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')):
            (place / "bin" / name).write_text(text)
            (place / "bin" / name).chmod(0o755)
        (place / "comments").write_text("[]")
        self.log = place / "gh.log"

    def step(self, name: str) -> int:
        (step,) = (s for s in STEPS if s.get("name") == name)
        output = self.place / "output"
        output.write_text("")
        own = {
            k: EXPRESSION.sub(lambda e: self.values.get(e[1], ""), v)
            for k, v in step.get("env", {}).items()
        }
        around = os.environ | {
            "PYTHONPATH": str(ROOT),
            "PATH": f"{self.place / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "RUNNER_TEMP": str(self.place / "temp"),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(self.place / "summary.md"),
            "GITHUB_REPOSITORY": "somebody/something",
            "GITHUB_JOB": "accuracy",
            "RUNNER_OS": "Linux",
            "GH_LOG": str(self.log),
            "GH_COMMENTS": str(self.place / "comments"),
        }
        script = self.place / "script.sh"
        script.write_text(step["run"])
        command = [BASH, "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        done = subprocess.run(
            command, cwd=self.place, env=around | own, capture_output=True, text=True
        )
        self.said = done.stdout + done.stderr
        for line in output.read_text().splitlines():
            key, _, value = line.partition("=")
            self.values[f"steps.{step['id']}.outputs.{key}"] = value
        return done.returncode


@pytest.mark.skipif(BASH is None, reason="no bash here")
def test_what_pip_downloads_is_kept_beside_the_runs(tmp_path):
    runner = Runner(tmp_path, {})
    assert runner.step("Cache of pip") == 0, runner.said
    assert Path(runner.values["steps.pip.outputs.cache"]).is_absolute()
    (cache,) = (s for s in STEPS if s.get("uses", "").startswith("actions/cache@"))
    kept = cache["with"]["path"].split("\n")
    assert kept[:2] == [".harness-runs", "${{ steps.pip.outputs.cache }}"]


@pytest.mark.skipif(BASH is None, reason="no bash here")
def test_its_inputs_are_words_as_one_would_type_them(tmp_path):
    typed = "--folder 'my baselines'\n--strict  --margin \"0.02\" it\\'s\n"
    runner = Runner(tmp_path, {"check-arguments": typed, "parity-arguments": ""})
    assert runner.step("Begin") == 0, runner.said
    place = tmp_path / "temp" / "harness"
    words = ["--folder", "my baselines", "--strict", "--margin", "0.02", "it's"]
    assert (place / "check-arguments").read_text() == "".join(f"{word}\0" for word in words)
    assert (place / "parity-arguments").read_text() == ""
    runner.values["inputs.parity-arguments"] = "--dataset 'iris"
    assert runner.step("Begin") != 0
    assert "::error::parity-arguments: found a quote" in runner.said


@pytest.mark.skipif(BASH is None, reason="no bash here")
def test_two_baselines_or_versions_in_one_job_have_a_comment_each(tmp_path):
    marks = set()
    for number, inputs in enumerate(
        [{}, {"baseline": "other"}, {"python-version": "3.13"}, {"baseline": ""}]
    ):
        runner = Runner(tmp_path / str(number), inputs)
        assert runner.step("Begin") == 0, runner.said
        marks.add(Path(runner.values["steps.place.outputs.report"]).read_text())
    assert len(marks) == 4
    assert all(mark.startswith("<!--") and mark.endswith("-->\n") for mark in marks)


@pytest.mark.slow
@pytest.mark.skipif(BASH is None, reason="no bash here")
def test_its_steps_judge_summarise_and_comment_once(tmp_path):
    settings = {
        "dataset": "iris",
        "scale": "standard",
        "backends": ["numpy"],
        "eta": [0.1],
        "lmbd": [0.01],
    }
    settings |= {"epochs": 3, "repeats": 4}
    made = run(
        experiment_from(settings), Execution(executor="serial", output=str(tmp_path), name="run")
    )
    kept = str(tmp_path / "the baselines")
    save_command(made.address, name="tiny", folder=kept)
    inputs = {
        "baseline": "tiny",
        "check-arguments": f"--folder '{kept}'\n--jobs 1\n--no-until-decided\n",
        "parity-arguments": "--backend numpy --dataset iris --scale standard --eta 0.1 --lmbd 0 --steps 9",
    }
    runner = Runner(tmp_path / "runner", inputs)
    for name in ("Begin", "Check", "Parity", "Summary", "Comment"):
        assert runner.step(name) == 0, runner.said
    assert runner.values["steps.check.outputs.code"] == "0"
    assert runner.values["steps.parity.outputs.code"] == "0"
    summary = (runner.place / "summary.md").read_text()
    assert "### check tiny: pass" in summary
    assert "### parity iris: agree" in summary
    assert "--method POST repos/somebody/something/issues/7/comments" in runner.log.read_text()
    report = Path(runner.values["steps.place.outputs.report"]).read_text()
    bodies = {41: "a person's", 42: report, 43: report}
    (runner.place / "comments").write_text(
        json.dumps([{"id": number, "body": body} for number, body in bodies.items()])
    )
    assert runner.step("Comment") == 0
    last = runner.log.read_text().splitlines()[-1]
    assert "--method PATCH repos/somebody/something/issues/comments/42" in last
    assert runner.step("Verdict") == 0


@pytest.mark.skipif(BASH is None, reason="no bash here")
@pytest.mark.parametrize(
    ("check", "parity", "fails", "code"),
    [
        ("0", "0", "true", 0),
        ("", "", "true", 0),
        ("1", "0", "true", 1),
        ("3", "1", "true", 1),
        ("1", "3", "true", 1),
        ("3", "0", "true", 3),
        ("3", "0", "false", 0),
        ("2", "3", "false", 2),
    ],
)
def test_its_verdict_is_the_worst_of_both(tmp_path, check, parity, fails, code):
    runner = Runner(tmp_path, {"inconclusive-fails": fails})
    runner.values |= {"steps.check.outputs.code": check, "steps.parity.outputs.code": parity}
    assert runner.step("Verdict") == code


def long_section() -> Section:
    tables = [
        Table(pd.DataFrame({"cell": range(200), "x": 1.5}), "Cells"),
        Table(pd.DataFrame({"backend": ["numpy"]}), "Backends"),
    ]
    points = [f"point {k}" for k in range(40)]
    return Section("Check", ["The answer.", "The method."], points, tables=tables)


def test_a_comment_is_short_and_begins_with_the_answer():
    text = pull_request_comment("check small", "pass", [long_section()])
    lines = text.splitlines()
    assert len(lines) <= LONGEST
    assert lines[1] == "### check small: pass"
    assert lines[3] == "**The answer.**"
    assert text.count("<details>") == text.count("</details>") == 4
    assert re.search(r"\d+ more rows are in the report", text)


def test_a_comment_takes_its_own_place_and_nobody_elses():
    one = pull_request_comment("check a", "pass", [Section("s", ["first"])])
    two = pull_request_comment("check b", "pass", [Section("s", ["second"])])
    again = pull_request_comment("check a", "fail", [Section("s", [r"third \1"])])
    both = in_place(in_place("# mine\n", "check a", one), "check b", two)
    assert both == f"# mine\n{one}{two}"
    assert in_place(both, "check a", again) == f"# mine\n{again}{two}"
    assert in_place("", "check a", one) == one


def test_what_stands_in_a_file_stays_and_one_that_cannot_be_written_is_told(tmp_path, capsys):
    file = tmp_path / "summary.md"
    file.write_bytes(b"\xffmine\n")
    for words in ("first", "second"):
        write_in_place(str(file), "a", pull_request_comment("a", "pass", [Section("s", [words])]))
    text = file.read_bytes()
    assert text.startswith(b"\xffmine\n<!--")
    assert b"second" in text
    assert b"first" not in text
    write_text(str(tmp_path), "a folder")
    write_in_place(str(file / "below"), "a", "a file")
    assert capsys.readouterr().err.count("cannot be written") == 2


def test_nothing_in_a_comment_is_markup_or_a_mark_of_another():
    name = "x --> <script>"
    text = pull_request_comment(name, "<b>", [Section("s", ["<img>"], ["<!-- harness: x -->"])])
    assert "<script>" not in text
    assert "<b>" not in text
    assert "<img>" not in text
    assert text.count("<!--") == 2
