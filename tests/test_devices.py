"""On the processor nobody sees a GPU; on a GPU one worker trains at a time, and what has none says so.

No machine that these tests have run on has one: the plug-in's is made up.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness import Execution, Experiment, load_result
from harness import run as run_experiment
from harness.errors import InputError
from harness.executors.job import Job
from harness.results.run_differences import run_differences
from harness.work import plan_work

ROOT = Path(__file__).parent.parent
GPU = "a made-up GPU (TF32 off)"
PLUG_IN = """
import os

from faults import Plain


class Gpu(Plain):
    name = "gpu_like"
    heeds = (*Plain.heeds, "device")

    def gpus(self):
        return ("a made-up GPU (TF32 off)",) if os.environ["BACKENDS_DEVICE"] == "gpu" else ()

    def train_one(self, x, y, network, training, eta, lmbd, plan):
        assert training.device == os.environ["BACKENDS_DEVICE"], training.device
        return super().train_one(x, y, network, training, eta, lmbd, plan)


class Tells(Plain):
    name = "tells"

    def train_one(self, x, y, network, training, eta, lmbd, plan):
        names = ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS", "KERAS_TORCH_DEVICE", "NVIDIA_TF32_OVERRIDE")
        raise ValueError(" ".join(os.environ.get(name, "unset") for name in names))
"""
SMALL = {"dataset": "iris", "epochs": 1, "eta": (0.1,), "lmbd": (0.0,), "hidden": (3,)}


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    (tmp_path / "devices_plug_in.py").write_text(PLUG_IN)
    shutil.copy(ROOT / "tests" / "faults.py", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield "devices_plug_in"
    sys.modules.pop("devices_plug_in", None)


def test_from_workers_and_processes_elsewhere_every_gpu_is_hidden(plug_in, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # of the user, who has other plans with it
    places = (f"{plug_in}:Tells", f"{plug_in}:Tells@threads=1+CUDA_VISIBLE_DEVICES=1")
    result = run_experiment(
        Experiment(backends=places, **SMALL), Execution(jobs=1, output=str(tmp_path), name="run")
    )
    here, elsewhere = result.records["reason"]
    assert "-1 cpu cpu 0" in here
    assert "1 cpu cpu 0" in elsewhere  # what is asked for by name is given
    assert "-1" not in elsewhere
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"


def test_on_a_gpu_one_worker_trains_and_it_is_recorded(plug_in, tmp_path):
    experiment = Experiment(
        backends=("numpy", f"{plug_in}:Gpu"),
        overrides={f"{plug_in}:Gpu": {"device": "gpu"}},
        **SMALL,
    )
    result = run_experiment(experiment, Execution(jobs=2, output=str(tmp_path), name="run"))
    assert set(result.records["status"]) == {"ok"}
    manifest = load_result(result.address).manifest
    assert manifest["backends"]["gpu_like"]["gpus"] == [GPU]
    assert "gpus" not in manifest["backends"]["numpy"]
    (note,) = (note for note in manifest["notes"] if note.startswith("device"))
    assert "untried" in note
    job = Job(plan_work(experiment).units, {0: (result.experiment, None)}, Execution(jobs=2))
    assert (job.device, job.workers) == ("gpu", 1)


def test_what_sees_no_gpu_is_one_line_and_nothing_is_written(tmp_path):
    experiment, before = (
        Experiment(backends=("numpy", "jax"), device="gpu", **SMALL),
        dict(os.environ),
    )
    with pytest.raises(InputError) as error:
        run_experiment(experiment, Execution(output=str(tmp_path)))
    assert str(error.value) == "device: found gpu for jax, but jax sees none here; allowed: cpu"
    assert not list(tmp_path.iterdir())
    assert dict(os.environ) == before


def test_a_backend_without_one_refuses_a_gpu(tmp_path):
    experiment = Experiment(backends=("numpy", "sklearn"), device="gpu", **SMALL)
    result = run_experiment(experiment, Execution(executor="serial", output=str(tmp_path)))
    assert set(result.records["status"]) == {"unsupported"}
    assert set(result.records["reason"]) == {
        "device is 'gpu', and numpy has none",
        "device is 'gpu', and sklearn has none",
    }


def test_the_device_is_part_of_what_a_run_is_called_where_it_is_not_the_usual_one():
    usual = Experiment(**SMALL)
    assert usual.digest() == Experiment(device="cpu", **SMALL).digest()
    assert usual.digest() != Experiment(device="gpu", **SMALL).digest()
    with pytest.raises(InputError, match="did you mean 'gpu'"):
        Experiment(device="gpus", **SMALL)


def test_kernels_and_variables_that_change_bits_are_recorded_and_told_apart(tmp_path, monkeypatch):
    def trained(name):
        experiment = Experiment(backends=("numpy",), **SMALL)
        return run_experiment(
            experiment, Execution(executor="serial", output=str(tmp_path), name=name)
        )

    first = trained("first")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    second = trained("second")
    assert first.manifest["machine"]["blas"]
    assert first.manifest["machine"]["simd"]
    assert "multi_thread_eigen=false" in first.manifest["xla_flags"]
    (told,) = run_differences(first, second)
    assert (told.kind, told.name) == ("variable", "OPENBLAS_CORETYPE")
    assert (told.first, told.second) == ("not set", "Haswell")
    other = second.manifest["machine"] | {"blas": "another"}
    moved = replace(first, manifest=first.manifest | {"machine": other})
    assert [d.name for d in run_differences(first, moved)] == ["blas"]
