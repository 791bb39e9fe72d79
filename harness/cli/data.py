"""``harness data``: how a file is read, before anything is trained on it."""

from __future__ import annotations

import json
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import takes_data

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from harness.data.survey import Survey
    from harness.experiment.experiment import Experiment

_ROWS = 5  # first rows that are shown
_COLUMNS = 40  # columns that are shown one by one
_WIDTH = 10  # columns of the first rows, at most
_CELL = 24  # characters of a value there
_NAMES = 6  # categories of a column
_CLASSES = 20


@takes_data
def data_command(
    file: Annotated[str, typer.Argument(help="File, or name of a data set.", metavar="FILE")],
    settings: dict[str, Any],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print it as JSON.", show_default=False)
    ] = False,
) -> None:
    """Show how a file is read: delimiter, header, columns and what becomes of each, class counts,
    what is odd or missing, and the command line that trains on it. Nothing is trained.
    """
    from harness.cli.console import console
    from harness.experiment.experiment import Experiment

    most = None if as_json else _COLUMNS
    told = _facts(Experiment(dataset=file, **settings), settings, most)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    else:
        _print_facts(told, console())


def _facts(
    experiment: Experiment, settings: dict[str, Any], most: int | None = None
) -> dict[str, Any]:
    """What is to be told of a data set; ``most``: of so many of its columns one by one.

    Where it cannot be trained on as it is, its inputs and oddities are those of the command that can.
    """
    from harness.data.dataset import read_tables
    from harness.data.oddities import SCALES_DIFFER, odd_features
    from harness.data.table_survey import survey_table

    read = read_tables(experiment)
    survey = survey_table(read.name, read.table, read.test, experiment)
    helped, needed = survey, dict(settings)
    for refusal in survey.refusals:
        for name, value in refusal.settings.items():
            before = needed.get(name) if name in ("drop", "missing_values") else None
            needed[name] = value if not before else f"{_as_flag(before)},{value}"
    if survey.refusals and "COLUMN" not in needed.values():
        asked = type(experiment)(dataset=experiment.dataset, **needed)
        helped = survey_table(read.name, read.table, read.test, asked)
    warnings = [] if helped.refusals else odd_features(helped, experiment)
    if any(words.startswith(SCALES_DIFFER) for words in warnings):
        needed["scale"] = "standard"
    own = any(words.endswith("the file's own") for words in survey.decisions)
    if survey.target is not None and "target" not in needed and not own:
        needed = {"target": str(survey.target), **needed}
    return {
        "name": survey.name,
        "source": read.source,
        "samples": len(survey.parts[0].frame),
        "test_samples": sum(len(part.frame) for part in survey.parts[1:]),
        "decisions": survey.decisions,
        "number_of_columns": len(survey.columns),
        "columns": _columns(survey, helped, most),
        "inputs": sum(len(column.values) or 1 for column in helped.features),
        "classes": _class_counts(survey, experiment),
        "first_rows": _first_rows(survey.parts[0].frame.iloc[:, :most]),
        "warnings": warnings,
        "in_the_way": [refusal.words for refusal in survey.refusals],
        "command": _command(experiment.dataset, needed),
    }


def _columns(survey: Survey, helped: Survey, most: int | None) -> list[dict[str, Any]]:
    frame, use = survey.parts[0].frame, {column.name: column for column in helped.columns}
    told = []
    for column in survey.columns[:most]:
        values = frame[column.name]
        becomes = use.get(column.name, column)
        told.append(
            {
                "name": column.name,
                "kind": column.kind,
                "missing": int(values.isna().sum()),
                "distinct": int(
                    values.astype(str).nunique() if column.kind == "other" else values.nunique()
                ),
                "becomes": becomes.use,
                "categories": list(becomes.values),
            }
        )
    return told


