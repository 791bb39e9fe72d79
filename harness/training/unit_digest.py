"""What a unit's result depends on, and the name of its part: a hash of all that.

Code, library versions, threads and environment variables are here; so are settings and data. The
processor is not, though it can change last bits: a run may be taken up on another machine, and the
manifest names the one that finished it. Nor is what a backend's module imports from outside its package.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from backends.base import Backend, installed_version
from backends.frameworks import FRAMEWORK_VARIABLES, device_variables
from harness.experiment.experiment import Experiment
from harness.experiment.recipe import Recipe
from harness.training.units import Unit

_HARNESS = Path(__file__).parents[1]
# what of the harness makes numbers: data, draws and scaling, training and evaluation
_OWN_CODE = ("data", "training", "experiment/experiment.py", "experiment/recipe.py")
# whose versions count for every backend: scikit-learn splits the data
_ALWAYS = ("numpy", "scipy", "scikit-learn")
# how much of an experiment is run, and by whom; a unit says that for itself
_EXTENT = ("preset", "backends", "variants", "overrides", "eta", "lmbd", "repeats")
_AFTERWARDS = ("choose_by",)  # what is done with results


class BitVariable(NamedTuple):
    """An environment variable that changes results, be it by the last bit, and what it decides."""

    name: str
    decides: str


BIT_VARIABLES = (
    BitVariable("OPENBLAS_CORETYPE", "OpenBLAS: for which processor its kernels are"),
    BitVariable("MKL_CBWR", "MKL: the same kernels on all processors"),
    BitVariable("MKL_ENABLE_INSTRUCTIONS", "MKL: which instructions it may use"),
    BitVariable("MKL_DYNAMIC", "MKL: fewer threads than it was given"),
    BitVariable("OMP_DYNAMIC", "OpenMP: fewer threads than it was given"),
    BitVariable("NPY_DISABLE_CPU_FEATURES", "NumPy: which instructions its loops may use"),
    BitVariable("GLIBC_TUNABLES", "the C library: which instructions exp and log may use"),
    BitVariable("TF_ENABLE_ONEDNN_OPTS", "TensorFlow: oneDNN's kernels or its own"),
    BitVariable("ONEDNN_MAX_CPU_ISA", "oneDNN: which instructions it may use"),
    BitVariable("ONEDNN_DEFAULT_FPMATH_MODE", "oneDNN: bfloat16 or TF32 for float32"),
    BitVariable("TF_DETERMINISTIC_OPS", "TensorFlow: one order of summation"),
    BitVariable("TF_XLA_FLAGS", "TensorFlow: which graphs XLA compiles"),
    BitVariable("XLA_FLAGS", "XLA: how it compiles, fast mathematics included"),
    BitVariable("JAX_ENABLE_X64", "JAX: whether it has float64"),
    BitVariable("JAX_DEFAULT_MATMUL_PRECISION", "JAX: bfloat16 or TF32 for float32"),
    BitVariable("JAX_PLATFORMS", "JAX: processor or accelerator"),
    BitVariable("CUDA_VISIBLE_DEVICES", "CUDA: processor or accelerator"),
    BitVariable("CUBLAS_WORKSPACE_CONFIG", "cuBLAS: one order of summation"),
    BitVariable("NVIDIA_TF32_OVERRIDE", "CUDA's libraries: TF32 for float32"),
)


def bit_environment(device: str = "cpu") -> dict[str, str]:
    """The variables of ``BIT_VARIABLES`` that are set, or that the frameworks are loaded with.

    ``device``: what a run trains on, whose own variables count for a GPU alone: on the processor they only
    hide what is not to be seen.
    """
    values = FRAMEWORK_VARIABLES | os.environ
    if device == "gpu":
        values |= device_variables(device)
    return {v.name: values[v.name] for v in BIT_VARIABLES if v.name in values}


def backend_surroundings(backend: Backend, threads: int) -> dict[str, str]:
    """All that a backend's results depend on beside settings and data, by name."""
    return {
        "code of the harness": code_hash(_files(_HARNESS / place) for place in _OWN_CODE),
        "code of the backend": _backend_code(backend),
        **_versions(backend),
        "threads": str(threads),
        **bit_environment(),
    }


def unit_digest(unit: Unit, experiment: Experiment, data_hash: str, around: dict[str, str]) -> str:
    """The name of a unit's part; ``around`` are the backend's :func:`backend_surroundings`."""
    shared = set(Experiment.model_fields) - set(Recipe.model_fields) - {*_EXTENT, *_AFTERWARDS}
    defining = {
        "backend": unit.backend,
        "repeats": unit.repeats,
        "cells": experiment.cells[unit.first : unit.last],
        "recipe": experiment.recipe(unit.backend).model_dump(mode="json"),
        "settings": experiment.model_dump(mode="json", include=shared),
        "data": data_hash,
        "surroundings": around,
    }
    if (place := experiment.place(unit.backend)) != unit.backend:
        defining["place"] = place
    if experiment.draws == "notebook":  # what is drawn depends on all that was drawn before
        defining["stream"] = experiment.digest("preset", "backends", "repeats")
    return hashlib.sha256(json.dumps(defining, sort_keys=True).encode()).hexdigest()[:20]


def code_hash(groups: Iterable[list[Path]]) -> str:
    """A short hash of the files' names and contents, wherever they lie."""
    digest = hashlib.sha256()
    for files in groups:
        for path in files:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


def _backend_code(backend: Backend) -> str:
    """A hash of the modules of the backend's class and of all that it inherits from.

    Of a module in a package it takes all files beside it and below. Every backend inherits from
    :class:`~backends.base.Backend` and so depends on the whole package ``backends``.
    """
    places = set()
    for cls in (*backend.program.__mro__, type(backend)):
        module = sys.modules[cls.__module__]
        if cls.__module__ in sys.builtin_module_names or cls.__module__ == "abc":
            continue
        file = getattr(module, "__file__", None)
        if file is None:
            return uuid.uuid4().hex  # typed in: nobody can tell whether it is still the same
        places.add(Path(file).parent if module.__package__ else Path(file))
    return code_hash(_files(place) for place in sorted(places))


def _versions(backend: Backend) -> dict[str, str]:
    """Versions of what splits the data here, and of what the backend computes with where it runs."""
    versions = {}
    for name in _ALWAYS:
        if (installed := installed_version(name)) is not None:
            versions[name] = installed
    there = backend.versions()
    where = backend.surroundings()
    if where:  # what runs in another process has another NumPy
        return versions | {f"{name} there": version for name, version in there.items()} | where
    return versions | there
