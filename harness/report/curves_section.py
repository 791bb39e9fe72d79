"""The chosen cells in detail: learning curves, confusion matrices, predictions over true values."""

from __future__ import annotations

from functools import partial

import numpy as np

from harness.document import number_words
from harness.document.section import Picture, Section
from harness.report import curve_figures as plots
from harness.report.chosen_cells import Choice
from harness.report.runs import Material

CONFUSED = 25  # classes up to which the page's cells have confusion matrices


def curves_section(material: Material) -> Section | None:
    """Learning curves, and confusion matrices or predictions over true values, of the chosen cells.

    The page shows curves, and confusion matrices of few classes, of every cell by itself.
    """
    if not material.choices:
        return None
    pictures = []
    for metric in material.metrics:
        own = [c for c in material.choices if c.side.metric == metric]
        several = len(material.metrics) > 1
        suffix = f"-{metric}" if several else ""
        if not own:
            continue
        ends = "; ".join(
            f"{c.side.label}: validation loss {c.mean('validation_loss'):.4g} at the end"
            for c in own
        )
        pictures.append(
            Picture(
                f"learning-curves{suffix}",
                partial(plots.learning_curves, own),
                "Learning curves of the chosen cells"
                + (" (mean and range over repeats)." if own[0].side.repeats > 1 else "."),
                f"Loss and {number_words.NAMES[metric]} on the train and validation part after each epoch "
                f"looked at. {ends}.",
                on_page=False,
            )
        )
        if metric == "accuracy":
            pictures += _confusions(material, own, suffix)
        else:
            pictures.append(
                Picture(
                    f"predicted{suffix}",
                    partial(plots.predicted_against_true, own),
                    "Predicted over true value of every test sample, chosen cells.",
                    "; ".join(f"{c.side.label}: test R² {c.test:.3f}" for c in own) + ".",
                )
            )
    return Section("Chosen cells in detail", text=curve_samples_words(material), pictures=pictures)


def curve_samples_words(material: Material) -> list[str]:
    """Of which runs the learning curves are those of a sample, a sentence for each."""
    said = []
    for name, result in zip(material.names, material.results, strict=True):
        parts = result.manifest["dataset"].get("parts", {})
        few = result.manifest["dataset"].get("curve_samples", {})
        cut = [f"{n} of {parts[p]} {p} samples" for p, n in few.items() if n < parts[p]]
        if cut:
            whose = f"{name}: learning" if material.several else "Learning"
            said.append(
                f"{whose} curves are of a fixed sample, {' and '.join(cut)}, the same for all cells and "
                "backends; every score and loss in the tables is of all samples."
            )
    return said


def _confusions(material: Material, own: list[Choice], suffix: str) -> list[Picture]:
    """A figure for every set of classes."""
    pictures = []
    sets = list(dict.fromkeys(tuple(c.side.result.manifest["dataset"]["classes"]) for c in own))
    for number, classes in enumerate(sets):
        these = [c for c in own if tuple(c.side.result.manifest["dataset"]["classes"]) == classes]
        wrong = "; ".join(f"{c.side.label}: {_mistakes(c, classes)}" for c in these)
        pictures.append(
            Picture(
                f"confusion{suffix}" + (f"-{number + 1}" if len(sets) > 1 else ""),
                partial(plots.confusion_matrices, these, classes),
                "Confusion matrices of the chosen cells, test samples"
                + (" of all repeats together" if these[0].side.repeats > 1 else "")
                + ": true class down, predicted class across; the colour is the share of the true class.",
                f"Confusion matrices. {wrong}.",
                on_page=len(classes) > CONFUSED,
            )
        )
    return pictures


def _mistakes(choice: Choice, classes: tuple[str, ...]) -> str:
    """How many samples are mislabelled, and the commonest confusion."""
    counts = plots.confusion_counts(choice, len(classes))
    off = counts - np.diag(np.diag(counts))
    if not off.any():
        return "no sample mislabelled"
    true, predicted = np.unravel_index(off.argmax(), off.shape)
    return (
        f"{int(off.sum())} of {int(counts.sum())} mislabelled, most often "
        f"{classes[true]} as {classes[predicted]} ({int(off.max())})"
    )
