"""Frameworks start quietly and alike everywhere, and what the process has set moves no backend."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from backends.network import Cells, Network, Training
from backends.plan import Plan
from backends.registry import BUILT_IN, usable

NETWORK = Network.classifier(5, (4,), 3, "sigmoid")


def python(code: str, **variables: str | None) -> str:
    """What a fresh interpreter prints."""
    environment = dict(os.environ)
    for name, value in variables.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("given", "expected"), [(None, "True"), ("0", "False")])
def test_tensorflow_computes_with_onednn_unless_told_otherwise(given, expected):
    ask = (
        "from backends.frameworks import load; load('tensorflow');"
        "from tensorflow.python.util import _pywrap_util_port as port; print(port.IsMklEnabled())"
    )
    assert python(ask, TF_ENABLE_ONEDNN_OPTS=given).split() == [expected]


def test_importing_the_frameworks_module_imports_no_numpy():
    ask = "import backends.frameworks, sys; print('numpy' in sys.modules)"
    assert python(ask).split() == ["False"]


def trained(name, dtype, optimizer="sgd", eta=0.5):
    """The bits of a small training and of its probabilities."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 5)).astype(dtype), np.arange(50) % 3
    training = Training(dtype=dtype, optimizer=optimizer)
    settings = {"epochs": 3, "batch_size": 20, "dtype": dtype, "keep_last_batch": True}
    plan = Plan.draw(NETWORK, np.arange(50), (1,), **settings)
    backend = usable(name)
    cells = Cells.of([eta, 0.1], [0.01, 0.2])
    weights = backend.train(x, y, NETWORK, training, cells, plan).weights
    return [
        *(tensor.tobytes() for tensor in weights.named().values()),
        backend.predict_proba(x, NETWORK, weights).tobytes(),
    ]


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("eta", [0.5, 1e30])
def test_numpy_that_raises_on_every_round_off_changes_nothing(name, eta):
    plain = trained(name, "float32", eta=eta)
    with np.errstate(all="raise"):
        assert trained(name, "float32", eta=eta) == plain
        assert set(np.geterr().values()) == {"raise"}


@pytest.mark.parametrize("name", ["tensorflow", "keras"])
def test_functions_run_eagerly_change_nothing_and_stay_so(name):
    plain = trained(name, "float32", "adam")
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        assert trained(name, "float32", "adam") == plain
        assert tf.config.functions_run_eagerly()
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("floatx", ["float16", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kerass_floatx_and_policy_change_nothing_and_stay_so(floatx, dtype):
    usable("keras")
    import keras

    from backends.keras_stack import stack_for

    plain = trained("keras", dtype)
    before = keras.config.floatx(), keras.config.dtype_policy()
    try:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy("mixed_float16")
        stack_for.cache_clear()  # the model is built anew under these settings
        assert trained("keras", dtype) == plain
        assert keras.config.floatx() == floatx
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


TRAIN_IN_FLOAT64 = """
import os
import numpy as np
from backends.network import Cells, Network, Training
from backends.plan import Plan
from backends.registry import usable
x, y = np.random.default_rng(0).normal(size=(40, 5)), np.arange(40) % 3
network = Network.classifier(5, (4,), 3)
plan = Plan.draw(network, np.arange(40), (1,), epochs=3, batch_size=20, dtype="float64")
W = [usable(name).train(x, y, network, Training(dtype="float64"), Cells.of(0.5, 0.01), plan).weights
     for name in ("numpy", "keras")]
print(max(float(abs(a - b).max()) for a, b in zip(W[0].W, W[1].W)), os.environ.get("KERAS_BACKEND"))
"""


@pytest.mark.parametrize("engine", [None, "jax"])
def test_keras_computes_with_tensorflow_whatever_the_environment_says_and_leaves_it(engine):
    error, left = python(TRAIN_IN_FLOAT64, KERAS_BACKEND=engine).split()
    assert float(error) < 1e-14  # 6 steps in float64
    assert left == str(engine)


def test_keras_that_is_on_another_engine_already_is_unusable_and_says_why(tmp_path):
    # a stand-in, because the real one's other engines need libraries that are not installed here
    (tmp_path / "keras.py").write_text("class config:\n    backend = staticmethod(lambda: 'jax')\n")
    ask = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import keras\n"
        "from backends.registry import UnusableBackend, usable\n"
        "try:\n    usable('keras')\nexcept UnusableBackend as missing:\n    print(missing.reason)"
    )
    told = python(ask)
    assert "Keras runs on jax in this process" in told
    assert "pip install" not in told