def _class_counts(survey: Survey, experiment: Experiment) -> dict[str, int]:
    from harness.data.columns import as_texts

    if survey.target is None or experiment.task == "regression":
        return {}
    if survey.classes:
        import numpy as np

        counts = np.bincount(survey.y[0], minlength=len(survey.classes)).tolist()
        return dict(zip(survey.classes, counts, strict=True))
    counts = as_texts(survey.parts[0].frame[survey.target]).value_counts()
    return {str(name): int(number) for name, number in counts.items()}


def _first_rows(frame: pd.DataFrame) -> list[dict[str, str | None]]:
    head = frame.head(_ROWS)
    return [
        {str(c): None if missing[c] else str(row[c]) for c in head.columns}
        for (_, row), (_, missing) in zip(
            head.astype(object).iterrows(), head.isna().iterrows(), strict=True
        )
    ]


def _command(dataset: str, settings: dict[str, Any]) -> str:
    words = [f"python -m harness run --dataset {quote(dataset)}"]
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool) or value in ("True", "False"):
            words.append(f"--{flag}" if value in (True, "True") else f"--no-{flag}")
        else:
            words += [f"--{flag}", quote(_as_flag(value))]
    return " ".join(words)


def _as_flag(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _print_facts(told: dict[str, Any], out: Console) -> None:
    from rich.table import Table

    test = f", {told['test_samples']:,} test samples" if told["test_samples"] else ""
    out.print(
        f"{told['name']}: {told['samples']:,} samples{test}, {told['number_of_columns']} columns, "
        f"inputs of a network: {told['inputs']}",
        style="bold",
        highlight=False,
    )
    in_table = {f"{c['missing']} missing in {c['name']}" for c in told["columns"]}
    for line in told["decisions"]:
        if line not in in_table:
            out.print(f"  {line}", highlight=False)
    table = Table()
    for name in ("column", "kind", "missing", "distinct", "becomes"):
        table.add_column(name, justify="right" if name in ("missing", "distinct") else "left")
    for column in told["columns"]:
        table.add_row(
            column["name"],
            column["kind"],
            f"{column['missing']:,}" if column["missing"] else "",
            f"{column['distinct']:,}",
            _becomes(column),
        )
    out.print(table)
    if left := told["number_of_columns"] - len(told["columns"]):
        out.print(f"and {left} columns more (all with --json)")
    if told["first_rows"]:
        out.print(_first_rows_table(told, out.width))
    if told["classes"]:
        counts = [f"{name} {number:,}" for name, number in told["classes"].items()]
        more = f", ... ({len(counts)} classes)" if len(counts) > _CLASSES else ""
        out.print(f"classes: {', '.join(counts[:_CLASSES])}{more}", highlight=False)
    for line in told["warnings"]:
        out.print(f"warning: {line}", style="yellow", highlight=False)
    for line in told["in_the_way"]:
        out.print(f"in the way: {line}", style="red", highlight=False)
    out.print(f"to train on it: {told['command']}", highlight=False, soft_wrap=True)


def _first_rows_table(told: dict[str, Any], width: int) -> Table:
    """The first rows, as many columns of them as fit beside each other."""
    from rich.cells import cell_len
    from rich.table import Table

    columns: dict[str, list[str]] = {}
    left = width - 1
    for column in told["columns"][:_WIDTH]:
        name = column["name"]
        cells = [row[name] or "" for row in told["first_rows"]]
        left -= min(_CELL, max(map(cell_len, (name, *cells)))) + 3  # blanks and a line
        if columns and left < 0:
            break
        columns[name] = cells
    every = len(columns) == told["number_of_columns"]
    some = "" if every else f", {len(columns)} of {told['number_of_columns']} columns"
    table = Table(title=f"First rows{some}", title_justify="left")
    for name in columns:
        table.add_column(name, no_wrap=True, max_width=_CELL)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table


def _becomes(column: dict[str, Any]) -> str:
    names = column["categories"]
    if column["becomes"] != "feature" or not names:
        return str(column["becomes"])
    more = f", ... ({len(names)})" if len(names) > _NAMES else ""
    return f"{len(names)} inputs: {', '.join(names[:_NAMES])}{more}"
