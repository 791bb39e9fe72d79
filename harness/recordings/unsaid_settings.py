"""What nobody said of a recorded training, as its steps show it; and what its author says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from backends.recording import Recording
from harness.mistakes.effective_settings import Identified, fitted_settings, identified
from harness.mistakes.reference_step import Batch, StepRules
from harness.recordings.rules import USUAL, rules_of, traced
from harness.recordings.said_schedule import said_eta


def completed_settings(
    recording: Recording, batches: Sequence[Batch]
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """What is said of a training, completed by what its steps show; what was found so; notes."""
    about = dict(recording.about)
    lacking = [key for key in ("optimizer", "activation", "eta", "lmbd") if key not in about]
    if "activation" in lacking and len(recording.W) == 1:
        lacking.remove("activation")
    if not lacking or len(recording.kept) < 2:
        return about, {}, []
    rules = rules_of(recording, about)
    end = 0
    while end < min(12, len(recording.kept) - 1) and recording.kept[end + 1] == end + 1:
        end += 1
    trace = traced(recording, rules, batches, last=end).finite() if end else None
    if trace is None or not len(trace):
        return about, {}, [f"{', '.join(lacking)} not said, and the first steps were not kept"]
    shown: Identified = identified(trace, about)
    found: dict[str, Any] = {}
    for key in ("optimizer", "activation"):
        if key in lacking and key in shown.about:
            found[key] = shown.about[key]
    if found.get("optimizer", about.get("optimizer")) == "sgd":
        for key in ("momentum", "nesterov"):
            if key not in about and shown.about.get("momentum", 0.0) > 1e-3:
                found[key] = shown.about[key]
    guess = {**about, **found}
    guess = {key: shown.about[key] for key in ("eta", "lmbd", "rho") if key in shown.about} | guess
    guess.setdefault("eta", 0.01)
    fitted, _ = fitted_settings(replace(trace, rules=rules_of(recording, guess)), {})
    values = {one.name: one for one in fitted}
    if "eta" in lacking:
        found["eta"] = values["eta"].rounded
    if "momentum" in found:
        found["momentum"] = values["momentum"].rounded if "momentum" in values else 0.0
    constants = {"adam": ("beta_1", "beta_2"), "rmsprop": ("rho",)}
    for key in constants.get(found.get("optimizer", ""), ()):
        # what the steps cannot tell is as usual
        if key not in about and values[key].known:
            found[key] = values[key].rounded
    if "lmbd" in lacking:
        own = {name: one.rounded for name, one in values.items() if name.startswith("lmbd on ")}
        strengths = {name.removeprefix("lmbd on "): value for name, value in own.items()}
        matrices = [value for name, value in strengths.items() if name != "biases"]
        of_biases = strengths.pop("biases")
        if len(set(matrices)) == 1 and not of_biases:
            found["lmbd"] = matrices[0]
        else:
            biases = {f"b{k}": of_biases for k in range(1, len(matrices) + 1)}
            found["lmbd"] = matrices
            found["penalties"] = strengths | biases
    told = {**about, **{k: v for k, v in found.items() if k != "penalties"}}
    return told, found, []


def said_settings(
    recording: Recording, about: Mapping[str, Any], rules: StepRules
) -> dict[str, Any]:
    """What the author says of each fitted setting."""
    training, layers = rules.training, rules.network.layers
    said: dict[str, Any] = {"eta": said_eta(about.get("eta"))}
    if "lmbd" in about:
        lmbds = about["lmbd"] if isinstance(about["lmbd"], list) else [about["lmbd"]] * layers
        for layer, lmbd in enumerate(lmbds):
            own = training.penalty(lmbd, rules.batch_size, layer, layers)
            said[f"lmbd on W{layer + 1}"] = float(own)
        said["lmbd on biases"] = float(lmbds[0]) if about.get("penalised_biases") else 0.0
    if training.optimizer == "adam":
        said |= {key: about.get(key, USUAL[key]) for key in ("beta_1", "beta_2")}
    else:
        said["momentum"] = about.get("momentum")
    return said
