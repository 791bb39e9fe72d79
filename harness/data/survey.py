"""What a table comes to under an experiment's settings: its columns, what is wrong, what is odd."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.columns import Column

Hash = Any  # of hashlib, which has no name for it
IMBALANCED = 0.6  # share of the largest class, above which accuracy alone says little


@dataclass(frozen=True)
class Part:
    """The training samples of a table, or those of its own test part.

    ``where``: how a message calls it; ``setting``: by what it was given.
    """

    frame: pd.DataFrame
    place: Callable[[int], int]
    where: str
    setting: str = "dataset"

    def row(self, sample: int) -> int:
        """The row of the sample at a position, as an editor counts it."""
        return self.place(int(self.frame.index[sample]))


@dataclass(frozen=True)
class Refusal:
    """Why a table cannot be trained on as it is, and the settings with which it can."""

    words: str
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Survey:
    """A table looked at; what is wrong with it is in ``refusals``, the gravest first."""

    name: str
    parts: list[Part]
    columns: list[Column]
    target: Hashable | None
    decisions: list[str]
    warnings: list[str] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    x: list[NDArray[Any]] = field(default_factory=list)  # of each part
    ends: list[tuple[NDArray[Any], NDArray[Any]]] = field(default_factory=list)  # of x's columns
    gaps: list[NDArray[np.bool_]] = field(default_factory=list)  # which of them lack a value
    hashing: Future[Hash] | None = None  # of x, where that takes a while
    y: list[NDArray[Any]] = field(default_factory=list)

    @property
    def features(self) -> list[Column]:
        return [column for column in self.columns if column.is_feature]

    def refuse(self, words: str, **settings: str) -> None:
        self.refusals.append(Refusal(words, settings))
