"""The file of a recording: written while training, by anybody, read back, refused where it is wrong."""

from __future__ import annotations

import ast
import io
import json
import mmap
import os
import shutil
import signal
import struct
import subprocess
import sys
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from backends import recording
from backends.recording import Recorder, RecordingError, read_recording, weights_of, write_recording
from harness.recordings.judgement import judge_recording

HERE = Path(recording.__file__)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))
Y = RNG.integers(0, 3, 40)


def network(sizes=(4, 6, 3), dtype="float64"):
    rng = np.random.default_rng(1)
    pairs = list(pairwise(sizes))
    return [rng.normal(0, 0.5, pair).astype(dtype) for pair in pairs], [
        np.zeros(o, dtype) for _, o in pairs
    ]


def descend(W, b, x, y, eta=0.1):
    """One right step of gradient descent on a tanh network with a softmax output, in place."""
    a = np.tanh(x @ W[0] + b[0])
    p = np.exp(a @ W[1] + b[1])
    p /= p.sum(axis=1, keepdims=True)
    delta = (p - np.eye(3)[y]) / len(x)
    back = delta @ W[1].T * (1 - a**2)
    for layer, (left, d) in enumerate(((x, back), (a, delta))):
        W[layer] -= eta * left.T @ d
        b[layer] -= eta * d.sum(axis=0)


def recorded(path, steps=12, every=1, about=None, close=True):
    W, b = network()
    said = {"eta": 0.1, "lmbd": 0.0, "activation": "tanh", "optimizer": "sgd"}
    recorder = Recorder(path, X, Y, every=every, **(said if about is None else about))
    recorder.start((W, b))
    for step in range(steps):
        rows = np.arange(step, step + 8) % 40
        descend(W, b, X[rows], Y[rows])
        recorder.step(rows, (W, b), loss=float(step))
    if close:
        recorder.close((W, b))
    return read_recording(path), W, b


# ------------------------------------------------------------------ writing and reading


def test_what_was_trained_is_read_back(tmp_path):
    found, W, b = recorded(tmp_path / "a.npz")
    assert found.steps == 12
    assert found.kept.tolist() == list(range(13))
    assert found.sizes == (4, 6, 3)
    assert np.array_equal(found.W[0][-1], W[0])
    assert np.array_equal(found.b[1][-1], b[1])
    assert found.rows_of(3).tolist() == list(range(3, 11))
    assert found.loss.tolist() == list(range(12))
    assert np.array_equal(found.x, X)
    assert found.about["format"] == "harness recording"
    assert found.about["versions"]["numpy"] == np.__version__


def test_every_thins_out_and_the_end_is_kept(tmp_path):
    found, W, _ = recorded(tmp_path / "a.npz", every=5)
    assert found.kept.tolist() == [0, 5, 10, 12]
    assert found.steps == 12
    assert np.array_equal(found.W[0][-1], W[0])


def test_a_recording_can_be_read_while_it_is_written(tmp_path):
    found, W, _ = recorded(tmp_path / "a.npz", close=False)
    assert found.steps == 12
    assert np.array_equal(found.W[0][-1], W[0])


def test_a_recording_grows_from_window_to_window(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "_WINDOW", mmap.ALLOCATIONGRANULARITY)
    found, W, _ = recorded(tmp_path / "a.npz", steps=500, close=False)
    assert len(found.kept) == 501
    assert (tmp_path / "a.npz").stat().st_size > 10 * mmap.ALLOCATIONGRANULARITY
    assert np.array_equal(found.W[0][-1], W[0])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz"]


