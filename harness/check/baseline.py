"""Baselines: runs to hold later ones against, small and in text, so that git can review them.

    results/baselines/NAME/
      experiment.toml   what was run
      baseline.json     with what and on what; data, split and draws as hashes; chosen cells; parity
      records.csv       raw scores and losses of every backend x cell x repeat, and a hash of its labels
      labels.csv        predicted test labels by that hash, a sign each; and the true ones
      chaos.csv         how far round-off alone carries each cell
      curves.csv        learning curves of a few stable cells

Only :func:`save_baseline` writes there, and baseline.json has a hash of what every file says, so that a
value that was changed afterwards, by a hand or a fault of the disk, is not taken for a measured one.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.errors import InputError, unknown
from harness.experiment.experiment import Experiment
from harness.results.file_names import folder_name
from harness.results.manifest import now, sealed
from harness.results.result import CELL, KEY, Result
from harness.results.run_folder import DAMAGE, RunFolder, as_sealed, content_hash
from harness.training.status import SETTLED, Status

BASELINES = "results/baselines"
POINT_LIST = (
    "points.json"  # in the folder of a study's baseline, which has a baseline for each point
)
_OPTIONAL = ("chaos.csv", "curves.csv")
_FILES = ("experiment.toml", "records.csv", "labels.csv", *_OPTIONAL)
LEAST_REPEATS = (
    4  # repeats: a check runs half of them again, and no test can do with fewer than two
)
_LOSS_DIGITS = 8  # of a loss, in records.csv
_log = logging.getLogger(__name__)
BackendCell = tuple[str, float, float]  # backend, eta, lmbd
_SIGNS = "0123456789abcdefghijklmnopqrstuvwxyz"  # of classes, in labels.csv


@dataclass(frozen=True)
class Baseline:
    """A saved run.

    result: records (with a column ``labels``, the hash), predictions, targets and curves as far as they
    were kept. facts: baseline.json. chaos: columns backend, eta, lmbd, difference, chaotic
    (:mod:`harness.roundoff.stable_cells`); None if it was not measured.
    """

    name: str
    address: str
    result: Result
    facts: dict[str, Any]
    chaos: pd.DataFrame | None

    @property
    def experiment(self) -> Experiment:
        return self.result.experiment

    @property
    def chaotic(self) -> set[BackendCell]:
        """The cells that round-off alone carries away, as (backend, eta, lmbd)."""
        if self.chaos is None:
            return set()
        wild = self.chaos[self.chaos["chaotic"].astype(bool)]
        return set(wild[CELL].itertuples(index=False, name=None))

    @property
    def repeats(self) -> int:
        """How many repeats a check runs again unless told otherwise: half of the baseline's."""
        return self.experiment.repeats // 2


def save_baseline(
    result: Result,
    name: str,
    folder: str = BASELINES,
    *,
    chaos: pd.DataFrame | None = None,
    curves: pd.DataFrame | None = None,
    parity: Mapping[str, Mapping[str, Any]] | None = None,
    replace: bool = False,
) -> Baseline:
    """Write a run as a baseline; :class:`~harness.errors.InputError` for what cannot serve as one.

    chaos: of every backend, see :func:`harness.roundoff.stable_cells.stability`. curves: some of the
    result's learning curves. parity: by backend, what
    ``baseline.json`` is to say of its parity with the reference; ``ok`` is what a check reads.
    """
    require_savable(result, name, folder, replace=replace)
    target = RunFolder(f"{folder.rstrip('/')}/{name}")
    records, labels = _compact(result)
    tables = {"records.csv": records, "labels.csv": labels}
    if chaos is not None:
        tables["chaos.csv"] = chaos.assign(difference=_rounded(chaos["difference"], 3))
    if curves is not None:
        losses = ["train_loss", "validation_loss"]
        kept = curves[[*KEY, "epoch", *losses]].assign(
            **{loss: _rounded(curves[loss], _LOSS_DIGITS) for loss in losses}
        )
        tables["curves.csv"] = kept
    for stale in {*_OPTIONAL} - {*tables}:
        if target.exists(stale):
            target.remove(stale)
    target.write_experiment(result.experiment)
    for file, table in tables.items():
        target.write(file, table.to_csv(index=False, lineterminator="\n"))
    facts = _facts(result, name, parity or {})
    facts["files"] = {file: _text_hash(target, file) for file in ("experiment.toml", *tables)}
    target.write_json("baseline.json", sealed(facts))
    return load_baseline(name, folder)


