"""backends/ stands alone: NumPy and the library that trains, Python 3.10, older versions of both."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "backends"
SOURCES = sorted(FOLDER.rglob("*.py"))
OLD = ("numpy==1.26.4", "scikit-learn==1.3.2")
# what a file may import beside NumPy, the standard library and this package
OWN = {
    "sklearn_backend": {"sklearn"},
    "estimator": {"sklearn"},
    "keras_stack": {"keras"},
    # inside the hooks of these libraries; and where it is there, to tell the BLAS
    "recording": {"keras", "sklearn", "threadpoolctl"},
    "testing": {"pytest"},  # inside the class that is a pytest test
}
# of the standard library, what Python 3.10 does not have
NEWER_MODULES = {"tomllib", "compression", "annotationlib"}
NEWER_NAMES = {
    "typing": {
        *("Self", "Never", "LiteralString", "Required", "NotRequired", "Unpack", "TypeVarTuple"),
        *("assert_never", "assert_type", "reveal_type", "override", "TypeAliasType", "ReadOnly"),
    },
    "enum": {"StrEnum", "ReprEnum", "verify", "member", "nonmember"},
    "datetime": {"UTC"},
    "contextlib": {"chdir"},
    "itertools": {"batched"},
}


def name_of(path: Path) -> str:
    return path.parent.name if path.name == "__init__.py" else path.stem


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(FOLDER)))
def test_a_file_is_python_3_10_and_imports_its_own_library_only(path):
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 10))
    allowed = {"numpy", "backends"} | (sys.stdlib_module_names - NEWER_MODULES)
    allowed |= OWN.get(name_of(path), set())
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
            taken = {alias.name for alias in node.names}
            assert not taken & NEWER_NAMES.get(str(node.module), set())
        for name in names:
            assert name.partition(".")[0] in allowed, f"{path.name}:{node.lineno} imports {name}"


# run in either environment: weights of every setting, what the estimators come to, what is refused
TRAIN = """
import json, sys
import numpy as np
from backends import MLPBackendClassifier, MLPBackendRegressor
from backends.base import UnsupportedPlan
from backends.network import Cells, Network, Training
from backends.plan import Plan
from backends.registry import usable
from backends.testing import conformance

x, y = np.random.default_rng(0).normal(size=(50, 5)), np.arange(50) % 3
network, cells = Network.classifier(5, (4, 3), 3, "tanh"), Cells.grid([0.5, 0.1], [0.0, 0.2])
weights, refused, loss, failed = {}, {}, {}, {}
for name in ("numpy", "sklearn"):
    backend = usable(name)
    for what, training in {
        "sgd": Training(dtype="float64"),
        "nesterov": Training(dtype="float64", momentum=0.9, nesterov=True),
        "adam": Training(dtype="float64", optimizer="adam"),
    }.items():
        for kept in (False, True):
            plan = Plan.draw(
                network, np.arange(50), (1,), epochs=3, batch_size=20, keep_last_batch=kept,
                dtype="float64",
            )
            try:
                fit = backend.train(x, y, network, training, cells, plan)
            except UnsupportedPlan as reason:
                refused[f"{name} {what} {kept}"] = str(reason)
                continue
            weights[f"{name} {what} {kept}"] = [
                tensor.ravel().tolist() for tensor in fit.weights.named().values()
            ]
    given = {"backend": name, "epochs": 5, "batch_size": 25, "random_state": 0}
    loss[name] = [
        MLPBackendClassifier(**given).fit(x, y).loss_,
        MLPBackendRegressor(**given).fit(x, np.tanh(x[:, 0])).loss_,
    ]
    failed[name] = [o.check for o in conformance(backend) if o.verdict == "failed"]
foreign = {"threadpoolctl", "harness", "pandas", "tensorflow", "keras"} & set(sys.modules)
if "sklearn" in sys.modules:
    foreign -= {"threadpoolctl"}  # scikit-learn's own
versions = [".".join(map(str, sys.version_info[:2])), np.__version__]
print(json.dumps([weights, refused, loss, failed, sorted(foreign), versions]))
"""


def trained(python: str, folder: Path) -> list:
    """What the program above prints, run in a folder that has backends/ and nothing else."""
    done = subprocess.run(
        [python, "-c", TRAIN],
        cwd=folder,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def oldest_python() -> str:
    """An interpreter of Python 3.10, if there is one, else this one's."""
    places = [
        shutil.which("python3.10"),
        *map(str, Path.home().glob(".pyenv/versions/3.10*/bin/python")),
    ]
    for place in filter(None, places):
        asked = subprocess.run([place, "-V"], capture_output=True, text=True, check=False)
        if asked.returncode == 0 and asked.stdout.startswith("Python 3.10"):
            return place
    return sys.executable


@pytest.fixture(scope="module")
def old_python(tmp_path_factory):
    """The interpreter of a fresh environment with old versions."""
    place = tmp_path_factory.mktemp("old") / "venv"
    made = subprocess.run(
        [oldest_python(), "-m", "venv", str(place)], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    python = str(place / "bin" / "python")
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", *OLD], capture_output=True, text=True, check=False
    )
    unreachable = ("Could not find a version", "Failed to establish", "No matching distribution")
    if done.returncode and any(words in done.stderr for words in unreachable):
        pytest.skip(f"pip reaches no registry that has {', '.join(OLD)}: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    return python


@pytest.fixture(scope="module")
def both(old_python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    shutil.copytree(FOLDER, folder / "backends", ignore=shutil.ignore_patterns("__pycache__"))
    return trained(old_python, folder), trained(sys.executable, folder)


@pytest.mark.slow
def test_old_versions_give_todays_numbers(both):
    (old, _, old_loss, _, _, versions), (new, _, new_loss, _, _, _) = both
    assert versions[1] == "1.26.4"
    assert len(old) == 9  # NumPy's six and scikit-learn's three without a short minibatch
    for what, tensors in old.items():
        for before, now in zip(tensors, new[what], strict=True):
            assert before == pytest.approx(now, rel=1e-12, abs=1e-12), what
    for name, losses in old_loss.items():
        assert losses == pytest.approx(new_loss[name], rel=1e-12)


@pytest.mark.slow
def test_old_scikit_learn_refuses_a_kept_short_minibatch_and_nothing_else(both):
    old, new = both
    assert sorted(old[1]) == ["sklearn adam True", "sklearn nesterov True", "sklearn sgd True"]
    assert all("scikit-learn 1.7" in reason for reason in old[1].values())
    assert not new[1]


@pytest.mark.slow
def test_old_versions_pass_the_conformance_kit_and_need_nothing_else(both):
    old, _ = both
    assert old[3] == {"numpy": [], "sklearn": []}
    assert not old[4]
