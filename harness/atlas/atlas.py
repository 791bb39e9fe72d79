"""The atlas: one small training by every version of a library, in every setting.

Each version runs elsewhere (:mod:`backends.elsewhere`) by its stock program, the library as its documentation
teaches it. A column is a version; it is on disk as soon as it is done. What is kept of a training is its
distance from the float64 reference and a checksum of every tensor after each of the steps looked at, so that
a later version can be held against it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_info

import backends
from backends.base import UnsupportedPlan
from backends.distance import furthest
from backends.elsewhere import Elsewhere
from backends.network import Array, Weights
from backends.registry import UnusableBackend, usable
from harness.data.dataset import Dataset, load_dataset
from harness.errors import InputError, unknown
from harness.experiment.experiment import experiment_from
from harness.parity.stock import StockProgram
from harness.results.manifest import machine, now
from harness.results.run_folder import RunFolder
from harness.roundoff.reference import reference_path
from harness.roundoff.trial import Trial, trial
from harness.training.contract import BackendFault, guarded_backend
from harness.training.unit_digest import code_hash

LISTED = Path(__file__).parent / "versions.toml"
COLUMNS_FILE, SETTINGS_FILE = "columns.csv", "settings.csv"
ROUND_OFF_ALONE = (
    "round-off"  # the library that is none: how far round-off alone carries each setting
)
ATLAS_STEPS = (1, 3, 10, 30)
ATLAS_DTYPES = ("float32", "float64")
OPTIMISERS_OF: dict[str, dict[str, Any]] = {
    "SGD": {"optimizer": "sgd", "momentum": 0.0, "eta": [0.1]},
    "momentum": {"optimizer": "sgd", "momentum": 0.9, "eta": [0.03]},
    "Nesterov": {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "eta": [0.03]},
    "Adam": {"optimizer": "adam", "eta": [0.01]},
}
_TENSORS = ("W1", "b1", "W2", "b2")  # in the order of computation
ATLAS_PROBLEM = {
    "dataset": "wine",
    "scale": "standard",
    "backends": ["numpy"],
    "hidden": [30],
    "lmbd": [0.01],
    "batch_size": 32,
    "epochs": 10,
}
_TWINS = 3  # perturbed trainings whose distance stands for round-off
_SAME = "="  # in the stored table: as the version before
_CHECKSUM = 4  # signs of a tensor's checksum, of six bits each
_KEY = ["optimiser", "activation", "dtype"]
_COLUMN_FIELDS = ["library", "version", "backend", "status", "installed", "made_by", "created"]
_PATH = ["first", "last", "bits"]
_SETTING_FIELDS = ["library", "version", *_KEY, *_PATH]


class AtlasSetting(NamedTuple):
    """One row: what is trained, in which dtype."""

    optimiser: str
    activation: str
    dtype: str


ATLAS_SETTINGS = tuple(
    AtlasSetting(optimiser, activation, dtype)
    for dtype in ATLAS_DTYPES
    for activation in ("sigmoid", "tanh", "relu", "leaky_relu", "elu")
    for optimiser in OPTIMISERS_OF
    if activation in ("sigmoid", "tanh", "relu") or optimiser in ("SGD", "Adam")
)


class AtlasPath(NamedTuple):
    """What is kept of one training: distances after the first and the last step, and checksums.

    ``bits``: of every tensor, in the order of computation, after each of ``ATLAS_STEPS``.
    """

    first: float
    last: float
    bits: str


class AtlasColumn(NamedTuple):
    """One version of a library, and the backend that stands for it."""

    library: str
    version: str
    backend: str


@dataclass(frozen=True)
class Atlas:
    """What is on disk.

    ``columns``: a row for each version that was tried, with ``status`` "trained" or what went wrong.
    ``settings``: a row for each version and setting: the relative distance from the reference after the
    ``first`` step and the ``last``, and the checksums of all tensors after each of ``ATLAS_STEPS``.
    """

    columns: pd.DataFrame
    settings: pd.DataFrame

    @classmethod
    def empty(cls) -> Atlas:
        return cls(pd.DataFrame(columns=_COLUMN_FIELDS), pd.DataFrame(columns=_SETTING_FIELDS))

    def trained(self, library: str) -> list[str]:
        """The versions of a library that were trained, oldest first."""
        own = self.columns[(self.columns["library"] == library)]
        versions = own.loc[own["status"].str.startswith("trained"), "version"]
        return sorted(versions, key=version_number)

    @property
    def libraries(self) -> list[str]:
        """The libraries that any version of was tried, as they came."""
        return [name for name in self.columns["library"].unique() if name != ROUND_OFF_ALONE]

    def of(self, library: str, version: str) -> dict[AtlasSetting, AtlasPath]:
        """What a column has in each of the settings that it supports."""
        own = self.settings
        own = own[(own["library"] == library) & (own["version"] == version)]
        keys = (AtlasSetting(*key) for key in own[_KEY].itertuples(index=False))
        paths = (AtlasPath(*path) for path in own[_PATH].itertuples(index=False))
        return dict(zip(keys, paths, strict=True))

    def made_by(self, library: str, version: str) -> str:
        """Program and machine that made a column; "" if it is not there."""
        own = self.columns
        own = own[(own["library"] == library) & (own["version"] == version)]
        return str(own["made_by"].iloc[0]) if len(own) else ""

    def with_column(self, column: pd.DataFrame, settings: pd.DataFrame) -> Atlas:
        """The atlas with a column in the place of that of the same version."""
        parts = []
        for old, new in ((self.columns, column), (self.settings, settings)):
            library, version = column["library"].iloc[0], column["version"].iloc[0]
            rest = old[(old["library"] != library) | (old["version"] != version)]
            both = [frame for frame in (rest, new) if len(frame)]
            whole = pd.concat(both, ignore_index=True) if both else old
            # one library after the other, as they came, and the oldest version first
            place = {name: k for k, name in enumerate(dict.fromkeys(whole["library"]))}
            order = [
                (place[name], version_number(number), k)
                for k, (name, number) in enumerate(
                    zip(whole["library"], whole["version"], strict=True)
                )
            ]
            rows = [k for _, _, k in sorted(order)]
            parts.append(whole.iloc[rows].reset_index(drop=True))
        return Atlas(*parts)


def version_number(version: str) -> tuple[tuple[int, int, str], ...]:
    """What versions are sorted by: numbers as numbers, before what is none (1.9 before 1.10)."""
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in version.split("."))


def listed_columns(path: str | Path = LISTED) -> list[AtlasColumn]:
    """The columns of a list of versions; InputError, with what is wrong, for a file that is none."""
    try:
        libraries = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"versions: {str(path)!r} cannot be read ({error})") from None
    columns = []
    for library, table in libraries.items():
        if not _is_library(table):
            raise InputError(
                f"versions: [{library}] of {str(path)!r}; allowed: the keys backend, where (with "
                "{version} in it) and versions, a list of texts"
            )
        columns += [_column(library, table, version) for version in table["versions"]]
    return columns


def _is_library(table: Any) -> bool:
    """Whether a table of the list has what it must, and nothing else."""
    if not isinstance(table, dict) or set(table) != {"backend", "where", "versions"}:
        return False
    backend, where, versions = table["backend"], table["where"], table["versions"]
    texts = isinstance(versions, list) and all(isinstance(v, str) for v in versions)
    return isinstance(backend, str) and isinstance(where, str) and "{version}" in where and texts


def _column(library: str, table: dict[str, str], version: str) -> AtlasColumn:
    where = table["where"].replace("{version}", version)
    return AtlasColumn(library, version, f"{table['backend']}@{where}")


def chosen_columns(asked: Sequence[str], columns: Sequence[AtlasColumn]) -> list[AtlasColumn]:
    """Those that are asked for: all of a library, or PACKAGE==VERSION, be it listed or not.

    A package may stand for several libraries: a version of Keras for each of its engines.
    """
    if not asked:
        return list(columns)
    libraries = {column.library: column for column in columns}  # the last of each
    chosen = []
    for text in asked:
        package, _, version = text.partition("==")
        of_package = [one for one in libraries.values() if version and package == _package(one)]
        if of_package:
            old = {one: f"=={one.version}" for one in of_package}
            chosen += [
                AtlasColumn(one.library, version, one.backend.replace(old[one], f"=={version}", 1))
                for one in of_package
            ]
        elif text in libraries:
            chosen += [column for column in columns if column.library == text]
        else:
            raise unknown("atlas", text, [*libraries, "PACKAGE==VERSION of one of them"])
    return list(dict.fromkeys(chosen))


def _package(column: AtlasColumn) -> str:
    """The distribution that a column has a version of; "" where it is none of one."""
    parts = column.backend.partition("@")[2].split("+")
    ours = [part for part in parts if part.endswith(f"=={column.version}")]
    return ours[0].partition("==")[0].partition("[")[0] if ours else ""


def columns_to_train(
    atlas: Atlas, chosen: Sequence[AtlasColumn], listed: Sequence[AtlasColumn], *, fresh: bool
) -> list[AtlasColumn]:
    """The chosen that are not there yet, and of their neighbours those that another program made.

    A version can be held against the one before it only if the same program trained both on the same
    machine. ``fresh``: all that are chosen, and no other.
    """
    if fresh:
        return list(chosen)
    missing = [column for column in chosen if column.version not in atlas.trained(column.library)]
    known = {(column.library, column.version): column for column in (*listed, *chosen)}
    wanted = set(missing)
    for column in missing:
        there = sorted({*atlas.trained(column.library), column.version}, key=version_number)
        place = there.index(column.version)
        for version in there[max(0, place - 1) : place + 2]:
            neighbour = known.get((column.library, version))
            if neighbour and atlas.made_by(column.library, version) != made_by():
                wanted.add(neighbour)
    order = list(known.values())
    return sorted(wanted, key=lambda c: order.index(c))


@cache
def made_by() -> str:
    """What bits depend on beside versions: a hash of the backends' code, the processor, its kernels."""
    code = code_hash([sorted(Path(backends.__file__).parent.glob("*.py"))])
    kernels = sorted({str(one.get("architecture", "")) for one in threadpool_info()} - {"", "None"})
    return " ".join([code, machine()["cpu"], *kernels])


