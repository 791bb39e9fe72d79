"""What judging recordings came to, as it is shown: words, tables, feedback for a student, JUnit, JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from backends.recording import Recording
from harness.document.number_words import count
from harness.document.plain import plain
from harness.document.section import NOTHING, Section, Table
from harness.document.words import series
from harness.mistakes.effective_settings import Setting
from harness.mistakes.initial_weights import laws_like
from harness.mistakes.mistake import Mistake
from harness.parity.parity import Parity
from harness.parity.section import tensor_words
from harness.parity.verdict import UNDECIDED, ParityOutcome
from harness.recordings.judgement import RecordedParity

_METHOD = (
    "Every step is judged from the recording's own weights before it, so that errors cannot pile up and "
    "chaos does not matter: what the float64 reference makes of them is held against what the training "
    "made of them. What may be off is what round-off does to such a step, measured on twins of the "
    "reference whose every result is perturbed in its last place. Where weights were kept rarely, that "
    "holds from one kept state to the next."
)
_COLUMNS = 4  # of what is around recordings, at most
_STAGES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("initial weights", ("initial",), ""),
    ("data", ("rows", "targets"), "a^0 = x, t the targets of the same rows"),
    ("forward pass", ("z", "a", "output"), "z^l = a^(l-1) W^l + b^l, a^l = f(z^l)"),
    ("cost", ("cross-entropy",), "delta^L = (a^L - t) / n for n rows"),
    ("penalty", ("penalty",), "C has lmbd / 2 ||W^l||^2 for every W^l, nothing for b^l"),
    (
        "gradients",
        ("dW", "db"),
        "delta^l = (delta^(l+1) W^(l+1)^T) f'(z^l), dC/dW^l = a^(l-1)^T delta^l, dC/db^l = sum of delta^l",
    ),
    ("update", ("W", "b"), "theta := theta - eta dC/dtheta, or the optimiser's rule"),
)


def recorded_headline(parity: RecordedParity) -> str:
    """The verdict in one sentence."""
    name, steps = parity.name, count(parity.looked_at, "step")
    if parity.outcome == ParityOutcome.NOT_COMPARABLE:
        return f"{name}: nothing comparable: {parity.reason}."
    if not parity.step:
        how = f"with at most {parity.share:.2g} of what round-off allows"
        return f"{name}: right: each of {steps} is the one that the float64 reference takes, {how}."
    where = f"step {parity.step}, first in {tensor_words(parity.tensor)}"
    why = parity.explanation
    if why is None:
        return (
            f"{name}: not the reference's steps, from {where} (inferred); no mistake that was tried "
            "accounts for it."
        )
    if parity.agrees:
        return f"{name}: right but for a known rounding: {why.words}."
    return f"{name}: another objective, from {where}: {why.words}."


def recorded_points(parity: RecordedParity) -> list[str]:
    """What stands beside the verdict."""
    said = []
    if parity.found:
        said.append(f"nobody said it; the weights do: this is {described(parity)}")
    if parity.step and not parity.wrong_steps:
        rest = "the model's own settings tell it, in these steps round-off hides it"
        if parity.tensor.startswith("initial"):
            rest = "only the start is not"
        said.append(f"each of {count(parity.looked_at, 'step')} is the reference's: {rest}")
    elif parity.step and parity.looked_at:
        carried = ""
        if parity.carried_steps:
            more = count(parity.carried_steps, "step")
            carried = f", and the velocity alone carries that into {more} more"
        said.append(
            f"{count(parity.wrong_steps, 'step')} of {parity.looked_at} judged "
            f"{'is' if parity.wrong_steps == 1 else 'are'} wrong{carried}, up to {parity.size:.1e} of a "
            f"tensor's largest weight; in the first wrong one: {series(parity.wrong_tensors)}"
        )
    if parity.explanation and parity.explanation.of:
        why = parity.explanation
        said.append(
            f"with that the step's weights follow to {why.left:.1e}, where they differ by {why.of:.1e} "
            f"without; it holds in {count(why.steps, 'step')}"
        )
    names = {m.name for m in parity.explanation.mistakes} if parity.explanation else set()
    if "penalised biases" in names and parity.recording.about.get("library") == "torch":
        said.append(
            "weight_decay of a torch optimizer reaches every parameter: give the biases a group of their "
            'own, {"params": biases, "weight_decay": 0}'
        )
    differing = [one for one in parity.settings if one.differs and parity.settings_fit]
    told = [f"{s.name} {s.rounded:.6g} (said: {s.said:.6g})" for s in differing]
    if told:
        said.append(f"the weights say otherwise than the author: {series(told)}")
    return [*said, *parity.notes]


def described(parity: RecordedParity) -> str:
    """The training in words, from what its weights say."""
    rules, values = parity.rules, {one.name: one.rounded for one in parity.settings}
    training = rules.training
    kind = "Adam" if training.optimizer == "adam" else "plain SGD"
    if training.optimizer == "sgd" and training.momentum:
        nesterov = "Nesterov's momentum" if training.nesterov else "momentum"
        kind = f"SGD with {nesterov} {values.get('momentum', training.momentum):.6g}"
    penalties: dict[float, list[str]] = {}
    for name, value in values.items():
        if name.startswith("lmbd on "):
            penalties.setdefault(value, []).append(name.removeprefix("lmbd on "))
    told = [
        f"lmbd {value:.6g} on {series(names)}" if value else f"none on {series(names)}"
        for value, names in penalties.items()
    ]
    functions = series(
        list(dict.fromkeys(map(rules.activation, range(1, len(parity.recording.W)))))
    )
    network = "-".join(map(str, parity.recording.sizes))
    eta = values.get("eta", rules.eta)
    network += f" network of {functions}" if functions else " network"
    return f"{kind}, eta {eta:.6g}, {', '.join(told)}, on a {network}"


def settings_table(parity: RecordedParity) -> pd.DataFrame:
    """The effective settings with their errors beside what the author said."""
    rows = []
    for one in parity.settings:
        rows.append(
            {
                "setting": one.name,
                "the weights say": f"{one.rounded:.6g}" if one.known else "not known",
                "fitted": f"{one.value:.10g}",
                "error": f"{one.error:.1e}" if np.isfinite(one.error) else None,
                "the author says": None if one.said is None else f"{one.said:.6g}",
                "verdict": _compared(one) if parity.settings_fit else "",
            }
        )
    return pd.DataFrame(rows).astype(object)


def _compared(setting: Setting) -> str:
    if setting.said is None or not setting.known:
        return ""
    return "differs" if setting.differs else "agrees"


def _said(value: object) -> str:
    """What an author stated, without the brackets of a list or table; empty ones are nothing."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_said(one)}" for key, one in value.items()) or NOTHING
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value)) or NOTHING
    return str(value)


