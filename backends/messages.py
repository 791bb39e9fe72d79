"""Messages between two interpreters over pipes: JSON with arrays beside it, no pickle.

A message is the length of its header (8 bytes, little-endian), the header in UTF-8, and the bytes of the
arrays one after the other; the header's ``arrays`` tells their types and shapes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from backends.network import Array, Cells, Network, Training, Weights
from backends.plan import Plan

_KINDS = "biuf"


def send(stream: BinaryIO, header: dict[str, Any], arrays: Sequence[NDArray[Any]] = ()) -> None:
    """Write a message; it is there for the other side at once."""
    contiguous = [np.ascontiguousarray(array) for array in arrays]
    told = {**header, "arrays": [[a.dtype.str, list(a.shape)] for a in contiguous]}
    text = json.dumps(told).encode()
    stream.write(struct.pack("<Q", len(text)))
    stream.write(text)
    for array in contiguous:
        stream.write(array.reshape(-1).view(np.uint8).data if array.size else b"")
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """The next message; EOFError if the other side is gone."""
    (length,) = struct.unpack("<Q", _exactly(stream, 8))
    header = json.loads(_exactly(stream, length))
    arrays = []
    for name, shape in header.pop("arrays"):
        dtype = np.dtype(name)
        if dtype.kind not in _KINDS:
            raise ValueError(f"an array of {dtype} in a message; allowed: numbers")
        data = _exactly(stream, dtype.itemsize * int(np.prod(shape, dtype=np.int64)))
        arrays.append(np.frombuffer(data, dtype).reshape(shape))
    return header, arrays


def _exactly(stream: BinaryIO, count: int) -> bytearray:
    data = bytearray(count)
    view, filled = memoryview(data), 0
    while filled < count:
        got = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        if not got:
            raise EOFError("the other side is gone")
        filled += got
    return data


def pack_training(
    network: Network, training: Training, cells: Cells, plan: Plan
) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """A training but for its data, as header and arrays; :func:`unpack_training` undoes it."""
    header = {
        "network": vars(network),
        "training": vars(training),
        "checkpoints": list(plan.checkpoints),
        "steps_per_epoch": plan.steps_per_epoch,
        "validation": plan.validation is not None,
    }
    validation = np.empty(0, np.int64) if plan.validation is None else plan.validation
    arrays = [cells.eta, cells.lmbd, cells.stream, plan.order, plan.bounds, validation]
    return header, [*arrays, *plan.initial.W, *plan.initial.b]


def unpack_training(
    header: dict[str, Any], arrays: Sequence[NDArray[Any]]
) -> tuple[Network, Training, Cells, Plan]:
    """What :func:`pack_training` packed."""
    network = unpack_network(header["network"])
    eta, lmbd, stream, order, bounds, validation = arrays[:6]
    plan = Plan(
        unpack_weights(arrays[6:]),
        order,
        bounds,
        tuple(header["checkpoints"]),
        header["steps_per_epoch"],
        validation if header["validation"] else None,
    )
    return network, Training(**header["training"]), Cells(eta, lmbd, stream), plan


def unpack_network(settings: dict[str, Any]) -> Network:
    return Network(**{**settings, "hidden": tuple(settings["hidden"])})


def unpack_weights(arrays: Sequence[Array]) -> Weights:
    """Weights from all weight matrices and then all biases."""
    half = len(arrays) // 2
    return Weights(tuple(arrays[:half]), tuple(arrays[half:]))
