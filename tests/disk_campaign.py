"""A campaign against what lies on disk: kills, damage, foreign files, concurrency. Not tests.

Every trial is a small real run in a fork of this process or in processes of its own, and ends as held or with
what went wrong. ``python tests/disk_campaign.py SEED TIMES`` prints how many of each kind held; it knows
only names of the Python interface, so that it can be pointed at an older version by PYTHONPATH.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness import Execution, Experiment, load_result, run

SETTINGS: dict[str, Any] = {
    "dataset": "iris",
    "scale": "standard",
    "backends": ("numpy", "sklearn"),
    "eta": (0.01, 0.1, 1.0),
    "lmbd": (0.0, 0.01, 0.1),
    "epochs": 2,
    "batch_size": 20,
}
TABLES = ("records.parquet", "predictions.parquet", "targets.parquet", "curves.parquet")
FILES = (*TABLES, "records.csv", "disputes.parquet", "manifest.json", "experiment.toml")
SECONDS = 120  # after which a process has hung


@dataclass
class Tally:
    """Trials of one kind: how many, and what went wrong in those that did not hold."""

    tried: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, fault: str | None) -> None:
        self.tried += 1
        if fault:
            self.failures.append(fault)


@dataclass(frozen=True)
class End:
    """How a process ended: its code (negative: the signal), and all that it said."""

    code: int
    said: str

    @property
    def traceback(self) -> bool:
        return "Traceback" in self.said


class Fork:
    """A task in a copy of this process: ends with 0, or 2 where the input was refused, as the verbs do."""

    def __init__(self, task: Callable[[], object]) -> None:
        self.said = Path(tempfile.mkstemp()[1])
        self.child = os.fork()
        if not self.child:
            self._carry_out(task)

    def _carry_out(self, task: Callable[[], object]) -> None:
        out = self.said.open("w", buffering=1)
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
        sys.stdout = sys.stderr = out
        logging.getLogger().handlers.clear()  # those of who runs the tests
        code = 3
        try:
            task()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        except ValueError as error:
            code = 2 if type(error).__name__ == "InputError" else 3
            print(f"error: {error}") if code == 2 else traceback.print_exc()
        except BaseException:  # noqa: BLE001 (what it raises is what is looked for)
            traceback.print_exc()
        finally:
            out.flush()
            os._exit(code)

    def end(self) -> End:
        """How it ended; what runs too long has hung and is killed."""
        over, done, status = time.monotonic() + SECONDS, 0, 0
        while not done and time.monotonic() < over:
            done, status = os.waitpid(self.child, os.WNOHANG)
            time.sleep(0.002)
        if not done:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
        said = self.said.read_text("utf-8", "replace")
        self.said.unlink()
        return End(os.waitstatus_to_exitcode(status), said) if done else End(-1, "hung")


def in_fork(task: Callable[[], object]) -> End:
    """Carry a task out in a copy of this process."""
    return Fork(task).end()


def command(folder: Path, *arguments: str) -> None:
    """The command line in a folder, in this process."""
    from harness.__main__ import main

    os.chdir(folder)
    sys.argv = ["harness", *arguments]
    main()


def train(output: Path, *, fresh: bool = False, **settings: Any) -> None:
    """A run into ``output``/run, in this process."""
    execution = Execution(executor="serial", output=str(output), name="run", fresh=fresh)
    run(Experiment(**(SETTINGS | settings)), execution)


def content(folder: Path) -> str:
    """A hash of the numbers of a run: its tables without the seconds."""
    digest = hashlib.sha256()
    for name in TABLES:
        frame = pq.read_table(folder / name).to_pandas().drop(columns="seconds", errors="ignore")
        digest.update(frame.to_json(double_precision=15).encode())
    return digest.hexdigest()


def flip(file: Path, rng: random.Random) -> str:
    """Turn one bit of a file over; which one."""
    data = bytearray(file.read_bytes())
    bit = rng.randrange(8 * len(data))
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(bytes(data))
    return f"bit {bit} of {file.name}"


class Campaign:
    """Runs to damage, and the trials."""

    def __init__(self, home: Path, seed: int, times: int = 1) -> None:
        self.home, self.rng, self.times = home, random.Random(seed), times
        self.number = 0
        train(home / "clean")  # in this process: what it imports, every fork has
        in_fork(lambda: train(home / "more", repeats=3))
        self.clean, self.more = home / "clean" / "run", home / "more" / "run"
        self.wanted = {1: content(self.clean), 3: content(self.more)}

    def copy(self, of: Path) -> Path:
        """A copy of a run to damage: the folder above ``run``."""
        self.number += 1
        place = self.home / f"trial-{self.number}"
        shutil.copytree(of, place / "run")
        return place

    def trials(self, count: int) -> Iterator[int]:
        yield from range(count * self.times)

    # kills

    def kills(self) -> Tally:
        """A run that is killed at any of its files, begun anew or extended: the same bytes in the end."""
        tally = Tally()
        for _ in self.trials(8):
            extended, at = self.rng.random() < 0.5, self.rng.randrange(1, 12)
            after, call = self.rng.random() < 0.5, self.rng.choice(["replace", "fsync"])
            place = self.copy(self.clean) if extended else self.home / f"kill-{self.number}"
            self.number += 1
            repeats = 3 if extended else 1
            end = in_fork(lambda: killed(call, at, after, lambda: train(place, repeats=repeats)))  # noqa: B023
            what = f"{'extended' if extended else 'new'} run killed at {call} {at} ({end.code})"
            read = in_fork(lambda: load_result(str(place / "run")))  # noqa: B023
            fault = None
            if read.traceback or read.code not in (0, 2):
                fault = "the reader ended in a traceback"
            elif read.code == 0 and end.code != 0 and self.partial(place / "run"):
                fault = "an unfinished run passes for finished"
            again = in_fork(lambda: train(place, repeats=repeats))  # noqa: B023
            if again.code or again.traceback:
                fault = fault or f"the same command ended with {again.code}"
            elif content(place / "run") != self.wanted[repeats]:
                fault = fault or "other numbers in the end"
            if list((place / "run").rglob("*.tmp")):
                fault = fault or "something half written stays"
            tally.add(fault and f"{what}: {fault}")
        return tally

    def partial(self, folder: Path) -> bool:
        """Whether the records are not those of experiment.toml."""
        rows = pq.read_table(folder / "records.parquet").num_rows
        lines = (folder / "experiment.toml").read_text().splitlines()
        repeats = next(int(line.split("=")[1]) for line in lines if line.startswith("repeats"))
        return rows != 2 * 9 * repeats

    # damage

    def part_bits(self) -> Tally:
        """A bit of a part turned over: trained again, with a line that names the part."""
        tally = Tally()
        for _ in self.trials(4):
            place = self.copy(self.clean)
            parts = sorted((place / "run" / "parts").glob("*.parquet"))
            self.trained_again(tally, place, {part: flip(part, self.rng) for part in parts})
        return tally

    def changed_parts(self) -> Tally:
        """A part that is cut short, empty, another's, or says other things: trained again and named."""
        tally, names = Tally(), list(PART_CHANGES)
        for first in range(0, len(names), 3):
            place = self.copy(self.clean)
            parts = sorted((place / "run" / "parts").glob("*.parquet"))
            whole = [part.read_bytes() for part in parts]
            changed = dict(zip(parts, names[first : first + 3], strict=False))
            for number, (part, name) in enumerate(changed.items()):
                PART_CHANGES[name](part, whole[number - 1])
            self.trained_again(tally, place, changed)
        return tally

    def trained_again(self, tally: Tally, place: Path, changed: dict[Path, str]) -> None:
        """Run again over changed parts, each with what was done to it."""
        end = in_fork(lambda: train(place))
        wrong = None
        if end.traceback or end.code:
            wrong = f"ended with {end.code} {end.said[-200:]}"
        elif content(place / "run") != self.wanted[1]:
            wrong = "other numbers, exit code 0"
        elif end.said.count("\n") > len(changed):
            wrong = f"more than a line for each: {end.said}"
        for part, what in changed.items():
            silent = None if part.name in end.said else "nothing is said"
            fault = wrong or silent
            tally.add(fault and f"{what}: {fault}")

    def file_bits(self) -> Tally:
        """A bit of a table, of the manifest or the experiment turned over: refused, the file named."""
        tally = Tally()
        for number in self.trials(64):
            place = self.copy(self.clean)
            file = place / "run" / FILES[number % len(FILES)]
            tally.add(self.refused(place, file, flip(file, self.rng)))
            shutil.rmtree(place)
        return tally

    def changed_files(self) -> Tally:
        """A file of a run that is cut short, empty, lost, another run's: refused, the file named."""
        tally = Tally()
        for name in FILES:
            for how, change in FILE_CHANGES.items():
                place = self.copy(self.clean)
                whole = (place / "run" / name).read_bytes()
                change(place / "run" / name, self.more / name)
                if (place / "run" / name).exists() and (place / "run" / name).read_bytes() == whole:
                    continue
                tally.add(self.refused(place, place / "run" / name, f"{name} {how}"))
                shutil.rmtree(place)
        return tally

    def refused(self, place: Path, file: Path, what: str) -> str | None:
        end = in_fork(lambda: load_result(str(place / "run")))
        if end.traceback or end.code not in (0, 2):
            return f"{what}: ended with {end.code} {end.said[-200:]}"
        if end.code == 0:
            return f"{what}: nothing is said"
        named = file.name in end.said or file.stem in end.said
        if end.said.count("\n") > 1 or not named:
            return f"{what}: the file is not named in a line: {end.said}"
        return None

    def mended(self) -> Tally:
        """Damaged tables and manifest: the same command again puts them right."""
        tally, names = Tally(), [name for name in FILES if name != "experiment.toml"]
        for number in self.trials(4):
            place = self.copy(self.clean)
            damaged = names[2 * number % len(names) :][:2]
            what = [flip(place / "run" / name, self.rng) for name in damaged]
            end = in_fork(lambda: train(place))  # noqa: B023
            read = in_fork(lambda: load_result(str(place / "run")))  # noqa: B023
            right = not end.code and not read.code and content(place / "run") == self.wanted[1]
            tally.add(None if right else f"{what}: not mended: {end.said[-200:]}{read.said}")
        return tally

    def baseline_bits(self) -> Tally:
        """A bit of a baseline turned over: refused, the file named."""
        tally = Tally()
        save, load = baseline_functions()
        home = self.home / "baselines"
        in_fork(lambda: train(self.home / "four", repeats=4))
        save(load_result(str(self.home / "four" / "run")), "kept", str(home))
        files = sorted(path.name for path in (home / "kept").iterdir())
        for number in self.trials(36):
            there = self.home / f"baselines-{number}"
            shutil.copytree(home, there)
            file = there / "kept" / files[number % len(files)]
            what = flip(file, self.rng)
            end = in_fork(lambda: load("kept", str(there)))  # noqa: B023
            fault = None
            if end.traceback or end.code not in (0, 2):
                fault = f"ended with {end.code} {end.said[-200:]}"
            elif end.code == 0:
                fault = "nothing is said"
            elif end.said.count("\n") > 1 or not ("kept" in end.said or file.name in end.said):
                fault = f"not named in a line: {end.said}"
            tally.add(fault and f"{what}: {fault}")
            shutil.rmtree(there)
        return tally

    # foreign files

    def foreign_files(self) -> Tally:
        """Whatever somebody keeps in a folder that a run is told to use is there afterwards."""
        tally = Tally()
        mine = [
            "thesis.tex",
            "report.md",
            "parts/notes.txt",
            "figures/photo.png",
            "experiment.toml",
        ]
        mine += ["records.csv", "compare/mine.txt", "x.parquet", ".hidden", "notes.tmp"]
        for number in self.trials(8):
            in_run, fresh = number % 2 == 1, number // 2 % 2 == 1
            place = self.copy(self.clean) if in_run else self.home / f"foreign-{self.number}"
            self.number += 1
            kept = {}
            for name in self.rng.sample(mine, 4):
                file = place / "run" / name
                if not file.exists():
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text("seed = 1\n")
                    kept[file] = b"seed = 1\n"
            if in_run:  # what a run has written is not somebody's
                kept = {f: c for f, c in kept.items() if f.name not in ("report.md", "records.csv")}
            settings = {"epochs": 3} if fresh else {}
            end = in_fork(lambda: train(place, fresh=fresh, **settings))  # noqa: B023
            lost = [f.name for f, c in kept.items() if not f.exists() or f.read_bytes() != c]
            fault = f"lost {', '.join(lost)}" if lost else None
            if end.traceback or end.code not in (0, 2):
                fault = f"ended with {end.code} {end.said[-200:]}"
            what = f"{'a run' if in_run else 'no run'}, {'--fresh' if fresh else ''} {[*map(str, kept)]}"
            tally.add(fault and f"{what}: {fault}")
        return tally

    # several at once

    def at_once(self) -> Tally:
        """Two runs and a report into one folder: one after the other or refused, and whole in the end."""
        tally = Tally()
        common = [
            "--dataset",
            "iris",
            "--scale",
            "standard",
            "--backend",
            "numpy",
            "--eta",
            "0.1,1",
        ]
        common += [
            "--lmbd",
            "0",
            "--output",
            ".",
            "--name",
            "run",
            "--executor",
            "serial",
            "--fresh",
        ]
        for _ in self.trials(1):
            self.number += 1
            place = self.home / f"both-{self.number}"
            place.mkdir()
            one = Fork(lambda: command(place, "run", *common, "--epochs", "300"))  # noqa: B023
            waited = time.monotonic() + SECONDS
            while not (place / "run" / "experiment.toml").exists() and time.monotonic() < waited:
                time.sleep(0.002)
            others = [
                Fork(lambda: command(place, "run", *common, "--epochs", "5")),  # noqa: B023
                Fork(lambda: command(place, "report", "run")),  # noqa: B023
            ]
            late = []
            while not (place / "run" / "records.parquet").exists() and time.monotonic() < waited:
                time.sleep(0.002)
            late += [Fork(lambda: command(place, "run", *common, "--epochs", "5"))]  # noqa: B023
            ends = [fork.end() for fork in (one, *others, *late)]
            fault = None
            if any(end.traceback or end.code not in (0, 2) for end in ends):
                fault = " / ".join(f"{end.code} {end.said[-300:]}" for end in ends)
            elif in_fork(lambda: load_result(str(place / "run"))).code:  # noqa: B023
                fault = "not whole in the end"
            else:
                lines = (place / "run" / "experiment.toml").read_text().splitlines()
                epochs = next(line for line in lines if line.startswith("epochs")).split("=")[1]
                if (
                    f"| epochs | {epochs.strip()} |"
                    not in (place / "run" / "report.md").read_text()
                ):
                    fault = "the report is another run's"
            tally.add(fault)
        return tally

    # command lines

    def command_lines(self) -> Tally:
        """Places that cannot be: exit code 2, one line, nothing left behind."""
        tally = Tally()
        work = [
            "--dataset",
            "iris",
            "--backend",
            "numpy",
            "--eta",
            "0.1",
            "--lmbd",
            "0",
            "--epochs",
            "1",
        ]
        lines = [
            ["run", *work, "--output", ""],
            ["run", *work, "--output", "memory://runs"],
            ["run", *work, "--output", "nosuch://runs"],
            ["run", *work, "--name", "../out"],
            ["run", *work[:-2], "--executor", "dask", "--scheduler", "tcp://127.0.0.1:9"],
            ["run", "--dataset", "nosuch", "--tensorboard", "tb"],
            ["run", "--backend", "numpyy:Mine"],
            ["run", "--backend", "json:Backend"],
            ["report", "nosuch://x/y"],
            ["check", "--baseline", "../../etc", "--folder", "."],
        ]
        forks = []
        for number, line in enumerate(lines):
            place = self.home / f"line-{number}"
            place.mkdir()
            forks.append((line, place, Fork(lambda: command(place, *line))))  # noqa: B023
        for line, place, fork in forks:
            end = fork.end()
            fault = None
            if end.code != 2 or end.traceback or end.said.count("\n") > 2:
                fault = f"{end.code} {end.said[-300:]}"
            elif any(place.iterdir()) or (self.home / "out").exists():
                fault = f"left behind: {[path.name for path in place.iterdir()]}"
            tally.add(fault and f"{' '.join(line)}: {fault}")
        return tally


