"""A study: one experiment for each point of some outer axes, each with its own grid of eta and lmbd.

An axis is any setting of the experiment with several values, or a setting of one backend
(``keras.hidden``). The points are the product of the axes, or, zipped, their first values together, their
second ones, and so on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from harness.errors import InputError
from harness.experiment.config import FLAGS_NAMES
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment, experiment_from
from harness.experiment.recipe import Recipe
from harness.experiment.setting import unknown_setting

POINTS_WORDS = {False: "the product of", True: "zipped,"}
_MOST_POINTS = 1000
# scores of different kinds cannot stand in one table, and the same trainings need no second point
_NO_AXES = ("task", "choose_by", "overrides")
# what a point's folder can be added to in; part of its name only where it is an axis
_GROWS = ("backends", "eta", "lmbd", "repeats", "choose_by")


@dataclass(frozen=True)
class StudyPoint:
    """One point: the value of each axis in words, and its experiment, or why there is none."""

    labels: tuple[str, ...]
    experiment: Experiment | None
    reason: str = ""


@dataclass(frozen=True)
class Study:
    """The settings that all points share, the axes with their values as given, and the points.

    Made by :meth:`of`. The points are in the order of the axes, the last running fastest.
    """

    settings: dict[str, Any]
    over: dict[str, list[Any]]
    zipped: bool
    points: tuple[StudyPoint, ...]

    @classmethod
    def of(
        cls, settings: Mapping[str, Any], over: Mapping[str, Any], *, zipped: bool = False
    ) -> Study:
        """A study from settings by name and the values of each axis, which win over the settings.

        :class:`~harness.errors.InputError` for an axis that is no setting, for values that are there twice,
        and for one with which no point can be run; a point whose settings contradict each other only says
        so.
        """
        if not over:
            raise InputError("over: found no axis; allowed: a setting with several values")
        axes = {_axis_name(name): _values(name, values) for name, values in over.items()}
        settings = {name: value for name, value in settings.items() if name not in axes}
        lengths = {name: len(values) for name, values in axes.items()}
        number = min(lengths.values()) if zipped else prod(lengths.values())
        if zipped and len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise InputError(f"over: found {told} values; allowed with zip: as many of each")
        if number > _MOST_POINTS:
            raise InputError(f"over: found {number:,} points; allowed: at most {_MOST_POINTS:,}")
        places = [range(length) for length in lengths.values()]
        chosen = zip(*places, strict=True) if zipped else product(*places)
        points = _points(settings, axes, list(chosen), zipped=zipped)
        return cls(settings, axes, zipped, points)

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes."""
        return tuple(self.over)

    @property
    def labels(self) -> dict[str, list[str]]:
        """The values of each axis in words, in their order."""
        columns = zip(*(point.labels for point in self.points), strict=True)
        return {
            name: list(dict.fromkeys(own)) for name, own in zip(self.axes, columns, strict=True)
        }

    @property
    def base(self) -> Experiment:
        """The experiment of the first point that has one: all that is no axis is alike in all."""
        return next(point.experiment for point in self.points if point.experiment is not None)

    def digest(self) -> str:
        """A short hash of what all points share and of the names of the axes, without their values."""
        own = {"overrides" if "." in name else name for name in self.axes}
        return f"{self.base.digest(*own)[:8]}"

    def point_digest(self, experiment: Experiment) -> str:
        """A short hash of a point's settings, but for those in which its folder can be added to."""
        return experiment.digest(*(name for name in _GROWS if name not in self.axes))[:8]


def parse_axes(texts: Iterable[str]) -> dict[str, list[str]]:
    """The values of axes from texts such as ``activation=tanh,relu`` or ``hidden=50;100,50``.

    Values are parted by semicolons where there is one, else by commas.
    """
    axes: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name.strip():
            raise InputError(
                f"over: found {text!r}; allowed: SETTING=VALUE,VALUE or, where values hold commas, "
                "SETTING=VALUE;VALUE"
            )
        if name.strip() in axes:
            raise InputError(f"over: {name.strip()} is given more than once; allowed: once")
        axes[name.strip()] = split_values(values)
    return axes