def remove_baseline(name: str, folder: str) -> None:
    """Take a baseline away: its files, and its folder if nothing else is in it."""
    home = RunFolder(f"{folder.rstrip('/')}/{folder_name('name', name)}")
    for file in ("baseline.json", *_FILES):
        if home.exists(file):
            home.remove(file)
    if not home.names(""):
        with suppress(OSError, NotImplementedError):  # object stores have no folders
            home.fs.rmdir(home.root)


def load_baseline(name: str, folder: str = BASELINES) -> Baseline:
    """A saved baseline.

    Raises :class:`~harness.errors.InputError` with the nearest name if there is none, and for one that is
    not as it was saved. Of one from before contents were hashed it is logged that nobody can tell.
    """
    home = RunFolder(f"{folder.rstrip('/')}/{folder_name('baseline', name)}")
    if not home.exists("baseline.json"):
        there = baseline_names(folder)
        if there:
            raise unknown("baseline", name, there)
        raise InputError(
            f"baseline: {name!r} is not in {folder!r}, which holds none; "
            "make one with: python -m harness baseline save RUN --name NAME"
        )
    try:
        facts = home.read_json("baseline.json")
        _require_as_saved(home, facts)
        return _baseline(name, home, facts)
    except FileNotFoundError as error:
        what = f"{error.filename or 'a file'} is missing"
        raise InputError(f"baseline: {what}; {_restore(home)}") from None
    except InputError:
        raise
    except DAMAGE as error:
        raise InputError(
            f"baseline: {home.address!r} is damaged ({error}); {_restore(home)}"
        ) from None


def _require_as_saved(home: RunFolder, facts: dict[str, Any]) -> None:
    """Nothing; :class:`InputError` for a file of a baseline that says something else than what was saved."""
    if as_sealed(facts) and "files" not in facts:
        _log.warning(
            "baseline %s is from before contents were hashed: whether it is as it was saved is not known",
            home.address,
        )
        return
    changed = [] if as_sealed(facts) else ["baseline.json"]
    changed += [
        file for file, hash_ in facts.get("files", {}).items() if _text_hash(home, file) != hash_
    ]
    changed += [f for f in _OPTIONAL if f not in facts.get("files", {}) and home.exists(f)]
    if changed:
        raise InputError(
            f"baseline: {', '.join(changed)} of {home.address!r} was changed after it was saved, by hand or "
            f"by a fault of the disk, and is not what was measured; {_restore(home)}"
        )


def _restore(home: RunFolder) -> str:
    return (
        f"git diff {home.address} shows what, git checkout {home.address} brings it back, and "
        "'python -m harness baseline save RUN --name NAME --replace' saves another run"
    )


def _text_hash(home: RunFolder, file: str) -> str:
    """A hash of a text, whatever ends its lines: git may change that."""
    return content_hash(home.read(file).replace(b"\r\n", b"\n"))