def recorded_sections(parity: RecordedParity) -> list[Section]:
    """The whole page on one recording."""
    about = parity.recording.about
    rows = [
        {"what": str(key), "said": _said(value)} for key, value in about.items() if key != "format"
    ]
    extra = [
        {"what": f"member {key}", "said": f"{value.dtype} {value.shape}"}
        for key, value in parity.recording.extra.items()
    ]
    own = Table(pd.DataFrame([*rows, *extra], columns=["what", "said"]))
    start = Table(initial_weights_table(parity), "Initial weights, beside the spread of Glorot's")
    title = "What the recording says of itself"
    summary = "data, network and settings as the author states them, and how the weights were drawn"
    return [recorded_section(parity), Section(title, tables=[start, own], summary=summary)]


def initial_weights_table(parity: RecordedParity) -> pd.DataFrame:
    """Mean and standard deviation of each initial tensor, what Glorot's numbers have, and laws that fit."""
    rows = []
    for name, tensor in parity.recording.weights(0).items():
        glorot = np.sqrt(2 / sum(tensor.shape)) if tensor.ndim == 2 else 0.0
        mean, spread = float(tensor.mean()), float(tensor.std())
        laws = laws_like({name: tensor}, parity.recording.about) if name[0] == "W" else []
        rows.append(
            {
                "tensor": name,
                "mean": mean,
                "standard deviation": spread,
                "Glorot": float(glorot),
                "may be drawn by": " or ".join(laws) or None,
            }
        )
    return pd.DataFrame(rows)


