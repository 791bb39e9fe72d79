"""The conformance kit passes what is right, fails what is wrong, and runs backends/README.md's backend."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import pytest
from faults import Plain, StaleBatch, Summed, Unpredictable

from backends.base import Backend
from backends.registry import find
from backends.testing import ROUNDED, Conformance, conformance, run_check
from backends.testing.checks import (
    every_activation_follows_the_reference,
    every_optimizer_follows_the_reference,
    minibatches_may_be_of_one_sample,
    other_objectives_are_trained_or_refused,
    training_is_a_pure_function,
    what_cannot_be_done_is_said,
)
from backends.testing.problem import network_of

ROOT = Path(__file__).parent.parent


class TestNumPy(Conformance):
    backend = "numpy"


class TestSklearn(Conformance):
    backend = "sklearn"


@pytest.mark.slow
class TestTensorFlow(Conformance):
    backend = "tensorflow"


@pytest.mark.slow
class TestKeras(Conformance):
    backend = "keras"


class TestJax(Conformance):
    backend = "jax"


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
class TestTorch(Conformance):
    backend = "torch"


STALE = "it shows the minibatch of step 7 again in step 8"


class TestExpectedToFail(Conformance):
    backend = StaleBatch
    expected_failures: ClassVar[dict[str, str]] = {
        "every_optimizer_follows_the_reference": STALE,
        "every_activation_follows_the_reference": STALE,
        "there_may_be_no_hidden_layer": STALE,
        "two_classes_have_one_logistic_output": STALE,
        "regression_follows_the_reference": STALE,
        "a_short_last_minibatch_is_penalised_as_the_others": STALE,
        "minibatches_may_be_of_one_sample": STALE,
        "minibatches_may_repeat_samples": STALE,
    }


def test_a_sum_for_the_mean_fails():
    failed = {o.check for o in conformance(Summed()) if o.verdict == "failed"}
    assert "every_optimizer_follows_the_reference" in failed
    assert "training_is_a_pure_function" not in failed


def test_a_backend_that_draws_its_own_minibatches_is_no_pure_function():
    assert run_check(Unpredictable(), training_is_a_pure_function).verdict == "failed"


def test_a_backend_that_takes_what_it_does_not_know_fails():
    class Credulous(Plain):
        def unsupported(self, network, training):
            return None

    assert run_check(Credulous(), what_cannot_be_done_is_said).verdict == "failed"
    assert run_check(Plain(), what_cannot_be_done_is_said).verdict == "passed"


class SingleTanh(Plain):
    """A library whose tanh is in float32, which its backend declares."""

    def activate(self, z, layer):
        a = super().activate(z, layer)
        return a.astype("float32").astype(z.dtype) if self.network.activation == "tanh" else a

    def float32_inside(self, network, versions):
        return "tanh is computed in float32" if "tanh" in network.activations else ""


def test_what_a_library_is_declared_to_compute_in_float32_passes_under_a_verdict_of_its_own():
    outcome = run_check(SingleTanh(), every_activation_follows_the_reference)
    assert (outcome.verdict, outcome.rounding) == (ROUNDED, "tanh is computed in float32")
    assert 1e-12 < outcome.needed < 1e-6
    assert run_check(SingleTanh(), minibatches_may_be_of_one_sample).verdict == ROUNDED
    assert run_check(Plain(), minibatches_may_be_of_one_sample).verdict == "passed"


def test_a_declared_rounding_excuses_neither_a_mistake_nor_another_network():
    class Mistaken(SingleTanh, Summed):
        pass

    class InSigmoidToo(SingleTanh):
        def activate(self, z, layer):
            return super().activate(z, layer).astype("float32").astype(z.dtype)

    for backend in (Mistaken(), InSigmoidToo()):
        assert run_check(backend, every_activation_follows_the_reference).verdict == "failed"
    undeclared = run_check(SingleTanh(), every_activation_follows_the_reference, rtol=1e-12)
    assert undeclared.verdict == "failed"


def test_keras_on_jax_declares_what_it_computes_in_float32():
    backend = find("keras@jax")
    assert backend.float32_inside(network_of(), backend.versions())
    assert not backend.float32_inside(network_of(activation="relu"), backend.versions())
    assert not find("numpy").float32_inside(network_of(), {})


def test_what_a_backend_refuses_is_skipped_with_its_reason():
    outcome = run_check(Plain(), other_objectives_are_trained_or_refused)
    assert outcome.verdict == "skipped"
    assert "cost is 'sum', and plain does not heed it" in outcome.words


def test_the_tolerance_that_would_have_been_needed_is_told():
    outcome = run_check(Plain(), every_activation_follows_the_reference)
    assert 0 < outcome.needed < 1e-14
    strict = run_check(Plain(), every_activation_follows_the_reference, rtol=outcome.needed / 2)
    assert (strict.verdict, strict.share) == ("failed", pytest.approx(2))


def test_an_expected_failure_that_passes_fails_the_test():
    class Pessimist(Conformance):
        backend = Plain
        expected_failures: ClassVar[dict[str, str]] = {
            "every_optimizer_follows_the_reference": "a guess"
        }

    with pytest.raises(pytest.fail.Exception, match="was expected to fail"):
        Pessimist().conforms(every_optimizer_follows_the_reference)


def readme_backend() -> str:
    """The README's complete new backend."""
    text = (ROOT / "backends" / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- a new backend -->\n```python\n(.*?)```", text, re.DOTALL)
    assert found, "backends/README.md has no python block after <!-- a new backend -->"
    return found.group(1)


@pytest.fixture
def newcomer(tmp_path, monkeypatch):
    """The README's backend, importable as my_backend."""
    (tmp_path / "my_backend.py").write_text(readme_backend())
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("my_backend", None)
    yield "my_backend:MyBackend"
    sys.modules.pop("my_backend", None)


def test_the_readmes_backend_has_less_than_forty_lines():
    assert len([line for line in readme_backend().splitlines() if line.strip()]) < 40


def test_the_readmes_backend_passes_every_check(newcomer):
    backend = find(newcomer)
    assert isinstance(backend, Backend)
    outcomes = conformance(backend)
    assert not [outcome for outcome in outcomes if outcome.verdict == "failed"]
    assert sum(outcome.verdict == "passed" for outcome in outcomes) >= 14


def test_the_readmes_command_finds_that_its_backend_agrees(newcomer, tmp_path):
    """As a newcomer would: in the folder of my_backend.py, with the command that the README gives."""
    command = [sys.executable, "-m", "harness", "parity", "--backend", f"numpy,{newcomer}"]
    small = "--activation tanh --dataset iris --scale standard --epochs 3 --eta 0.1 --lmbd 0.01"
    done = subprocess.run(
        [*command, *small.split()],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "conformance checks" in done.stdout