def test_a_training_that_is_killed_leaves_its_whole_steps(tmp_path):
    program = tmp_path / "train.py"
    shutil.copy(HERE, tmp_path / "recording.py")
    program.write_text(
        "import os, signal\nimport numpy as np\nfrom recording import Recorder\n"
        "x = np.zeros((5, 2)); W = [np.ones((2, 3))]; b = [np.zeros(3)]\n"
        "recorder = Recorder('k.npz', x, np.zeros(5, int)).start((W, b))\n"
        "for step in range(7):\n    W[0] += 1\n    recorder.step([0, 1], (W, b))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": ""}
    ended = subprocess.run([sys.executable, program], cwd=tmp_path, env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    found = read_recording(tmp_path / "k.npz")
    assert found.steps == 7
    assert found.W[0][-1].tolist() == [[8.0] * 3] * 2


def test_a_training_that_ends_without_closing_leaves_a_finished_file(tmp_path):
    program = tmp_path / "train.py"
    program.write_text(
        "import numpy as np\nfrom backends.recording import Recorder\n"
        "W, b = [np.ones((2, 3), np.float32)], [np.zeros(3, np.float32)]\n"
        "recorder = Recorder('e.npz', np.zeros((5, 2)), np.zeros(5, int)).start((W, b))\n"
        "recorder.step([0, 1], ([W[0].T.copy().T], [b[0].astype(float)]))\n"  # another order, dtype
        "recorder.step([1], ([W[0].T], b))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    ended = subprocess.run(
        [sys.executable, program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (
        "W1 after step 2: found float32 of shape (3, 2); allowed: float32 of shape (2, 3)"
        in ended.stderr
    )
    assert members_of(tmp_path / "e.npz")["W1"].tolist() == [[[1.0] * 3] * 2] * 2


def test_the_file_needs_numpy_alone_and_python_3_9():
    tree = ast.parse(HERE.read_text("utf-8"), feature_version=(3, 9))
    top = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    modules = {
        name.split(".")[0]
        for node in top
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        )
    }
    assert modules - set(sys.stdlib_module_names) == {"numpy"}
    for node in ast.walk(tree):  # of Python 3.10
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "zip":
            assert not node.keywords


def test_minibatches_that_come_only_once_are_recorded_themselves(tmp_path):
    W, b = network()
    recorder = Recorder(tmp_path / "s.npz", eta=0.1, lmbd=0, activation="tanh", optimizer="sgd")
    recorder.start((W, b))
    for _ in range(6):
        x, y = RNG.normal(size=(8, 4)), RNG.integers(0, 3, 8)
        descend(W, b, x, y)
        recorder.step((x, y), (W, b))
    recorder.close()
    found = read_recording(tmp_path / "s.npz")
    assert found.x.shape == (48, 4)
    assert judge_recording(found).exit_code == 0


def test_minibatches_as_members_of_their_own_are_read(tmp_path):
    found, *_ = recorded(tmp_path / "a.npz")
    members = {"about": np.array(json.dumps(found.about)), "kept": found.kept}
    for step in range(found.steps):
        rows = found.rows_of(step)
        members |= {f"batch_x_{step}": X[rows], f"batch_y_{step}": Y[rows]}
    members |= {f"W{k}": W for k, W in enumerate(found.W, start=1)}
    members |= {f"b{k}": b for k, b in enumerate(found.b, start=1)}
    np.savez_compressed(tmp_path / "b.npz", **members)
    again = read_recording(tmp_path / "b.npz")
    assert again.steps == 12
    assert judge_recording(again).exit_code == 0


def test_names_of_classes_become_numbers(tmp_path):
    recorder = Recorder(tmp_path / "a.npz", X, np.array(["a", "b", "c", "a"] * 10))
    assert recorder.y.tolist()[:4] == [0, 1, 2, 0]
    assert recorder.about["classes"] == ["a", "b", "c"]


# ------------------------------------------------------------------ a writer without NumPy


def npy(values, shape, kind):
    """A .npy array by hand, as the page says: magic, version, header, numbers."""
    descr = {"d": "<f8", "q": "<i8"}[kind]
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (-(10 + len(head) + 1) % 64) + "\n"
    body = struct.pack(f"<{len(values)}{kind}", *values)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + body


def npy_text(text):
    head = f"{{'descr': '<U{len(text)}', 'fortran_order': False, 'shape': (), }}"
    head += " " * (-(10 + len(head) + 1) % 64) + "\n"
    return (
        b"\x93NUMPY\x01\x00"
        + struct.pack("<H", len(head))
        + head.encode()
        + text.encode("utf-32-le")
    )


def test_a_writer_without_numpy_is_understood(tmp_path):
    # one neuron by hand: two features, one target, z = w x + b, half the squared error, eta 0.1
    x, y, w, b = [(1.0, 2.0), (0.5, -1.0), (-1.0, 0.25)], [1.0, 0.0, 2.0], [0.1, -0.2], 0.0
    W, B = [*w], [b]
    for step in range(5):
        rows = [step % 3, (step + 1) % 3]
        delta = [(w[0] * x[r][0] + w[1] * x[r][1] + b - y[r]) / 2 for r in rows]
        w = [
            w[i] - 0.1 * sum(d * x[r][i] for d, r in zip(delta, rows, strict=True)) for i in (0, 1)
        ]
        b -= 0.1 * sum(delta)
        W, B = [*W, *w], [*B, b]
    about = {"format": "harness recording", "version": 1, "eta": 0.1, "lmbd": 0, "optimizer": "sgd"}
    with zipfile.ZipFile(tmp_path / "h.npz", "w") as file:
        file.writestr("about.npy", npy_text(json.dumps(about)))
        file.writestr("x.npy", npy([v for row in x for v in row], (3, 2), "d"))
        file.writestr("y.npy", npy(y, (3,), "d"))
        rows = [r for step in range(5) for r in (step % 3, (step + 1) % 3)]
        file.writestr("rows.npy", npy(rows, (10,), "q"))
        file.writestr("bounds.npy", npy(range(0, 11, 2), (6,), "q"))
        file.writestr("kept.npy", npy(range(6), (6,), "q"))
        file.writestr("W1.npy", npy(W, (6, 2, 1), "d"))
        file.writestr("b1.npy", npy(B, (6, 1), "d"))
    assert judge_recording(read_recording(tmp_path / "h.npz")).exit_code == 0


# ------------------------------------------------------------------ models


def test_matrices_of_outputs_times_inputs_are_recognised_and_turned(tmp_path):
    W, b = network()
    turned = {"layer1": {"weight": W[0].T, "bias": b[0]}, "layer2": [W[1].T, b[1][None]]}
    assert weights_of(turned, features=4).orientation == "outputs_inputs"
    Recorder(tmp_path / "a.npz", X, Y).start(turned).close()
    assert np.array_equal(read_recording(tmp_path / "a.npz").W[0][0], W[0])


def test_square_matrices_are_asked_about():
    with pytest.raises(RecordingError, match="orientation"):
        weights_of([np.ones((4, 4))], features=4)
    assert weights_of([np.ones((4, 4))], "outputs_inputs", 4).orientation == "outputs_inputs"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ([np.ones((4, 3, 2))], "dense layers"),
        ([np.ones((4, 3)), np.ones((2, 2))], "follow one another"),
        ([np.ones((4, 3)), np.ones(3), np.ones((3, 2))], "found 1 for 2 layers"),
        ([], "no matrix"),
        (object(), "found object"),
    ],
)
def test_what_is_no_network_is_refused_in_one_line(model, words):
    with pytest.raises(RecordingError, match=words) as error:
        weights_of(model, features=4)
    assert "\n" not in str(error.value)