def recorded_section(parity: RecordedParity) -> Section:
    """The answer, and the effective settings."""
    tables = []
    if parity.settings:
        left = f"they leave {parity.left:.2g} units of round-off"
        if not parity.settings_fit:
            left += ", so these forms do not describe it"
        caption = f"Effective settings, fitted to the first steps; {left}"
        tables = [Table(settings_table(parity), caption)]
    return Section(
        f"Recording {parity.name}",
        text=[recorded_headline(parity)],
        points=[f"{point}." for point in recorded_points(parity)],
        tables=tables,
        kind="verdict" if parity.agrees else "warning",
        method=[_METHOD],
    )


# ------------------------------------------------------------------ feedback


def stage_of(tensor: str) -> str:
    """The part of a step that a tensor belongs to."""
    if tensor.startswith("penalty"):
        return "penalty"
    for stage, prefixes, _ in _STAGES:
        for prefix in prefixes:
            if tensor == prefix or (tensor.startswith(prefix) and tensor[len(prefix) :].isdigit()):
                return stage
    return "initial weights" if tensor.startswith("initial") else "gradients"


def feedback_table(parity: RecordedParity) -> pd.DataFrame:
    """What of a step is right and what not, with the equation, and without the line that mends it."""
    wrong: dict[str, list[str]] = {}
    made: tuple[Mistake, ...] = parity.explanation.mistakes if parity.explanation else ()
    for mistake in made:  # the cost's factor, which is seen in gradients, is the cost's
        tensor = "cross-entropy" if "cost" in mistake.changes else mistake.tensor
        wrong.setdefault(stage_of(tensor), []).append(tensor)
    told = bool(made) or not parity.step
    rows = []
    layers = len(parity.recording.W)
    for stage, _, equation in _STAGES:
        if stage == "initial weights" and stage not in wrong:
            continue
        parts = [stage]
        if stage == "gradients":
            parts = [f"gradients of layer {layer}" for layer in range(layers, 0, -1)]
        for part in parts:
            layer = part.rpartition(" ")[2] if stage == "gradients" else ""
            hit = [t for t in wrong.get(stage, []) if not layer or t.endswith(layer)]
            verdict = "not right" if hit else "right" if told else "cannot be told"
            if not told and layer:
                names = {f"W{layer}", f"b{layer}"}
                verdict = "not right" if names & set(parity.wrong_tensors) else "right"
            where = series([tensor_words(t) for t in hit]) if hit else ""
            rows.append({"part": part, "verdict": verdict, "look at": where, "equation": equation})
    return pd.DataFrame(rows).astype(object)


def feedback_section(parity: RecordedParity) -> Section:
    """For a student: what is right and what is not, in plain words."""
    table = feedback_table(parity)
    good = table.loc[table["verdict"] == "right", "part"].tolist()
    bad = table.loc[table["verdict"] == "not right", "part"].tolist()
    if parity.outcome == ParityOutcome.NOT_COMPARABLE:
        words = recorded_headline(parity)
    elif not parity.step or parity.agrees:
        words = f"{parity.name}: every part of every step is right."
    else:
        right = f"Right: {series(good)}. " if good else ""
        words = f"{parity.name}: {right}Not right, from step {parity.step} on: {series(bad)}."
    caption = "Part by part, with the equation that it is to follow"
    kind = "verdict" if parity.agrees else "warning"
    return Section("Feedback", text=[words], tables=[Table(table, caption)], kind=kind)  # type: ignore[arg-type]


# ------------------------------------------------------------------ several


def recordings_table(parities: Sequence[RecordedParity]) -> pd.DataFrame:
    """One line for each recording: its verdict, whose bits it has, what around it is not as around all."""
    rows: list[dict[str, Any]] = []
    differing = _differing([parity.recording for parity in parities])
    bits: dict[bytes, str] = {}
    for parity in parities:
        why = parity.explanation
        rows.append(
            {
                "recording": parity.name,
                "verdict": str(parity.outcome),
                "step": parity.step or None,
                "first in": tensor_words(parity.tensor) if parity.tensor else None,
                "because": why.words if why else parity.reason or None,
                "of allowed": f"{parity.share:.2g}",
                "same bits as": bits.setdefault(_weights_digest(parity.recording), parity.name),
                **{name: values[len(rows)] for name, values in differing.items()},
            }
        )
    table = pd.DataFrame(rows).astype(object)
    return table.drop(columns="same bits as") if len(bits) == len(rows) else table


