"""What runs in the other interpreter: a backend, asked over a pipe, until nobody asks any more.

Needs NumPy and the backend's library, nothing of the harness.
"""

from __future__ import annotations

import os
import platform
import queue
import shutil
import sys
import threading
import traceback
from tempfile import mkdtemp
from typing import Any, BinaryIO

from backends.base import Backend, UnsupportedPlan
from backends.frameworks import keep_temporary_files_in
from backends.messages import (
    receive,
    send,
    unpack_network,
    unpack_training,
    unpack_weights,
)
from backends.registry import UnusableBackend, usable

_leave = os._exit  # which is kept from a plug-in's code while that runs


def main(name: str) -> None:
    """Answer for the backend of this name; ends with the process that asks."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb", buffering=1 << 20)
    os.dup2(2, 1)  # what a library prints is not for the pipe
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
    temporary = mkdtemp(prefix="harness-")
    keep_temporary_files_in(temporary)
    threading.Thread(target=_listen, args=(requests, asked, temporary), daemon=True).start()
    try:
        backend = usable(name)
    except (UnusableBackend, KeyError) as error:
        reason = error.reason if isinstance(error, UnusableBackend) else str(error.args[0])
        send(answers, {"unusable": reason})
        shutil.rmtree(temporary, ignore_errors=True)
        _leave(0)  # the thread that listens would be told of on the way out
    send(answers, {"versions": backend.versions(), "python": platform.python_version()})
    data: dict[str, Any] = {}
    while True:
        header, arrays = asked.get()
        try:
            answer = _answer(backend, header, arrays, data)
        except UnsupportedPlan as refused:
            answer = {"unsupported": str(refused)}, []
        except Exception as error:  # noqa: BLE001 (whatever a backend raises is told to who asked)
            told = "".join(traceback.format_exception(error))
            answer = {"raised": f"{type(error).__name__}: {error}", "traceback": told}, []
        send(answers, *answer)


def _listen(requests: BinaryIO, asked: queue.SimpleQueue[Any], temporary: str) -> None:
    """Take requests; end the process, whatever it is at, once the other side is gone.

    Its temporary folder goes with it.
    """
    while True:
        try:
            asked.put(receive(requests))
        except EOFError:
            shutil.rmtree(temporary, ignore_errors=True)
            _leave(0)


def _answer(
    backend: Backend, header: dict[str, Any], arrays: list[Any], data: dict[str, Any]
) -> tuple[dict[str, Any], list[Any]]:
    if header["do"] == "gpus":
        return {"gpus": [str(gpu) for gpu in backend.gpus()]}, []
    if header["do"] == "predict":
        network = unpack_network(header["network"])
        return {}, [backend.predict_proba(arrays[0], network, unpack_weights(arrays[1:]))]
    if header["new_data"]:
        data["x"], data["y"] = arrays[:2]
        arrays = arrays[2:]
    network, training, cells, plan = unpack_training(header, arrays)
    train = backend.train_stock if header["do"] == "train_stock" else backend.train
    fit = train(data["x"], data["y"], network, training, cells, plan)
    steps = None if fit.steps is None else [int(s) for s in fit.steps]
    return {"steps": steps}, [t for weights in fit.path for t in (*weights.W, *weights.b)]