def test_a_fit_of_scikit_learn_is_recorded_as_it_is(tmp_path):
    from sklearn.neural_network import MLPClassifier

    given = {"batch_size": 16, "alpha": 0.1, "max_iter": 3, "random_state": 0}
    for solver in ("sgd", "adam"):
        plain = MLPClassifier((5,), solver=solver, **given).fit(X, Y)
        mine = MLPClassifier((5,), solver=solver, **given)
        Recorder(tmp_path / "s.npz", X, Y).fit(mine)
        assert all(np.array_equal(a, b) for a, b in zip(mine.coefs_, plain.coefs_, strict=True))
        found = read_recording(tmp_path / "s.npz")
        assert found.steps == 9
        assert np.array_equal(found.W[0][-1], plain.coefs_[0])
        assert judge_recording(found).exit_code == 0
    with pytest.raises(RecordingError, match="lbfgs"):
        Recorder(tmp_path / "s.npz", X, Y).fit(MLPClassifier(solver="lbfgs"))


# ------------------------------------------------------------------ the check of the format


def members_of(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("W1", None, "W1: found no such member"),
        ("W2", np.zeros((13, 5, 3)), "W2: found 5 inputs; allowed: 6"),
        ("W1", np.zeros((13, 4, 6), int), "W1: found int64"),
        ("b2", None, "b2: found none; allowed: all or none"),
        ("b1", np.zeros((13, 5)), "b1: found float64 of shape"),
        ("x", np.zeros((40, 5)), "x: found 5 features; allowed: 4"),
        ("y", np.full(40, 3), "y: found class 3; allowed: class numbers 0 to 2"),
        ("rows", np.full(96, 40), "rows: found 40; allowed: row numbers of x, 0 to 39"),
        ("bounds", np.arange(13) * 20, "bounds: found 240; allowed: up to 96"),
        ("bounds", np.zeros(13, int), "bounds: found"),
        ("kept", np.arange(1, 14), "kept: found"),
        ("kept", None, "kept: found no such member"),
        ("about", np.array("[1]"), "about: found list; allowed: a JSON object"),
        ("about", np.array('{"eta": "big"}'), "eta of about: found 'big'"),
        ("about", np.array('{"optimizer": "sgd_momentum"}'), "say optimizer='sgd' and its size"),
        ("about", np.array('{"optimizer": "Nesterov"}'), "say optimizer='sgd', nesterov=True"),
        ("about", np.array('{"optimizer": "AdamW"}'), "say optimizer='adam', decoupled=True"),
        ("about", np.array('{"optimizer": "amsgrad"}'), "say optimizer='adam', amsgrad=True"),
        ("about", np.array('{"of_model": {"eta": "big"}}'), "eta of about: found 'big'"),
        ("about", np.array('{"format": "other"}'), "format 'other'"),
        ("about", np.array('{"version": 2}'), "version 2"),
        ("about", np.array('{"activation": "rely"}'), "activation of about: found 'rely'"),
        ("about", np.array('{"eta": [0.1, "big"]}'), "eta of about: found [0.1, 'big']"),
        ("about", np.array('{"eta": []}'), "eta of about: found []"),
        ("about", np.array('{"class_weights": ["a"]}'), "class_weights of about: found ['a']"),
        ("about", np.array('{"frozen": [1]}'), "frozen of about: found [1]"),
        ("about", np.array('{"initial": "normal:-1"}'), "initial of about: found 'normal:-1'"),
        ("about", np.array('{"initial_bias": "zero"}'), "initial_bias of about: found 'zero'"),
        ("loss", np.zeros(3), "loss: found"),
    ],
)
def test_a_wrong_member_is_named_with_what_was_found_and_what_is_allowed(
    tmp_path, member, value, words
):
    recorded(tmp_path / "a.npz")
    members = members_of(tmp_path / "a.npz")
    members.pop(member)
    if value is not None:
        members[member] = value
    np.savez(tmp_path / "b.npz", **members)
    with pytest.raises(RecordingError) as error:
        read_recording(tmp_path / "b.npz")
    assert words in str(error.value)
    assert "allowed" in str(error.value)


