"""What was run, and on what: data, split, grid, hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.document import number_words
from harness.document.section import NOTHING, Section, Table, text
from harness.document.words import paragraphs
from harness.experiment.experiment import Experiment
from harness.experiment.presets import PRESETS
from harness.experiment.recipe import Recipe
from harness.experiment.setting import choices
from harness.report.runs import Material
from harness.results.backend_grid import BackendGrid
from harness.results.result import Result

# Settings of an experiment that have lines of their own; all others are listed as they are.
_ELSEWHERE = (
    *("preset", "backends", "task", "dataset", "target", "test_size", "validation_size", "scale"),
    *("test_file", "features", "drop", "missing", "missing_values", "missing_indicator", "header"),
    *("eta", "lmbd", "seed", "repeats", "vary", "folds", "overrides"),
)
_WIDE = 12  # classes up to which a table has a column for each
_SCALES = {
    "none": "none, raw values",
    "standard": "each feature minus its mean, over its standard deviation (of the training part)",
    "minmax": "each feature to 0..1 (by the training part's smallest and largest value)",
}
_MISSING = {
    "error": "none allowed",
    "drop": "such rows left out",
    "impute": "filled in with the training part's median, or most frequent category",
}


def facts_table(
    facts: Sequence[Mapping[str, Any]], names: Sequence[str], head: str
) -> pd.DataFrame:
    """Facts by name as rows, a column for each run (named ``value`` if there is only one)."""
    keys = dict.fromkeys(key for one in facts for key in one)
    columns = names if len(names) > 1 else ["value"]
    rows = [[key, *(one.get(key) for one in facts)] for key in keys]
    return pd.DataFrame(
        rows, columns=[head, *columns], dtype=object
    )  # a run may be called ``head``


def facts_tables(
    facts: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    head: str,
    caption: str,
    name: str,
) -> list[Table]:
    """The facts of one run as a table; of several what differs, and folded what is the same in all."""
    return differing_first(facts_table(facts, names, head), caption, name, "all runs")


def differing_first(frame: pd.DataFrame, caption: str, name: str, everybody: str) -> list[Table]:
    """A table with a column for each side as two: the rows that differ; folded, those that do not.

    The second has one column of values, named ``everybody``. One side alone has nothing to differ from.
    """
    if frame.shape[1] == 2:
        return [Table(frame, caption, name=name)]
    rows = frame.iloc[:, 1:].to_numpy()
    differ = np.array([len(set(map(text, row))) > 1 for row in rows], dtype=bool)
    same = frame[~differ].iloc[:, :2].set_axis([frame.columns[0], everybody], axis=1)
    if not differ.any():
        return [Table(same, caption, name=name)]
    tables = [Table(frame[differ], f"{caption}: what differs", name=name)]
    if len(same):
        words = f"{caption}: what is the same in {everybody} ({len(same)})"
        tables.append(Table(same, words, folded=True, name=f"{name}-same"))
    return tables


def data_section(material: Material) -> Section:
    """Source, sizes, hashes, preprocessing and class counts."""
    facts = [_data(result) for result in material.results]
    tables = facts_tables(facts, material.names, "data", "Data and split", "data")
    for name, result in zip(material.names, material.results, strict=True):
        counts = result.manifest["dataset"].get("class_counts") or {}
        if counts:
            caption = "Samples of each class" + (f", {name}" if material.several else "")
            tables.append(
                Table(_class_counts(counts), caption, len(counts["train"]) > _WIDE, "classes")
            )
    return Section("Data", tables=tables)


def _class_counts(counts: Mapping[str, Mapping[str, int]]) -> pd.DataFrame:
    """Parts down and classes across; the other way round where there are many classes."""
    frame = pd.DataFrame(counts)
    if len(frame) <= _WIDE:
        frame = frame.T
    frame.insert(0, "class" if len(frame) > _WIDE else "part", [str(c) for c in frame.index])
    return frame


def _data(result: Result) -> dict[str, str]:
    experiment, dataset = result.experiment, result.manifest["dataset"]
    parts = ", ".join(f"{part} {n}" for part, n in dataset["parts"].items())
    scale = _SCALES[experiment.scale]
    if experiment.task == "regression" and experiment.scale != "none":
        scale += "; the target likewise"
    read = dataset.get("decisions") or []
    return {
        "name": dataset["name"],
        "source": dataset["source"],
        "target": experiment.target or _target(dataset) or "the data set's own",
        "task": experiment.task,
        "samples x features": f"{dataset['samples']} x {dataset['features']}",
        "classes": str(len(dataset["classes"])) if dataset["classes"] else "none, real targets",
        **({"how it was read": "; ".join(read)} if read else {}),
        "missing values": _MISSING[experiment.missing],
        "preprocessing": scale,
        "split": _split(experiment, bool(dataset["classes"]), bool(dataset.get("own_test"))),
        "sizes": parts,
        "SHA-256 of the data": dataset["sha256"],
        "SHA-256 of the split": dataset["split_sha256"],
    }


def _target(dataset: Mapping[str, Any]) -> str | None:
    """The target's column, where it was found out."""
    columns = dataset.get("columns") or []
    return next((column["name"] for column in columns if column["use"] == "target"), None)