def split_values(text: str) -> list[str]:
    """The values in a text, parted by semicolons where it has one, else by commas."""
    parts = text.split(";" if ";" in text else ",")
    return [part.strip() for part in parts if part.strip()]


def value_words(value: Any) -> str:
    """The value of a setting as one would type it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return ",".join(map(value_words, value)) or "none"
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


def _axis_name(name: str) -> str:
    """The axis by the name its setting has in a file; :class:`InputError` if there is no such setting."""
    backend, dot, key = name.rpartition(".")
    key = key.replace("-", "_")
    key = key if dot else FLAGS_NAMES.get(key, key)
    fields = Recipe.model_fields if dot else Experiment.model_fields
    if key in Execution.model_fields:
        raise InputError(f"over: {key} changes no result; allowed: settings of the experiment")
    if not dot and key in _NO_AXES:
        raise InputError(f"over: found {key}; allowed: any other setting of the experiment")
    if key not in fields:
        raise unknown_setting(key, fields, "over")
    return f"{backend}.{key}" if dot else key


def _values(name: str, values: Any) -> list[Any]:
    found = split_values(values) if isinstance(values, str) else values
    if not isinstance(found, Sequence) or not found:
        raise InputError(f"over: {name}: found {values!r}; allowed: a list of values")
    return list(found)


def _points(
    settings: Mapping[str, Any],
    axes: Mapping[str, list[Any]],
    chosen: list[tuple[int, ...]],
    *,
    zipped: bool,
) -> tuple[StudyPoint, ...]:
    """The points at these places of the axes; what a value is in words is known from one that can be run."""
    found: list[Experiment | InputError] = []
    words: dict[tuple[str, int], str] = {}
    for places in chosen:
        at = dict(zip(axes, places, strict=True))
        given = _with_values(settings, {name: axes[name][k] for name, k in at.items()})
        try:
            experiment = experiment_from(given)
        except InputError as error:
            found.append(error)
            continue
        found.append(experiment)
        words |= {(name, k): _shown(experiment, name) for name, k in at.items()}
    for number, (name, values) in enumerate(axes.items()):
        for k in range(len(values)):
            if (name, k) not in words:
                own = (
                    one for places, one in zip(chosen, found, strict=True) if places[number] == k
                )
                raise next(one for one in own if isinstance(one, InputError))
        labels = [words[name, k] for k in range(len(values))]
        twice = [label for label in labels if labels.count(label) > 1]
        if twice and not zipped:
            raise InputError(f"over: {name}: {twice[0]} given more than once; allowed: once")
    points = []
    for places, one in zip(chosen, found, strict=True):
        told = tuple(words[name, k] for name, k in zip(axes, places, strict=True))
        if isinstance(one, InputError):
            points.append(StudyPoint(told, None, str(one)))
        else:
            points.append(StudyPoint(told, one))
    digests = Counter(point.experiment.digest() for point in points if point.experiment)
    if any(times > 1 for times in digests.values()):
        raise InputError("over: found two points that are the same experiment; allowed: each once")
    return tuple(points)


def _with_values(settings: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with a value of each axis, one of a single backend among the overrides."""
    given = dict(settings)
    overrides = {name: dict(own) for name, own in settings.get("overrides", {}).items()}
    for name, value in values.items():
        backend, dot, key = name.rpartition(".")
        if dot:
            overrides.setdefault(backend, {})[key] = value
        else:
            given[name] = value
    return {**given, "overrides": overrides} if overrides else given


def _shown(experiment: Experiment, name: str) -> str:
    backend, dot, key = name.rpartition(".")
    return value_words(getattr(experiment.recipe(backend) if dot else experiment, key))
