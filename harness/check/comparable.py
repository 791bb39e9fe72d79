"""Whether a run can be held against a baseline at all."""

from __future__ import annotations

from collections.abc import Sequence

from harness.check.baseline import Baseline, held_out
from harness.experiment.experiment import Experiment
from harness.results.result import Result

FREE = {"preset", "backends", "repeats", "overrides", "dataset"}  # settings that may differ
TOLD = ("python", "numpy", "scipy", "scikit-learn", "tensorflow", "keras")


def obstacles(baseline: Baseline, run: Result, backends: Sequence[str]) -> list[str]:
    """Why a run cannot be compared with a baseline; none if it can."""
    found = []
    then, now = (r.manifest["dataset"] for r in (baseline.result, run))
    if then["sha256"] != now["sha256"]:
        found.append(f"other data: {now['name']!r} is not what the baseline's {then['name']!r} was")
    elif then["split_sha256"] != now["split_sha256"]:
        found.append("another split into train, validation and test")
    else:
        own = held_out(run)
        changed = [
            r for r, digest in baseline.facts["held_out"].items() if own.get(r, digest) != digest
        ]
        if changed:
            found.append(f"other test samples in repeat {', '.join(changed)}")
    found += settings(baseline.experiment, run.experiment, backends)
    missing = sorted(set(baseline.experiment.cells) - set(run.experiment.cells))
    if missing:
        eta, lmbd = missing[0]
        found.append(
            f"another grid: {len(missing)} cells are missing, first eta {eta:g}, lmbd {lmbd:g}"
        )
    for backend in backends:
        found += _backend(baseline, run, backend)
    return found


def settings(then: Experiment, now: Experiment, backends: Sequence[str]) -> list[str]:
    """Settings that differ and change results, in words, as the baseline's -> the run's."""
    grid = {"eta", "lmbd"}  # more cells do no harm
    recipe = set(type(then.recipe(backends[0])).model_fields) if backends else set()
    differences = {
        name: values
        for name, values in then.differences(now).items()
        if name not in FREE | grid | recipe
    }
    for backend in backends:
        ours, theirs = (e.recipe(backend).model_dump() for e in (then, now))
        differences |= {k: (ours[k], theirs[k]) for k in ours if ours[k] != theirs[k]}
    return [
        f"{name}: {old!r} in the baseline, {new!r} now" for name, (old, new) in differences.items()
    ]


def _backend(baseline: Baseline, run: Result, backend: str) -> list[str]:
    if backend not in run.backends:
        return [f"{backend}: not in the run"]
    statuses = run.of(backend)["status"]
    if (statuses == "unavailable").all():
        return [f"{backend}: {run.of(backend)['reason'].iloc[0]}"]
    then = baseline.facts["networks"].get(backend)
    now = run.manifest.get("backends", {}).get(backend, {}).get("network")
    if then and now and then != now:
        return [f"{backend}: another network, {then} in the baseline, {now} now"]
    return []


def surroundings(baseline: Baseline, run: Result) -> list[str]:
    """What is not the same around the two runs, in words: versions, machine, threads."""
    then, now = baseline.result.manifest, run.manifest
    pairs = [(key, then["versions"].get(key), now.get("versions", {}).get(key)) for key in TOLD]
    pairs += [
        (k, then["machine"].get(k), now.get("machine", {}).get(k)) for k in ("platform", "cpu")
    ]
    pairs += [("threads", *(m.get("execution", {}).get("threads") for m in (then, now)))]
    return [f"{key}: {a} in the baseline, {b} now" for key, a, b in pairs if a and b and a != b]
