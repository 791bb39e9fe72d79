"""The manifest: on what, with what and how a run was made."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from threadpoolctl import threadpool_info

from backends.base import Backend, installed_version
from backends.frameworks import xla_flags
from backends.network import Network
from backends.registry import version
from harness.data.dataset import Dataset
from harness.data.encoding import fitted_encoder
from harness.data.split import Split
from harness.experiment.execution import Execution, cores
from harness.experiment.experiment import Experiment
from harness.results.run_folder import json_hash
from harness.training.evaluate import curve_samples
from harness.training.unit_digest import bit_environment

LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "tensorflow",
    "keras",
    "pandas",
    "seaborn",
    "mlp-parity-harness",
)


def begin_manifest(
    experiment: Experiment,
    execution: Execution,
    *,
    dataset: Dataset,
    split: Split,
    backends: Mapping[str, Backend],
    gpus: Mapping[str, Sequence[str]],
    missing: Mapping[str, str],
    created: str,
) -> dict[str, Any]:
    """The manifest of a run begun at ``created``; :mod:`harness.runner` adds how it went.

    ``missing``: why backends of the experiment are not among ``backends``; ``gpus``: what those see that
    train on one.
    """
    inputs, classes = fitted_encoder(dataset, split, experiment).inputs, len(dataset.classes)
    return {
        "created": created,
        "finished": None,
        "command": command(),
        "git_commit": git_commit(),
        "versions": versions(list(backends.values())),
        "machine": machine(),
        "environment": bit_environment("gpu" if gpus else "cpu"),
        "xla_flags": xla_flags(execution.threads),
        "execution": execution.model_dump(
            mode="json", exclude={"fresh", "keep_weights", "name", "output"}
        ),
        "dataset": _dataset(dataset, split, len(inputs)),
        "backends": {
            name: {"unavailable": missing[name]}
            if name in missing
            else _backend(
                name, backends[name], experiment, experiment.network(name, len(inputs), classes)
            )
            | ({"gpus": list(gpus[name])} if name in gpus else {})
            for name in experiment.backends
        },
        "notes": [
            *setting_notes(experiment, experiment.backends, len(split.train)),
            *gpu_notes(gpus),
            *dataset.warnings,
        ],
    }


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest with a hash of its own values."""
    content = dict(manifest)
    return {**content, "sha256": json_hash(content)}


def now() -> str:
    """The time in ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def command() -> list[str]:
    """The command line, as one would type it."""
    program = Path(sys.argv[0]).name
    if program in ("__main__.py", "harness"):
        return ["python", "-m", "harness", *sys.argv[1:]]
    return ["python", program, *sys.argv[1:]]


def git_commit() -> str | None:
    """The commit of the source tree this package runs from; None outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def versions(backends: Sequence[Backend] = ()) -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on, installed ones only."""
    found = {"python": platform.python_version()}
    for library in (*LIBRARIES, *(b.library for b in backends if b.library)):
        if (installed := installed_version(library)) is not None:
            found[library] = installed
    return found


def machine() -> dict[str, Any]:
    """Platform, processor, NumPy's kernels, cores this process may use, and memory in bytes."""
    return {
        "platform": platform.platform(),
        "cpu": _cpu(),
        "blas": _blas(),
        "simd": _simd(),
        "cores": cores(),
        "memory_bytes": psutil.virtual_memory().total,
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _blas() -> str | None:
    """NumPy's linear algebra, its version, and for which processor the kernel is that it has chosen."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    # another library, such as SciPy, may have loaded one of its own
    own = [pool for pool in pools if "numpy" in Path(pool["filepath"]).parent.name] or pools
    told = (own[0].get(key) for key in ("internal_api", "version", "architecture")) if own else ()
    return " ".join(filter(None, told)) or None


def _simd() -> str | None:
    """The instruction sets that NumPy's loops use here."""
    told: Any = np.show_config(mode="dicts")
    sets = told.get("SIMD Extensions", {})
    return " ".join([*sets.get("baseline", []), *sets.get("found", [])]) or None


def _dataset(dataset: Dataset, split: Split, inputs: int) -> dict[str, Any]:
    counts = {}
    if dataset.classes:
        for part, rows in split.items():
            found = np.bincount(dataset.y[rows], minlength=len(dataset.classes))
            counts[part] = dict(zip(dataset.classes, found.tolist(), strict=True))
    spread = dataset.x[split.train].std(axis=0)
    spread = spread[spread > 0]
    return {
        "name": dataset.name,
        "source": dataset.source,
        "samples": len(dataset.x),
        "features": inputs,
        "feature_spread": [float(spread.min()), float(spread.max())] if len(spread) else [],
        "classes": list(dataset.classes),
        "sha256": dataset.sha256,
        "split_sha256": split.sha256,
        "parts": {part: len(rows) for part, rows in split.items()},
        "curve_samples": {
            part: curve_samples(len(rows), len(split.train)) for part, rows in split.items()[:2]
        },
        "class_counts": counts,
        "own_test": dataset.test > 0,
        "decisions": list(dataset.decisions),
        "columns": [asdict(column) for column in dataset.columns],
    }


def _backend(
    name: str, backend: Backend, experiment: Experiment, network: Network
) -> dict[str, Any]:
    there = {"versions": backend.versions()} if backend.surroundings() else {}
    return {
        "place": experiment.place(name),
        **there,
        "library": backend.library,
        "version": version(backend),
        "network": str(network),
        "parameters": network.parameters,
        "stacks": backend.stacks,
        "conventions": [asdict(convention) for convention in backend.conventions],
        "recipe": experiment.recipe(name).model_dump(mode="json"),
    }


def gpu_notes(gpus: Mapping[str, Sequence[str]]) -> list[str]:
    """Which backends train on which GPU, and what that means."""
    return [
        f"device: {name} trains on a GPU, one worker at a time; the harness is untried on one"
        for name in gpus
    ]


def setting_notes(experiment: Experiment, backends: Sequence[str], samples: int) -> list[str]:
    """What was asked for but could not be done so, once each."""
    found = []
    if not experiment.validation_size:
        found.append(
            "validation_size: 0, no part for validation; the test part stands in for it, so cells are "
            "chosen on the test part and the best one's score flatters"
        )
    for name in backends:
        batch = experiment.recipe(name).batch_size
        if batch != "all" and batch > samples:
            found.append(
                f"batch_size: {batch} is larger than the training set of {samples} samples; "
                f"clipped to {samples}"
            )
    return list(dict.fromkeys(found))