def _baseline(name: str, home: RunFolder, facts: dict[str, Any]) -> Baseline:
    experiment = home.read_experiment()
    records = _table(home, "records.csv", {"labels": str, "status": str, "backend": str})
    labels = _table(home, "labels.csv", {"hash": str, "labels": str}).set_index("hash")["labels"]
    metric = experiment.metrics[0]
    predictions = records[KEY].assign(
        predicted=pd.Series([_read(labels.get(h, ""), metric) for h in records["labels"]])
    )
    kept = ("versions", "machine", "environment", "execution", "dataset")
    manifest = {key: facts[key] for key in kept if key in facts}
    result = Result(
        address=home.address,
        experiment=experiment,
        manifest=manifest | {"created": facts["run"]["created"]},
        records=records.assign(reason="", seconds=np.nan),
        predictions=predictions,
        targets=_targets(labels, metric),
        curves=_table(home, "curves.csv", {"backend": str})
        if home.exists("curves.csv")
        else pd.DataFrame(columns=[*KEY, "epoch", "train_loss", "validation_loss"]),
    )
    chaos = _table(home, "chaos.csv", {"backend": str}) if home.exists("chaos.csv") else None
    return Baseline(name, home.address, result, facts, chaos)


def baseline_names(folder: str = BASELINES) -> list[str]:
    """The baselines in a folder, sorted."""
    home = RunFolder(folder)
    return [name for name in home.names("") if home.exists(f"{name}/baseline.json")]


def label_hashes(predictions: pd.DataFrame) -> list[str]:
    """A short hash of each record's predicted labels, in the order of the rows; "" if it has none.

    Values (regression) count in single precision.
    """
    return [_hash(predicted) for predicted in predictions["predicted"]]


def test_part_hashes(result: Result) -> dict[str, str]:
    """By repeat (-1: all of them), a hash of the test samples' row numbers and targets."""
    return {
        str(repeat): hashlib.sha256(
            own[["row", "target"]].to_numpy(np.float64).tobytes()
        ).hexdigest()[:16]
        for repeat, own in result.targets.groupby("repeat")
    }


def require_savable(
    result: Result, name: str, folder: str = BASELINES, *, replace: bool = False
) -> None:
    """Nothing; :class:`~harness.errors.InputError` if a run cannot be saved under a name."""
    folder_name("name", name)
    if not result.complete:
        bad = result.records[~result.records["status"].isin(SETTLED)]
        first = bad.iloc[0]
        raise InputError(
            f"run: {result.name!r} is not complete ({len(bad)} networks such as {first['backend']}, "
            f"eta {first['eta']:g}, lmbd {first['lmbd']:g}: {first['status']}); "
            "finish it with the same run command"
        )
    if result.experiment.repeats < LEAST_REPEATS:
        raise InputError(
            f"repeats: {result.name!r} has {result.experiment.repeats}; allowed: {LEAST_REPEATS} or more, "
            "since a check runs at most half of them again (run it again with --repeats 10)"
        )
    target = RunFolder(f"{folder.rstrip('/')}/{name}")
    if target.exists(POINT_LIST):
        raise InputError(f"name: {name!r} is the baseline of a study; choose another name")
    if not target.exists("baseline.json"):
        target.refuse_foreign(_FILES)
    elif not replace:
        raise InputError(
            f"name: the baseline {name!r} exists; choose another name, or --replace to update it "
            "(and review the change in git)"
        )