def test_pickles_and_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "p.npz", W1=np.array([object()]))
    (tmp_path / "t.npz").write_text("no zip")
    for name in ("p.npz", "t.npz", "missing.npz"):
        with pytest.raises(RecordingError, match=name):
            read_recording(tmp_path / name)


def test_unknown_members_and_keys_are_kept(tmp_path):
    recorded(tmp_path / "a.npz", about={"room": "B12"})
    np.savez(tmp_path / "b.npz", **members_of(tmp_path / "a.npz"), temperature=np.arange(3))
    found = read_recording(tmp_path / "b.npz")
    assert found.about["room"] == "B12"
    assert found.extra["temperature"].tolist() == [0, 1, 2]


def test_biases_may_be_missing_as_a_whole(tmp_path):
    W, _ = network()
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 40, 8) for _ in range(5)]
    recorder = Recorder(tmp_path / "a.npz", X, Y).start(W)
    for rows in batches:
        recorder.step(rows, W)
    recorder.close()
    assert not read_recording(tmp_path / "a.npz").biases


def test_a_whole_training_is_written_at_once(tmp_path):
    W, b = network()
    path = [([w.copy() for w in W], [v.copy() for v in b])]
    batches = [np.arange(8), np.arange(8, 16)]
    for rows in batches:
        descend(W, b, X[rows], Y[rows])
        path.append(([w.copy() for w in W], [v.copy() for v in b]))
    write_recording(tmp_path / "w.npz", X, Y, batches, path, eta=0.1)
    assert np.array_equal(read_recording(tmp_path / "w.npz").W[1][2], W[1])


def test_a_file_cut_short_is_refused(tmp_path):
    recorded(tmp_path / "a.npz")
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecordingError, match="no readable zip"):
        read_recording(tmp_path / "a.npz")
    assert zipfile.is_zipfile(io.BytesIO(whole))