def killed(call: str, at: int, after: bool, task: Callable[[], None]) -> None:
    """Carry a task out, ended by SIGKILL before or after the ``at``-th call of a function of ``os``."""
    real, calls = getattr(os, call), [0]

    def counted(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == at and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments)
        if calls[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(os, call, counted)
    task()


def edited(column: str, value: Any) -> Callable[[Path, bytes], None]:
    """A change that writes one value into a whole column of a part, in a file that is a right one."""

    def change(part: Path, other: bytes) -> None:
        table = pq.read_table(part)
        old = table.column(column)
        if pa.types.is_list(old.type):
            values = pa.array([[value] * len(row) for row in old.to_pylist()], old.type)
        else:
            values = pa.array([value] * len(old), old.type)
        pq.write_table(replaced(table, column, values), part)

    return change


def replaced(table: pa.Table, column: str, values: Any) -> pa.Table:
    place = table.schema.get_field_index(column)
    return table.set_column(place, table.schema.field(place), values)


def doubled_eta(part: Path, other: bytes) -> None:
    table = pq.read_table(part)
    pq.write_table(replaced(table, "eta", pc.multiply(table.column("eta"), 2.0)), part)


def of_table(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path, bytes], None]:
    """A change of a part's table, in a file that is a right one."""
    return lambda part, other: pq.write_table(change(pq.read_table(part)), part)


