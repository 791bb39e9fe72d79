"""The chaos map as a section of a report."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from harness.document.heatmaps import ANNOTATED, Map, Scale, figure_of
from harness.document.number_words import count
from harness.document.section import Picture, Section

_CHAOS = (
    "A map of how far round-off alone carries a training: the written-out reference against itself, with "
    "every result perturbed in its last place and every sum in another order. The mathematics is the same. "
    "Where the two part, so will any two right programs: weights, labels and accuracies may then differ "
    "without a fault anywhere, and nothing is held against a backend."
)


def chaos_section(chaos: pd.DataFrame, name: str = "chaos-map") -> Section:
    """The chaos map of one dtype or several; ``chaos`` is of :func:`harness.roundoff.chaos_map.chaos_map`."""
    picture = Picture(
        name,
        partial(chaos_figure, chaos),
        "How many decimal digits of the weights round-off alone takes by the last step.",
        "Heatmaps over eta (down) and lmbd (across). " + " ".join(chaos_words(chaos)),
    )
    words = chaos_words(chaos)
    return Section(
        "Chaos map", text=[_CHAOS], points=words, pictures=[picture], summary=" ".join(words)
    )


def chaos_words(chaos: pd.DataFrame) -> list[str]:
    """For each recipe and dtype how many cells are of each kind, and what chaos does to the score."""
    found = []
    keys = [key for key in ("recipe", "dtype") if key in chaos]
    several = len(keys) > 1 and len(chaos["recipe"].unique()) > 1
    for names, part in chaos.groupby(keys, sort=False):
        kinds = part["status"].value_counts()
        cells = [
            f"{kinds[k]} {k}" for k in ("stable", "sensitive", "chaotic", "diverged") if k in kinds
        ]
        repeats = part["repeat"].nunique()
        what = count(len(part), "cell" if repeats == 1 else "training")
        words = (
            f"{', '.join(map(str, names if several else names[-1:]))}: of {what} {', '.join(cells)}"
        )
        swing = part.loc[part["chaotic"].astype(bool), "swing"].max()
        if swing > 0:
            words += (
                f"; in chaotic cells round-off alone moves the test score by up to {swing:.3g}"
                " with no fault anywhere"
            )
        found.append(f"{words}.")
    return found


def chaos_figure(chaos: pd.DataFrame) -> Figure:
    """The share of a number's digits that round-off alone takes, over the grid.

    ``chaos`` is of :func:`harness.roundoff.chaos_map.chaos_map`; a panel for each dtype and recipe, the worst
    of the repeats. Small grids carry the number of digits.
    """
    keys = [key for key in ("recipe", "dtype") if key in chaos]
    maps = []
    for names, part in chaos.groupby(keys, sort=False):
        maps.append(_map(names, part, several=chaos[keys].nunique().iloc[0] > 1 and len(keys) > 1))
    ends = {"ticks": [0, 0.5, 1], "format": "%g"}
    scale = Scale("rocket_r", 0, 1, "share of digits lost", ends)
    return figure_of(maps, scale, columns=2)


def _map(names: Sequence[object], part: pd.DataFrame, several: bool) -> Map:
    dtype = str(names[-1])
    digits = -np.log10(np.finfo(dtype).eps)
    worst = part.groupby(["eta", "lmbd"]).agg(
        growth=("growth", "max"), diverged=("status", lambda s: (s == "diverged").any())
    )
    grid = worst["growth"].unstack("lmbd")
    lost = np.log10(np.fmax(grid.to_numpy(dtype=float), 1.0))
    gone = worst["diverged"].unstack("lmbd").to_numpy()
    texts = np.full(lost.shape, "", dtype=object)
    if max(lost.shape) <= ANNOTATED:
        texts = np.array([[f"{v:.1f}" for v in row] for row in lost], dtype=object)
    return Map(
        f"{names[0]}, {dtype}" if several else f"{dtype} ({digits:.0f} digits)",
        grid.index.to_numpy(dtype=float),
        grid.columns.to_numpy(dtype=float),
        np.clip(lost / digits, 0, 1),
        texts,
        np.where(gone, "diverged", "ok").astype(object),
    )