def _split(experiment: Experiment, classes: bool, own_test: bool) -> str:
    """How the parts were made, in words."""
    if experiment.draws == "notebook":
        kind = "drawn as the notebook draws, without regard to classes"
    else:
        kind = "stratified by class, seeded" if classes else "shuffled, seeded"
    held = experiment.validation_size
    validation = f"validation {held:g} of the rest" if held else "no part for validation"
    test = f"{experiment.folds} folds" if experiment.folds else f"{experiment.test_size:g} of all"
    if own_test:
        test = "of its own"
    return f"test {test}, {validation}; {kind}"


def grid_section(material: Material) -> Section:
    """The whole grid and every hyperparameter that is the same in all its cells, and what they mean."""
    facts = [_grid(result) for result in material.results]
    recipes = {side.label: _hyperparameters(side) for side in material.sides}
    names = [key for key in Recipe.model_fields if any(key in own for own in recipes.values())]
    rows = [
        {"hyperparameter": key, **{label: own.get(key, NOTHING) for label, own in recipes.items()}}
        for key in names
    ]
    settings = [key for key in Experiment.model_fields if key in {*names, *facts[0]}]
    meanings = [{"setting": key, "what it is": _meaning(key)} for key in settings]
    return Section(
        "Grid and hyperparameters",
        text=paragraphs(
            "report/sentences.jinja",
            "hyperparameters",
            left_out=[key for key in Recipe.model_fields if key not in names],
        ),
        tables=[
            *facts_tables(facts, material.names, "grid", "Grid and repeats", "grid"),
            *differing_first(
                pd.DataFrame(rows), "Fixed hyperparameters", "hyperparameters", "all backends"
            ),
            Table(pd.DataFrame(meanings), "What these settings are", True, "settings"),
        ],
    )


def _hyperparameters(side: BackendGrid) -> dict[str, str]:
    """What a side's recipe says, but what changes nothing in this run."""
    experiment = side.result.experiment
    recipe = experiment.recipe(side.backend)
    idle = recipe.idle
    if experiment.draws != "notebook":
        idle |= {"shared_stream", "drawn_before"}
    given = recipe.model_dump(mode="json", exclude=idle)
    shown = {key: _shown(value) for key, value in given.items()}
    samples = side.result.manifest["dataset"]["parts"].get("train")
    if recipe.batch_size != "all" and samples and recipe.batch_size > samples:
        shown["batch_size"] += f", clipped to the {samples} training samples"
    if not recipe.hidden:
        shown["hidden"] = "none: no hidden layer"
    return shown


def _meaning(key: str) -> str:
    """What a setting is, as ``--help`` says it."""
    field = Experiment.model_fields[key]
    description = str(field.description)
    if description == "{choices}.":
        description = "One of {choices}."
    return description.format(choices=", ".join(choices(field)))


def _grid(result: Result) -> dict[str, str]:
    experiment = result.experiment
    elsewhere = {*_ELSEWHERE, *Recipe.model_fields, "choose_by"}
    rest = experiment.model_dump(mode="json", exclude=elsewhere)
    preset = PRESETS.get(experiment.preset)
    return {
        "preset": f"{experiment.preset}: {preset.summary}" if preset else experiment.preset,
        "backends": ", ".join(result.backends),
        "eta": _axis(experiment.eta),
        "lmbd": _axis(experiment.lmbd),
        "cells": f"{len(experiment.eta)} x {len(experiment.lmbd)} = {len(experiment.cells)}",
        "choose_by": number_words.NAMES[result.choose_by],
        "repeats": str(experiment.repeats),
        "what varies between repeats": _varies_in(result),
        "seed": str(experiment.seed),
    } | {key: _shown(value) for key, value in rest.items() if value not in (None, [], {})}


def _varies_in(result: Result) -> str:
    """What differs between a run's repeats, or that there is one only."""
    if result.experiment.repeats == 1:
        return "nothing, there is one"
    return result.experiment.what_varies


def _axis(values: Sequence[float]) -> str:
    if len(values) <= 12:
        return ", ".join(f"{v:g}" for v in values)
    first = ", ".join(f"{v:g}" for v in values[:3])
    return f"{first}, ..., {values[-1]:g} ({len(values)} values)"


def _shown(value: Any) -> str:
    if value is None or value in ([], {}):
        return NOTHING
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