PART_CHANGES: dict[str, Callable[[Path, bytes], Any]] = {
    "accuracy 7": edited("test_accuracy", 7.0),
    "accuracy 0.5": edited("test_accuracy", 0.5),
    "labels 0": edited("predicted", 0),
    "status failed": edited("status", "failed"),
    "eta doubled": doubled_eta,
    "no rows": of_table(lambda table: table.slice(0, 0)),
    "a row less": of_table(lambda table: table.slice(1)),
    "no columns": of_table(lambda table: table.select([])),
    "no metadata": of_table(lambda table: table.replace_schema_metadata(None)),
    "another's": lambda part, other: part.write_bytes(other),
    "cut": lambda part, other: part.write_bytes(part.read_bytes()[:-7]),
    "empty": lambda part, other: part.write_bytes(b""),
    "text": lambda part, other: part.write_bytes(b"PAR1" + b"x" * 300 + b"PAR1"),
    "longer": lambda part, other: part.write_bytes(part.read_bytes() * 2),
}
FILE_CHANGES: dict[str, Callable[[Path, Path], Any]] = {
    "cut": lambda file, other: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "empty": lambda file, other: file.write_bytes(b""),
    "noise": lambda file, other: file.write_bytes(bytes(range(256)) * 4),
    "lost": lambda file, other: file.unlink(),
    "another run's": lambda file, other: shutil.copy(other, file),
}
KINDS = (
    "kills",
    "part_bits",
    "changed_parts",
    "file_bits",
    "changed_files",
    "mended",
    "baseline_bits",
    "foreign_files",
    "at_once",
    "command_lines",
)


def baseline_functions() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """How a baseline is saved and loaded, here or in an older version."""
    for name in ("harness.check.baseline", "harness.baseline"):
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            if hasattr(module, "save_baseline"):
                return module.save_baseline, module.load_baseline
            return module.save, module.load
    raise ImportError("no baselines")


if __name__ == "__main__":
    seed, times = int(sys.argv[1]), int(sys.argv[2])
    # no TemporaryDirectory, which every fork would remove when it ends
    folder = tempfile.mkdtemp(prefix="campaign-")
    try:
        campaign = Campaign(Path(folder), seed, times)
        figures = {}
        for kind in KINDS:
            began = time.monotonic()
            tally = getattr(campaign, kind)()
            figures[kind] = (tally.tried, tally.tried - len(tally.failures), len(tally.failures))
            print(kind, *figures[kind], f"{time.monotonic() - began:.1f} s", flush=True)
            for failure in tally.failures[:4]:
                print("   ", " ".join(failure.split())[:300])
        print(json.dumps(figures))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
