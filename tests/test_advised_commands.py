"""Commands that pages, terminal, messages and documentation advise can be typed as they stand."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer

from harness.cli.main import VERBS, command_line, run_command_line

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "harness/README.md",
    "backends/README.md",
    "results/README.md",
    "action.yml",
)
ADVISED = re.compile(r"python -m harness ([^\n`]+)")
ENDS = ("|", "||", "&&", ">", ">>")
# what stands for an expression in the source; anything else is a text or number, for which 1 will do
EXPRESSIONS = {
    "verb": ("run", "parity"),  # of report.agreement.cell_command
    "cell": ("--eta 1 --lmbd 1",),
    "command": (
        "report results/NAME",
        "compare results/A results/B",
    ),  # of cli.sections.tell_faults
    "' '.join(['python -m harness', *verb])": ("python -m harness run",),
}


def commands_in(text: str) -> Iterator[list[str]]:
    """The words of every command in a text, without ``python -m harness``."""
    for match in ADVISED.finditer(text.replace("\\\n", " ")):
        told = match[1]
        if text[max(0, match.start() - 1)] == "'" and "'" in told:
            told = told[: told.index("'")]  # quoted in a message
        words = shlex.split(told, comments=True)
        end = next((k for k, word in enumerate(words) if word in ENDS), len(words))
        words = [word.strip("[]") for word in words[:end]]
        if words and words[0] != "...":
            yield words


def texts_of(file: Path) -> Iterator[str]:
    """The texts of a file that may reach a person: of Python its strings, values for expressions."""
    source = file.read_text(encoding="utf-8")
    if "python -m harness" not in source:
        return
    if file.suffix != ".py":
        bare = re.sub(r'\{%.*?%\}|"\$\{.*?\}"', "", source)
        yield re.sub(r"\{\{.*?\}\}|\$\{.*?\}", "1", bare)
        return
    inside: set[ast.AST] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            inside |= set(ast.walk(node))
            told = [""]
            for part in node.values:
                values = (str(part.value),) if isinstance(part, ast.Constant) else ("1",)
                if isinstance(part, ast.FormattedValue):
                    values = EXPRESSIONS.get(ast.unparse(part.value), values)
                told = [text + value for text in told for value in values]
            yield from told
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.value


def test_every_command_that_is_advised_can_be_typed():
    files = [ROOT / name for name in DOCUMENTS]
    for kind in ("py", "jinja", "js", "html", "toml"):
        files += sorted((ROOT / "harness").rglob(f"*.{kind}"))
    advised = {
        shlex.join(words): file.relative_to(ROOT)
        for file in files
        for text in texts_of(file)
        for words in commands_in(text)
    }
    assert len(advised) > 60  # they are found at all
    refused = []
    for command, file in advised.items():
        try:
            parse(shlex.split(command))
        except typer.TyperException as error:
            refused.append(f"{file}: {command}: {error.format_message()}")
    assert not refused, "\n".join(refused)


@cache
def app(verb: str):
    return typer.main.get_command(command_line(verb))


def parse(words: list[str]) -> None:
    """Nothing, if the command line takes these words; nothing is carried out."""
    assert words[0] in (*VERBS, "baseline"), words
    command, context = app(words[0]), None
    name, rest = "harness", [word for word in words if word != "--help"]
    while True:
        context = command.make_context(name, list(rest), parent=context)
        if not hasattr(command, "resolve_command"):
            return
        name, command, rest = command.resolve_command(
            context, context._protected_args + context.args
        )


def test_a_misspelt_flag_would_be_noticed():
    (words,) = commands_in("see `python -m harness parity --confg run/experiment.toml`")
    with pytest.raises(typer.TyperException, match="confg"):
        parse(words)


def test_the_commands_of_a_run_do_what_they_say(tmp_path, monkeypatch, capsys):
    """In a folder whose name has a blank: the page's two of one cell are run."""

    def call(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            run_command_line(arguments)
        assert ended.value.code == 0, capsys.readouterr().err
        return capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    settings = ("--dataset", "iris", "--scale", "standard", "--epochs", "2", "--batch-size", "30")
    grid = ("--eta", "0.01,0.1", "--lmbd", "1e-05,0.1")
    where = ("--output", "my runs", "--name", "iris", "--executor", "serial")
    out = call("run", "--backend", "numpy,sklearn", *settings, *grid, *where)
    (proof,) = commands_in(out)
    page = (tmp_path / "my runs" / "iris" / "report.html").read_text(encoding="utf-8")
    values = json.loads(re.search(r'id="explorer-data">(.*?)</script>', page, re.DOTALL)[1])
    told = values["runs"][0]["commands"]
    of_cell = {
        name: next(commands_in(text.replace("{eta}", "0.1").replace("{lmbd}", "0.00001")))
        for name, text in told.items()
        if "python -m harness" in text
    }
    assert set(of_cell) == {"train only this cell", "follow it step by step"}
    assert proof == ["parity", "--config", "my runs/iris/experiment.toml"]
    quick = ("--steps", "10", "--no-conformance", "--json", "--quiet")
    verdict = json.loads(call(*of_cell["follow it step by step"], *quick))
    assert {one["backend"] for one in verdict["verdicts"]} == {"numpy", "sklearn"}
    experiment = verdict["experiment"]
    assert (experiment["eta"], experiment["lmbd"]) == ([0.1], [1e-05])
    told = call(*of_cell["train only this cell"], "--dry-run")
    assert "1 cells x" in told
    assert "eta 0.1; lmbd 1e-05" in told