def _weights_digest(recording: Recording) -> bytes:
    digest = hashlib.sha256()
    for tensor in (*recording.W, *recording.b):
        digest.update(f"{tensor.dtype}{tensor.shape}".encode() + tensor.tobytes())
    return digest.digest()


def _differing(recordings: Sequence[Recording]) -> dict[str, list[str]]:
    """What is around recordings and not the same in all of them, a few things at most."""
    found: dict[str, list[str]] = {}
    for key in ("library", "machine", "blas", "threads", "versions", "variables"):
        own = [recording.about.get(key) for recording in recordings]
        names = sorted({name for value in own if isinstance(value, dict) for name in value})
        columns = {key: own}
        if names:
            columns = {
                name: [value.get(name) if isinstance(value, dict) else None for value in own]
                for name in names
            }
        for name, values in columns.items():
            told = [", ".join(v) if isinstance(v, list) else str(v or "not said") for v in values]
            if len(set(told)) > 1 and len(found) < _COLUMNS:
                found[name] = told
    return found


def recordings_section(parities: Sequence[RecordedParity], feedback: bool = False) -> Section:
    """A table of several recordings."""
    right = sum(parity.agrees for parity in parities)
    table = recordings_table(parities)
    if feedback:
        parts = [feedback_table(parity) for parity in parities]
        table = table[["recording", "verdict", "step"]].copy()
        wrong = [part.loc[part["verdict"] == "not right", "part"].tolist() for part in parts]
        table["not right"] = [series(names) or None for names in wrong]
    verb = "takes" if right == 1 else "take"
    words = f"{right} of {count(len(parities), 'recording')} {verb} the reference's steps."
    kind = "verdict" if right == len(parities) else "warning"
    return Section("Recordings", text=[words], tables=[Table(table)], kind=kind)  # type: ignore[arg-type]


# ------------------------------------------------------------------ formats


def recorded_json(parity: RecordedParity) -> dict[str, Any]:
    """Everything about one recording."""
    why = parity.explanation
    everything = {
        "recording": parity.name,
        "path": parity.recording.path,
        "outcome": str(parity.outcome),
        "exit_code": parity.exit_code,
        "headline": recorded_headline(parity),
        "points": recorded_points(parity),
        "steps": parity.recording.steps,
        "judged": parity.looked_at,
        "wrong_steps": parity.wrong_steps,
        "carried_steps": parity.carried_steps,
        "first_step": parity.step or None,
        "first_tensor": parity.tensor or None,
        "share": parity.share,
        "size": parity.size,
        "explanation": why
        and {
            "words": why.words,
            "kind": why.kind,
            "names": [[m.name for m in made] for made in why.alternatives],
            "left": why.left,
            "of": why.of,
        },
        "settings": [
            asdict(one) | {"rounded": one.rounded, "differs": one.differs}
            for one in parity.settings
        ],
        "found": {key: value for key, value in parity.found.items() if key != "penalties"},
        "about": parity.recording.about,
        "seconds": round(parity.seconds, 3),
    }
    record: dict[str, Any] = plain(everything)
    return record


def verdict_cases(parity: Parity) -> list[tuple[str, str, int, str]]:
    """The verdicts on backends as cases of :func:`parity_junit`."""
    return [
        (
            v.backend,
            v.dtype,
            1 if v.disagrees else 3 if v.outcome in UNDECIDED else 0,
            f"{v.outcome}{': ' if v.reason else ''}{v.reason}",
        )
        for v in parity.verdicts
    ]


def parity_junit(cases: Sequence[tuple[str, str, int, str]]) -> str:
    """JUnit XML of cases (group, name, exit code, words): 1 fails, 3 is an error."""
    suite = ElementTree.Element("testsuite", {"name": "harness parity", "tests": str(len(cases))})
    counts = {"failure": 0, "error": 0}
    for group, name, code, words in cases:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"harness.parity.{group}", name=name
        )
        if code in (1, 3):
            kind = "failure" if code == 1 else "error"
            counts[kind] += 1
            ElementTree.SubElement(case, kind, message=words)
        else:
            ElementTree.SubElement(case, "system-out").text = words
    suite.set("failures", str(counts["failure"]))
    suite.set("errors", str(counts["error"]))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
