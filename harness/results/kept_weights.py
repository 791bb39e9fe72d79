"""Final weights that a run was asked to keep: a file of a unit's networks, as NumPy reads them.

``weights/*.npz`` has ``W1, b1, W2, b2, ...`` with the networks on the first axis, and ``eta``, ``lmbd`` and
``repeat`` of each network. ``manifest.json`` names the files under ``weights``, each with its backend and
hash.
"""

from __future__ import annotations

import io
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.network import Weights
from harness.results.result import Result
from harness.results.run_folder import DAMAGE, RunFolder, content_hash

WEIGHTS = "weights"  # the folder's name, and the manifest's

_log = logging.getLogger(__name__)


def weights_bytes(weights: Weights, keys: dict[str, Any]) -> bytes:
    """A unit's weights as the content of a file; ``keys``: of :func:`~harness.training.units.unit_keys`."""
    told = {name: np.asarray(keys[name]) for name in ("eta", "lmbd", "repeat")}
    file = io.BytesIO()
    np.savez(file, **told, **weights.named())  # type: ignore[arg-type]  # its stub takes no such keys
    return file.getvalue()


def weights_of_content(content: bytes) -> tuple[dict[str, NDArray[Any]], Weights]:
    """The eta, lmbd and repeat of the networks in a file's content, and their weights."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        members = {name: file[name] for name in file.files}
    layers = sum(name.startswith("W") for name in members)
    W, b = (tuple(members[f"{kind}{k}"] for k in range(1, layers + 1)) for kind in ("W", "b"))
    return {name: members[name] for name in ("eta", "lmbd", "repeat")}, Weights(W, b)


def kept_weights(
    result: Result, backend: str, eta: float, lmbd: float, repeat: int
) -> Weights | None:
    """The final weights of one network, a stack of one; None where the run has not kept them.

    A file that is lost, or is not what the run wrote, is told of and not used.
    """
    folder = RunFolder(result.address)
    for about in result.manifest.get(WEIGHTS, []):
        if about["backend"] != backend:
            continue
        try:
            content = folder.read(about["file"])
            if content_hash(content) != about["sha256"]:
                raise ValueError("its content is not what was written")
            keys, weights = weights_of_content(content)
        except (OSError, *DAMAGE) as error:
            _log.warning("%s is not used: %s", folder.path(about["file"]), error)
            continue
        here = (keys["eta"] == eta) & (keys["lmbd"] == lmbd) & (keys["repeat"] == repeat)
        if here.any():
            return weights[int(np.flatnonzero(here)[0])]
    return None
