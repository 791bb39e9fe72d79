"""What a training takes of this machine's memory at the least, told before anything is drawn.

The figures are lower bounds: what is refused here could not have been trained.
"""

from __future__ import annotations

import os

from backends.network import Network

_WEIGHT_COPIES = 3  # the plan's, those in training, their gradient
_WEIGHT_BYTES = 4
_DRAW_BYTES = 2 * 8  # a row number as it is drawn, and in the plan


class NotEnoughMemory(ValueError):
    """A training that this machine could never hold; says what of it takes how much."""


def machine_memory() -> int | None:
    """Bytes of memory of this machine; None where that is not known."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # as on Windows
        return None


def require_memory(what: str, needed: int) -> None:
    """Refuse what needs more bytes than this machine has: :class:`NotEnoughMemory`."""
    has = machine_memory()
    if has is not None and needed > has:
        raise NotEnoughMemory(
            f"{what} take at least {_gib(needed)} of memory; this machine has {_gib(has)}"
        )


def require_training_memory(network: Network, samples: int, epochs: int) -> None:
    """Refuse a network, or a number of epochs on so many samples, that needs more than this machine has."""
    require_memory(
        f"hidden: the {network.parameters:,} weights of {network}",
        network.parameters * _WEIGHT_BYTES * _WEIGHT_COPIES,
    )
    require_memory(
        f"epochs: the minibatches of {epochs:,} epochs of {samples:,} samples, drawn before training,",
        epochs * samples * _DRAW_BYTES,
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"
