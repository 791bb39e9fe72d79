"""Mistakes of the data and of the forward pass, and numbers kept with fewer digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from backends.keras_backend import PRODUCTS_IN_FLOAT32, TANH_IN_FLOAT32, engine_with_float32
from backends.network import Array
from harness.mistakes.hidden_functions import HIDDEN_FUNCTIONS, IN_SINGLE
from harness.mistakes.mistake import Change, Kind, Mistake, always, by, in_layer, times_p
from harness.mistakes.reference_step import StepRules


def function_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """Other activations, and biases that are not added."""
    layers = range(1, rules.network.layers)
    for name in HIDDEN_FUNCTIONS:
        given = " and ".join(dict.fromkeys(map(rules.activation, layers)))
        single = name == IN_SINGLE
        if name == given or (
            single and not (given == "leaky_relu" and rules.training.dtype == "float64")
        ):
            continue
        kind: Kind = "rounding" if single else "mistake"
        first = "dW1" if name.startswith("relu with") else "a1"
        if len(layers) > 1:
            words = f"every hidden layer has {name} for {given}"
            changes = {"function": always(name)}
            yield Mistake("activation", words, "activation", first, changes, kind=kind)
        for layer in layers:
            if name == rules.activation(layer):
                continue
            words = f"hidden layer {layer} has {name} for {rules.activation(layer)}"
            changes = {"function": in_layer(layer, always(name))}
            yield Mistake("activation", words, "activation", f"a{layer}", changes, kind=kind)
    for layer in range(1, rules.network.layers + 1):
        changes = {"bias": in_layer(layer, by(np.zeros_like))}
        words = f"the bias of layer {layer} is not added"
        yield Mistake("bias not added", words, "bias not added", f"z{layer}", changes)


def data_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """Other rows, labels and inputs."""
    for words, kept in (("first", slice(1, None)), ("last", slice(None, -1))):
        yield Mistake(
            "row left out",
            f"each minibatch is without its {words} row",
            "batch",
            "rows",
            {"batch": _some_rows(kept)},
        )
    for words, row in (("first", 0), ("last", -1)):
        yield Mistake(
            "row seen twice",
            f"the {words} row of each minibatch is seen twice",
            "batch",
            "rows",
            {"batch": _row_twice(row)},
        )
    if not rules.network.classes:
        words = "the targets are {p} times what they should be"
        sizes, scaled = (0.5, 2.0, 0.01), {"targets": times_p}
        yield Mistake("targets scaled", words, "targets", "targets", scaled, starts=sizes)
    for shift, way in ((1, "behind"), (-1, "ahead of")):
        words = f"the labels are one row {way} the inputs in each minibatch"
        changes = {"targets": _rolled(shift)}
        yield Mistake("labels shifted", words, "targets", "targets", changes)
    yield Mistake(
        "inputs scaled",
        "the inputs are {p} times what they should be",
        "inputs",
        "rows",
        {"rows": times_p},
        starts=(0.5, 2.0, 1 / 16, 1 / 255),
    )


def _some_rows(kept: slice) -> Change:
    return lambda batch, here, p: batch.rows(kept)


def _row_twice(row: int) -> Change:
    return lambda batch, here, p: batch.rows(np.append(np.arange(len(batch.x)), row))


def _rolled(shift: int) -> Change:
    return lambda t, here, p: np.roll(t, shift, axis=0)


def rounding_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """Numbers that are kept with fewer digits.

    Only that of a setting is something that libraries are known to do; whoever rounds tensors trains in
    another precision.
    """
    formats: Sequence[tuple[str, Any]] = [
        ("TF32 (10 bits)", _kept_bits(10)),
        ("bfloat16 (7 bits)", _kept_bits(7)),
        ("float16", lambda value: value.astype(np.float16).astype(np.float64)),
    ]
    if rules.training.dtype == "float64":
        formats = [("float32", _single), *formats]
    for name, to in formats:
        where: tuple[tuple[str, str, str], ...] = (
            ("factor", f"the factors of matrix products are rounded to {name}", "z1"),
            ("rows", f"the inputs are rounded to {name}", "rows"),
            ("z", f"z is rounded to {name}", "z1"),
            ("a", f"the activations are rounded to {name}", "a1"),
            ("gradients", f"the gradients are rounded to {name}", f"dW{rules.network.layers}"),
            ("stored", f"the weights are kept in {name}", "W1"),
        )
        for stage, words, tensor in where:
            if (stage, to) != ("rows", _single):  # inputs are rounded to float32 for everybody
                changes = {stage: _each(to)}
                yield Mistake(f"{stage} rounded", words, "rounding", tensor, changes)
    if rules.training.dtype == "float64" and rules.lmbd:
        words, changes = "lmbd is rounded to float32", {"penalty": _lmbd_in_single}
        yield Mistake("lmbd rounded", words, "rounding", "penalty of W1", changes, kind="rounding")


def float32_inside_float64(rules: StepRules, versions: Mapping[str, str]) -> Iterator[Mistake]:
    """What libraries are known to compute in float32 in a float64 training; nothing of the catalogue's.

    versions: those of the libraries that the suspect computes with, by distribution. Their float32 is not
    NumPy's to the last bit, so that these are right to float32's round-off: of whoever is not known for it
    they would excuse too much.
    """
    engine = engine_with_float32(versions)
    if rules.training.dtype != "float64" or not engine:
        return
    if engine == "jax" and "tanh" in map(rules.activation, range(1, rules.network.layers)):
        changes = dict.fromkeys(("a", "slope", "delta"), _where_tanh(_in_single))
        yield Mistake(
            "tanh in float32",
            TANH_IN_FLOAT32,
            "rounding",
            "a1",
            changes,
            kind="rounding",
            own_digits=True,
        )
    if engine != "torch":
        return
    changes = dict.fromkeys(("factor", "z", "dW", "delta"), _in_single)
    yield Mistake(
        "matrix products in float32",
        PRODUCTS_IN_FLOAT32,
        "rounding",
        "z1",
        changes,
        kind="rounding",
        own_digits=True,
    )


def _in_single(value: Array, here: Any, p: float) -> Array:
    """Rounded to float32, and perturbed in its last place where all is perturbed."""
    value, noise = _single(value), here.rules.noise
    return value if noise is None else noise(value, "float32")


def _where_tanh(change: Change) -> Change:
    return lambda value, here, p: (
        change(value, here, p) if here.rules.activation(here.layer) == "tanh" else value
    )


def _lmbd_in_single(penalty: Array, here: Any, p: float) -> Array:
    lmbd = here.rules.lmbd
    return penalty * (float(np.float32(lmbd)) / lmbd) if lmbd else penalty


def _each(to: Callable[[Array], Array]) -> Change:
    """A rounding of an array, or of each of several."""
    return by(lambda v: {k: to(t) for k, t in v.items()} if isinstance(v, dict) else to(v))


def _single(value: Array) -> Array:
    return value.astype(np.float32).astype(np.float64)


def _kept_bits(bits: int) -> Any:
    """Rounds a float32's fraction to so many bits, to even, as TF32 and bfloat16 keep it."""
    drop = 23 - bits

    def to(value: Array) -> Array:
        whole = value.astype(np.float32).view(np.uint32)
        odd = (whole >> np.uint32(drop)) & np.uint32(1)
        up = whole + (np.uint32(2 ** (drop - 1) - 1) + odd)
        cut = (up >> np.uint32(drop)) << np.uint32(drop)
        return cut.view(np.float32).astype(np.float64)

    return to