def train_columns(
    folder: RunFolder,
    columns: Sequence[AtlasColumn],
    say: Callable[[str], None] = lambda doing: None,
) -> Atlas:
    """Train columns one after the other; each is in the folder when it is done. The whole atlas.

    InputError if somebody else is writing to the folder, or has files of these names in it.
    """
    with folder.lock():
        atlas = read_atlas(folder)
        folder.claim([COLUMNS_FILE, SETTINGS_FILE])
        if columns and ROUND_OFF_ALONE not in set(atlas.settings["library"]):
            say("how far round-off alone carries each setting")
            atlas = atlas.with_column(*_round_off())
        for number, column in enumerate(columns, 1):
            say(f"{column.library} {column.version} ({number} of {len(columns)})")
            line, settings = _train_column(column)
            if not len(settings) and column.version in atlas.trained(column.library):
                say(f"what is there of it stays, because now: {line['status'].iloc[0]}")
                continue
            atlas = atlas.with_column(line, settings)
            write_atlas(folder, atlas)
    return atlas


def _train_column(column: AtlasColumn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The column's line, and its settings."""
    rows, faults, installed, status = [], [], "", ""
    try:
        backend = usable(column.backend)
    except (UnusableBackend, KeyError, ValueError) as error:
        status = error.reason if isinstance(error, UnusableBackend) else str(error.args[0])
    else:
        installed = ", ".join(f"{name} {v}" for name, v in backend.versions().items())
        stock = StockProgram(guarded_backend(backend))
        for setting, (whole, truth) in trials().items():
            if stock.unsupported(whole.network, whole.training):
                continue
            try:
                path = whole.train(stock)
            except (BackendFault, UnsupportedPlan) as fault:
                faults.append(f"{' '.join(setting)}: {_one_line(fault)}")
                continue
            ends = (_distance(path[k], truth[k], whole) for k in (0, -1))
            rows.append([column.library, column.version, *setting, *ends, _checksums(path)])
        if isinstance(backend, Elsewhere):
            backend.end()
        status = "trained" if rows else (faults or ["no setting is supported"])[0]
        if rows and faults:
            status = f"trained but for {len(faults)} settings ({faults[0]})"
    line = [*column, _one_line(status), installed, made_by(), now()]
    return (
        pd.DataFrame([line], columns=_COLUMN_FIELDS),
        pd.DataFrame(rows, columns=_SETTING_FIELDS),
    )


def _round_off() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The distance of the furthest of some perturbed twins of the reference, in each setting."""
    rows = []
    for setting, (whole, truth) in trials().items():
        twins = [reference_path(whole, noise=seed) for seed in range(_TWINS)]
        ends = (max(_distance(twin[k], truth[k], whole) for twin in twins) for k in (0, -1))
        rows.append([ROUND_OFF_ALONE, "", *setting, *ends, ""])
    line = [ROUND_OFF_ALONE, "", "", "trained", "", made_by(), now()]
    return (
        pd.DataFrame([line], columns=_COLUMN_FIELDS),
        pd.DataFrame(rows, columns=_SETTING_FIELDS),
    )


@cache
def trials() -> dict[AtlasSetting, tuple[Trial, tuple[Weights, ...]]]:
    """What is trained in each setting, and the reference's path, computed in float64."""
    dataset: Dataset | None = None
    made = {}
    for setting in ATLAS_SETTINGS:
        experiment = experiment_from(
            ATLAS_PROBLEM | OPTIMISERS_OF[setting.optimiser] | {"activation": setting.activation}
        )
        dataset = dataset or load_dataset(experiment)
        both = [
            trial(experiment, dataset, "numpy", dtype).at(*ATLAS_STEPS)
            for dtype in (setting.dtype, "float64")
        ]
        made[setting] = both[0], reference_path(both[1])
    return made


def _distance(weights: Weights, truth: Weights, whole: Trial) -> float:
    """The largest relative distance of a tensor, to two digits; infinite where weights are not finite."""
    far = float(furthest(weights, truth, whole.plan.initial).max())
    return float(f"{far:.1e}") if np.isfinite(far) else float("inf")


def _checksums(path: Sequence[Weights]) -> str:
    return "".join(_checksum(tensor) for point in path for tensor in point.named().values())


def _checksum(tensor: Array) -> str:
    digest = hashlib.blake2b(np.ascontiguousarray(tensor).tobytes(), digest_size=3).digest()
    return base64.urlsafe_b64encode(digest).decode()[:_CHECKSUM]


def _one_line(fault: object) -> str:
    return " ".join(str(fault).split())[:300]


@dataclass(frozen=True)
class AtlasChange:
    """What a version changed in one setting.

    ``step`` and ``tensor``: the first of the steps looked at, and of the tensors in the order of computation,
    where a bit differs. ``known``: False where another program or machine made one of the two, which may
    account for it. ``before`` and ``after``: the distances from the reference after the last step.
    """

    library: str
    old: str
    new: str
    setting: AtlasSetting
    step: int
    tensor: str
    known: bool
    before: float
    after: float


def version_steps(atlas: Atlas) -> Iterator[tuple[str, str, str, list[AtlasChange]]]:
    """From one version of a library to the next: library, old, new, what changed."""
    for library in atlas.libraries:
        for old, new in pairwise(atlas.trained(library)):
            a, b = atlas.of(library, old), atlas.of(library, new)
            known = atlas.made_by(library, old) == atlas.made_by(library, new)
            found = []
            for setting in a.keys() & b.keys():
                if a[setting].bits != b[setting].bits:
                    step, tensor = _first_difference(a[setting].bits, b[setting].bits)
                    distances = a[setting].last, b[setting].last
                    found.append(
                        AtlasChange(library, old, new, setting, step, tensor, known, *distances)
                    )
            yield library, old, new, sorted(found, key=lambda c: ATLAS_SETTINGS.index(c.setting))


def _first_difference(one: str, other: str) -> tuple[int, str]:
    """The step and the tensor whose checksum is the first that differs."""
    checksums = range(0, len(one), _CHECKSUM)
    first = next(k for k in checksums if one[k : k + _CHECKSUM] != other[k : k + _CHECKSUM])
    step, tensor = divmod(first // _CHECKSUM, len(_TENSORS))
    return ATLAS_STEPS[step], _TENSORS[tensor]


def read_atlas(folder: RunFolder) -> Atlas:
    """What is in a folder; empty if nothing is. InputError for a table that is not the atlas's."""
    if not folder.exists(COLUMNS_FILE):
        return Atlas.empty()
    tables = []
    for name, fields in ((COLUMNS_FILE, _COLUMN_FIELDS), (SETTINGS_FILE, _SETTING_FIELDS)):
        try:
            text = folder.read(name).decode()
            frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"atlas: {folder.path(name)!r} cannot be read ({_one_line(error)})"
            ) from None
        if list(frame.columns) != fields:
            raise InputError(
                f"atlas: {folder.path(name)!r} has the columns {', '.join(frame.columns)}; allowed: "
                f"{', '.join(fields)}"
            )
        tables.append(frame)
    columns, settings = tables
    settings.loc[settings["bits"] == _SAME, _PATH] = None
    settings[_PATH] = settings.groupby(["library", *_KEY], sort=False)[_PATH].ffill()
    settings[["first", "last"]] = settings[["first", "last"]].astype(float)
    return Atlas(columns, settings)


def write_atlas(folder: RunFolder, atlas: Atlas) -> None:
    """Both tables as CSV; a training with the bits of the version before is stored as an = sign."""
    settings = atlas.settings.copy()
    before = settings.groupby(["library", *_KEY], sort=False)["bits"].shift()
    same = (settings["bits"] == before) & (settings["bits"] != "")
    settings[["first", "last"]] = settings[["first", "last"]].map(lambda value: f"{value:.1e}")
    settings.loc[same, _PATH] = ["", "", _SAME]
    folder.write(SETTINGS_FILE, settings.to_csv(index=False))
    folder.write(COLUMNS_FILE, atlas.columns.to_csv(index=False))