def _compact(result: Result) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records with hashes, and the labels behind the hashes, each once."""
    names = dict.fromkeys((*result.experiment.metrics, result.choose_by))
    scores = [f"{part}_{name}" for part in ("validation", "test") for name in names]
    losses = ["validation_loss", "test_loss"]
    supported = result.records["status"] != Status.UNSUPPORTED
    records = result.records[[*KEY, "status", *scores, *losses]].assign(
        labels=label_hashes(result.predictions)
    )
    for loss in losses:
        records[loss] = _rounded(records[loss], _LOSS_DIGITS)
    rows = {}
    if result.metric == "accuracy" and int(result.targets["target"].max()) < len(_SIGNS):
        rows = {
            f"target {repeat}": _written(own["target"].to_numpy())
            for repeat, own in result.targets.groupby("repeat")
        }
        for key, predicted in zip(records["labels"], result.predictions["predicted"], strict=True):
            if key:
                rows.setdefault(key, _written(np.asarray(predicted)))
    labels = pd.DataFrame({"hash": list(rows), "labels": list(rows.values())}, dtype=str)
    return records[supported].reset_index(drop=True), labels


def _facts(result: Result, name: str, parity: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    manifest, metric = result.manifest, result.metric
    best = result.best()
    columns = [*CELL[1:], f"validation_{metric}", f"test_{metric}"]
    return {
        "name": name,
        "saved": now(),
        "run": {k: manifest.get(k) for k in ("created", "git_commit", "command")},
        "versions": manifest.get("versions", {}),
        "machine": manifest.get("machine", {}),
        **({"environment": manifest["environment"]} if "environment" in manifest else {}),
        "execution": manifest.get("execution", {}),
        "dataset": manifest["dataset"],
        "held_out": test_part_hashes(result),
        "draws": draw_hashes(result.experiment),
        "networks": {
            b: manifest.get("backends", {}).get(b, {}).get("network") for b in result.backends
        },
        "chosen": {row["backend"]: {c: row[c] for c in columns} for _, row in best.iterrows()},
        "seconds": _seconds(result),
        "parity": {backend: dict(found) for backend, found in parity.items()},
    }


def _seconds(result: Result) -> dict[str, float]:
    """Seconds that a repeat of each backend took to train."""
    took = result.records.groupby("backend")["seconds"].sum() / result.experiment.repeats
    return {str(backend): float(f"{one:.3g}") for backend, one in took.items()}


def draw_hashes(experiment: Experiment) -> dict[str, str]:
    """By backend, a hash of the first repeat's initial weights and minibatches, as drawn by this code.

    While it stays the same a repeat of a later run starts and goes as the baseline's did.
    """
    from harness.data.dataset import load_dataset
    from harness.training.prepare import prepare

    dataset = load_dataset(experiment)
    hashes = {}
    for backend in experiment.backends:
        plan = prepare(experiment, dataset, backend, [0]).plan
        digest = hashlib.sha256(np.ascontiguousarray(plan.order).tobytes())
        for tensor in plan.initial.named().values():
            digest.update(np.ascontiguousarray(tensor.astype(np.float64)).tobytes())
        hashes[backend] = digest.hexdigest()[:16]
    return hashes


def _hash(predicted: Any) -> str:
    values = np.asarray(predicted)
    if not values.size:
        return ""
    kind = np.float32 if values.dtype.kind == "f" else np.int64
    return hashlib.sha256(values.astype(kind).tobytes()).hexdigest()[:10]


def _written(labels: NDArray[Any]) -> str:
    return "".join(_SIGNS[int(label)] for label in labels)


def _read(text: str, metric: str) -> NDArray[Any]:
    kind = np.int16 if metric == "accuracy" else np.float32
    return np.array([_SIGNS.index(sign) for sign in text], dtype=kind)


def _targets(labels: pd.Series[str], metric: str) -> pd.DataFrame:
    """The targets in the form of :attr:`Result.targets`, without row numbers (-1)."""
    frames = [
        pd.DataFrame({"repeat": int(str(key).split()[1]), "row": -1, "target": _read(text, metric)})
        for key, text in labels.items()
        if str(key).startswith("target ")
    ]
    return pd.concat(frames) if frames else pd.DataFrame(columns=["repeat", "row", "target"])


def _table(home: RunFolder, name: str, kinds: dict[str, type] | None = None) -> pd.DataFrame:
    return pd.read_csv(
        io.BytesIO(home.read(name)), dtype=kinds, keep_default_na=False, na_values=["", "nan"]
    ).fillna(dict.fromkeys(kinds or {}, ""))


def _rounded(values: pd.Series[Any], digits: int) -> pd.Series[Any]:
    """Values to so many significant digits."""
    return values.map(lambda v: float(f"{v:.{digits}g}"))
