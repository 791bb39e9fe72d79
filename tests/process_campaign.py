"""Misbehaving plug-ins, signals at random moments, environments and bad command lines, on any checkout.

    python tests/process_campaign.py [--root CHECKOUT] [--seed N] [--cases N] [--kind KIND]

tries so many cases of each kind and prints how many held, and what failed. A case holds where the command
ends in time, with an exit code that is documented and fits, without a traceback, and not without a word.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil

TESTS = Path(__file__).parent
sys.path.insert(0, str(TESTS))
LIMIT = 60.0  # seconds of a command, on a machine that others use as well
LET_GO = 15.0  # seconds after a signal
SMALL = "--dataset iris --scale standard --hidden 6 --eta 0.01,0.1 --lmbd 0,0.1 --epochs 3"


@dataclass(frozen=True)
class Tried:
    """One case, and what was wrong with it, if anything."""

    kind: str
    name: str
    fault: str


@dataclass
class Campaign:
    """Where the cases run: a checkout, a folder for what they write."""

    root: Path
    folder: Path
    seed: int
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        plugins = self.folder / "plugins"
        plugins.mkdir(parents=True)
        (plugins / "rogues.py").write_text((TESTS / "rogues.py").read_text("utf-8"), "utf-8")
        import rogues

        for name, text in rogues.LOADING.items():
            (plugins / f"rogue_{name}.py").write_text(text, "utf-8")
        # says that the interpreter has started, and that this program's own code begins
        (plugins / "sitecustomize.py").write_text(
            "import os\nif 'BEGUN' in os.environ: open(os.environ.pop('BEGUN'), 'w').close()\n"
        )
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "HARNESS"))},
            "PYTHONPATH": os.pathsep.join([str(self.root), str(plugins)]),
            "HARNESS_LOAD_SECONDS": "8",
            "MPLCONFIGDIR": str(self.folder / "matplotlib"),
        }

    def words(self, verb: str, *rest: str) -> list[str]:
        return [sys.executable, "-m", "harness", *shlex.split(verb), *rest]

    def fresh(self, name: str) -> Path:
        """A new folder for one case."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    def start(self, command: list[str], **settings) -> subprocess.Popen[str]:
        settings = {"env": self.environment, "cwd": self.folder} | settings
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_as_from_a_terminal,
            **settings,
        )

    def end(self, process: subprocess.Popen[str], limit: float = LIMIT) -> tuple[int | None, str]:
        """Exit code, None for a hang, and all output; nothing of it is left running."""
        try:
            out, err = process.communicate(timeout=limit)
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            code = None
            _kill_session(process.pid)
            out, err = process.communicate()
        _kill_session(process.pid)
        return code, out + err


def _as_from_a_terminal() -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _session(leader: int) -> list[psutil.Process]:
    alive = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
        except (psutil.Error, OSError):
            continue
    return alive


def _kill_session(leader: int) -> None:
    for process in _session(leader):
        try:
            process.kill()
        except psutil.Error:
            continue


def fault_of(code: int | None, output: str, codes: tuple[int, ...], words: str = "") -> str:
    """What is wrong with how a command ended, if anything."""
    if code is None:
        return "hangs"
    if "Traceback (most recent call last)" in output:
        return f"traceback (exit code {code}): {output.strip().splitlines()[-1][:150]}"
    if code not in codes:
        last = output.strip().splitlines()[-1:] or ["no word"]
        return f"exit code {code}: {last[0][:150]}"
    if not re.search(words or r"\S", output):
        return f"silent: exit code {code}, {words!r} is not said"
    return ""


def plugins(campaign: Campaign, number: int) -> Iterator[Tried]:
    """Every plug-in beside a backend that behaves, in a run, in parity and in a list."""
    import rogues

    names = [f"rogues:{name}" for name in rogues.TRAINING]
    names += [f"rogue_{name}:Rogue" for name in rogues.LOADING] + ["rogues:Typpo", "nowhere:Rogue"]
    tasks = [(verb, name) for name in names for verb in ("run", "serial", "parity")]
    tasks += [("list", f"rogue_{name}:Rogue") for name in rogues.LOADING]
    rng = random.Random(campaign.seed)
    rng.shuffle(tasks)
    clean = None
    for verb, name in tasks[:number]:
        if verb == "serial" and name in ("rogues:Crashes", "rogues:Killed", "rogues:LeavesFiles"):
            continue  # nothing could outlive that in its own process
        if verb == "parity" and name in ("rogues:Crashes", "rogues:Killed", "rogues:LeavesFiles"):
            continue
        if clean is None:
            clean = _numpy_rows(campaign, "numpy", "run")[2]
        if verb == "list":
            yield Tried("plug-ins", f"list {name}", _listed(campaign, name))
            continue
        misspelt = name in ("rogues:Typpo", "nowhere:Rogue", "rogue_empty:Rogue")
        well = name.removeprefix("rogues:") in rogues.WELL
        codes = (2,) if misspelt else (0,) if well else (3,)
        if verb == "parity":
            command = campaign.words(f"parity --backend numpy,{name} {SMALL} --output")
            process = campaign.start([*command, str(campaign.fresh("parity"))])
            code, output = campaign.end(process)
            # what it gives back may be told as a verdict against it
            kinder = (0, 1, 3) if well or name == "rogues:Forces" else codes
            yield Tried(
                "plug-ins",
                f"parity {name}",
                fault_of(code, output, kinder, "" if misspelt else "numpy"),
            )
            continue
        code, output, rows = _numpy_rows(campaign, f"numpy,{name}", verb)
        fault = fault_of(code, output, codes, re.escape(name.split(":")[1]))
        if not fault and not misspelt and not rows.equals(clean):
            fault = "numpy's numbers are other ones"
        yield Tried("plug-ins", f"{verb} {name}", fault)


def _numpy_rows(
    campaign: Campaign, backends: str, how: str
) -> tuple[int | None, str, pd.DataFrame]:
    """Exit code and output of a run, and numpy's rows of its records."""
    place = campaign.fresh("run")
    how = "--executor serial" if how == "serial" else "--jobs 1"
    command = campaign.words(f"run --backend {backends} {SMALL} {how} --name run --output")
    code, output = campaign.end(campaign.start([*command, str(place)]))
    records = place / "run" / "records.csv"
    rows = pd.read_csv(records) if records.exists() else pd.DataFrame({"backend": []})
    columns = [column for column in rows.columns if column not in ("seconds", "reason")]
    return code, output, rows.loc[rows["backend"] == "numpy", columns].reset_index(drop=True)


def _listed(campaign: Campaign, name: str) -> str:
    """What is wrong with a list in which an installed package offers a plug-in of this name."""
    place = campaign.fresh("site")
    info = place / "offered-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[harness.backends]\noffered = {name}\n")
    path = os.pathsep.join([campaign.environment["PYTHONPATH"], str(place)])
    environment = campaign.environment | {"PYTHONPATH": path}
    process = campaign.start(campaign.words("list"), env=environment)
    code, output = campaign.end(process)
    return fault_of(code, output, (0,), "offered.*unavailable")


def signals(campaign: Campaign, number: int) -> Iterator[Tried]:
    """Signals at random moments, to the command alone or to all of its processes, once or six times."""
    rng = random.Random(campaign.seed + 1)
    done = campaign.fresh("done")
    made = campaign.words(f"run --backend numpy,sklearn {SMALL} --jobs 2 --name run --output")
    campaign.end(campaign.start([*made, str(done)]))
    folder = str(done / "run")
    long = "--dataset digits --hidden 40 --epochs 400 --eta 0.01,0.1,1 --lmbd 0,0.1"
    verbs: list[tuple[str, float]] = [
        (f"run --backend numpy,sklearn {long} --jobs 2 --name run --output {{}}", 6),
        (f"run --backend numpy,sklearn {long} --executor serial --name run --output {{}}", 6),
        (f"parity --backend numpy,sklearn {long} --output {{}}", 6),
        (f"parity --backend numpy,sklearn {long} --quiet --json --output {{}}", 6),
        (f"report {folder} --output {{}}", 4),
        (f"compare {folder} --output {{}}", 4),
        ("run --backend all --dataset digits --output {}", 6),
        ("list", 1),
    ]
    for _ in range(number):
        verb, most = rng.choice(verbs)
        moment = rng.choice([0.0, rng.random() * 0.5, rng.random() * most])
        which = rng.choice([signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        times, group = rng.choice([1, 6]), rng.random() < 0.5
        place = campaign.fresh("stopped")
        marker = place / "begun"
        process = campaign.start(
            campaign.words(verb.format(place)),
            env=campaign.environment | {"BEGUN": str(marker)},
        )
        _wait_until(lambda marker=marker: marker.exists())
        _wait_until(lambda process=process: _heeds_sigterm(process.pid), 0.5)
        time.sleep(moment)
        for _ in range(times):
            try:
                (os.killpg if group else os.kill)(process.pid, which)
            except ProcessLookupError:
                break
            time.sleep(0.03)
        begun = time.monotonic()
        try:
            process.wait(LET_GO)
            left = _left_running(process.pid)
        except subprocess.TimeoutExpired:
            left = ""
        code, output = campaign.end(process, max(1.0, LET_GO - (time.monotonic() - begun)))
        fault = fault_of(code, output, (0, 3), "" if code == 3 else r"\A")
        if not fault and code == 3 and output.count("stopped") != 1:
            fault = f"said {output.count('stopped')} times that it was stopped"
        name = f"{which.name} x {times}{' to all' if group else ''} after {moment:.2f} s: {verb}"
        yield Tried("signals", name, fault or left)


def _wait_until(true: Callable[[], bool], limit: float = LIMIT) -> None:
    end = time.monotonic() + limit
    while not true() and time.monotonic() < end:
        time.sleep(0.005)


def _heeds_sigterm(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    caught = re.search(r"SigCgt:\s*(\w+)", status)
    return bool(caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def _left_running(leader: int) -> str:
    """The processes that outlive a command by seconds."""
    _wait_until(lambda: not _session(leader), 5)
    return f"{len(_session(leader))} processes left running" if _session(leader) else ""


RUN = f"run --backend numpy,sklearn {SMALL} --name run --output {{place}}"
# by name: a command of the shell, where {h} is the program and {place} a folder, and the exit codes that fit
ENVIRONMENTS: dict[str, tuple[str, tuple[int, ...]]] = {
    "run | head -1": (f"{{h}} {RUN} | head -1; exit ${{{{PIPESTATUS[0]}}}}", (0,)),
    "list | head -1": ("{h} list | head -1; exit ${{PIPESTATUS[0]}}", (0,)),
    "list | true": ("{h} list | true; exit ${{PIPESTATUS[0]}}", (0,)),
    "run | true": (f"{{h}} {RUN} | true; exit ${{{{PIPESTATUS[0]}}}}", (0,)),
    "run 2>&1 | true": (f"{{h}} {RUN} 2>&1 | true; exit ${{{{PIPESTATUS[0]}}}}", (0,)),
    "help | true": ("{h} run --help | true; exit ${{PIPESTATUS[0]}}", (0,)),
    "wrong | true": ("{h} run --nosuch 2>&1 | true; exit ${{PIPESTATUS[0]}}", (2,)),
    "run >&-": (f"{{h}} {RUN} >&-", (0,)),
    "run 2>&-": (f"{{h}} {RUN} 2>&-", (0,)),
    "run >&- 2>&- <&-": (f"{{h}} {RUN} >&- 2>&- <&-", (0,)),
    "list >&-": ("{h} list >&-", (0,)),
    "list > /dev/full": ("{h} list > /dev/full", (0,)),
    "run > /dev/full": (f"{{h}} {RUN} > /dev/full", (0,)),
    "run 2> /dev/full": (f"{{h}} {RUN} 2> /dev/full", (0,)),
    "parity | true": (
        f"{{h}} parity --backend numpy {SMALL} --output {{place}} | true; exit ${{{{PIPESTATUS[0]}}}}",
        (0,),
    ),
    "C locale": (f"LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {{h}} {RUN}", (0,)),
    "ASCII": (f"PYTHONIOENCODING=ascii {{h}} {RUN}", (0,)),
    "ASCII list": ("PYTHONIOENCODING=ascii {h} list", (0,)),
    "ASCII parity": (
        f"PYTHONIOENCODING=ascii {{h}} parity --backend numpy {SMALL} --output {{place}}",
        (0,),
    ),
    "latin": (f"PYTHONIOENCODING=latin-1 {{h}} {RUN}", (0,)),
    "ulimit -n 64": (f"ulimit -n 64; {{h}} {RUN}", (0,)),
    "ulimit -n 64 parity": (
        f"ulimit -n 64; {{h}} parity --backend numpy {SMALL} --output {{place}}",
        (0,),
    ),
    "ulimit -n 20": (f"ulimit -n 20; {{h}} {RUN} --jobs 8", (0, 2, 3)),
    "ulimit -n 12": (f"ulimit -n 12; {{h}} {RUN}", (0, 2, 3)),
    "no HOME": (f"env -u HOME {{h}} {RUN}", (0,)),
    "HOME is nowhere": (f"HOME=/nowhere/at/all {{h}} {RUN}", (0,)),
    "HOME and MPLCONFIGDIR": (f"env -u MPLCONFIGDIR HOME=/dev/null {{h}} {RUN}", (0,)),
    "TMPDIR is nowhere": (f"TMPDIR=/nowhere {{h}} {RUN}", (0,)),
    "empty environment": (
        f"env -i PYTHONPATH=$PYTHONPATH {{h}} {RUN}",
        (0,),
    ),
    "TERM=dumb": (f"TERM=dumb COLUMNS=1 {{h}} {RUN}", (0,)),
    "odd COLUMNS": (f"COLUMNS=wide LINES=-1 {{h}} {RUN}", (0,)),
    "FORCE_COLOR": (f"FORCE_COLOR=1 {{h}} {RUN}", (0,)),
    "PYTHONOPTIMIZE": (f"PYTHONOPTIMIZE=2 {{h}} {RUN}", (0,)),
    "PYTHONUNBUFFERED": (f"PYTHONUNBUFFERED=1 {{h}} {RUN} | head -1", (0,)),
    "MPLBACKEND": (f"MPLBACKEND=TkAgg {{h}} {RUN}", (0,)),
    "KERAS_BACKEND": (f"KERAS_BACKEND=jax {{h}} {RUN}", (0,)),
    "OMP_NUM_THREADS": (f"OMP_NUM_THREADS=many {{h}} {RUN}", (0,)),
    "nohup": (f"nohup {{h}} {RUN}", (0,)),
    "deleted folder": (
        f"mkdir {{place}}/gone; cd {{place}}/gone; rmdir ../gone; {{h}} {RUN}",
        (0, 2),
    ),
    "dead scheduler": (
        f"{{h}} {RUN} --executor dask --scheduler tcp://127.0.0.1:9",
        (2,),
    ),
    "output is a file": (f"{{h}} run --backend numpy {SMALL} --output /dev/null", (2,)),
}


def environments(campaign: Campaign, number: int) -> Iterator[Tried]:
    """Streams, encodings, limits and variables as they are elsewhere."""
    names = sorted(ENVIRONMENTS)
    random.Random(campaign.seed + 2).shuffle(names)
    for name in names[:number]:
        text, codes = ENVIRONMENTS[name]
        program = shlex.join(campaign.words(""))
        script = text.format(h=program, place=shlex.quote(str(campaign.fresh("place"))))
        code, output = campaign.end(campaign.start(["bash", "-c", script]))
        quiet = re.search(r">&-|\| true|/dev/full", name)
        yield Tried("environments", name, fault_of(code, output, codes, r"\A" if quiet else ""))


GOOD = [
    f"run --backend numpy,sklearn {SMALL} --dry-run",
    "run --backend all --dataset wine --hidden 100,50 --activation tanh --optimizer adam --dry-run",
    "run --dataset iris --eta 1e-4:1e-1:4 --lmbd 0,1e-3 --dtype float64 --repeats 5 --dry-run",
    "run --preset lecture --folds 5 --jobs 2 --threads 1 --unit-timeout 3 --dry-run",
    "run --task regression --dataset diabetes --momentum 0.9 --nesterov --dry-run",
    "report {done} {done}",
    "compare {done} --margin 0.01 --alpha 0.05 --no-chaos --output {place}",
    "check --baseline small --explain --margin 0.01 --repeats 3",
    "baseline list --folder {place}",
    "baseline show small",
    "baseline save {done} --name x --folder {place}",
    "list",
]
BAD = [
    "",
    " ",
    "nan",
    "-inf",
    "-1",
    "0",
    "1e999",
    "1e20",
    "999999999999",
    "0x10",
    "1:2:3:4",
    "::",
    "a=b",
]
BAD += [
    "[",
    "[/red]",
    "$(x)",
    "--",
    "-",
    "@x",
    "../..",
    "/",
    "/dev/null",
    "ü",
    "\udcff",
    "\x1b[31m",
    "\n",
]
BAD += [
    "true",
    "None",
    "numpy,",
    ",",
    "numpy,numpy",
    "all",
    "x" * 5000,
    "--help",
    "--debug",
    "memory://x",
]
BAD += [
    "nosuch://x",
    "1e-3:1e-1:3",
    "0.01,0,01",
    "'",
    '"',
    "{}",
    "%s",
    "{0}",
    "\\",
    "run",
    "--quiet",
]


def command_lines(campaign: Campaign, number: int) -> Iterator[Tried]:
    """Good command lines with words left out, doubled, exchanged or replaced by bad ones."""
    rng = random.Random(campaign.seed + 3)
    done = campaign.fresh("done")
    made = campaign.words(f"run --backend numpy,sklearn {SMALL} --name run --output")
    campaign.end(campaign.start([*made, str(done)]))
    for _ in range(number):
        good = rng.choice(GOOD).format(done=done / "run", place=campaign.fresh("line"))
        words = shlex.split(good)
        for _ in range(rng.choice([1, 1, 2, 3])):
            k = rng.randrange(1, len(words)) if len(words) > 1 else 0
            kind = rng.choice(["leave out", "double", "replace", "replace", "insert", "garble"])
            if kind == "leave out" and len(words) > 1:
                del words[k]
            elif kind == "double":
                words.insert(k, words[k])
            elif kind == "replace":
                words[k] = rng.choice(BAD)
            elif kind == "insert":
                words.insert(k, rng.choice(BAD))
            else:
                place = rng.randrange(len(words[k]) + 1)
                words[k] = words[k][:place] + rng.choice("xü-=.,:0 ") + words[k][place + 1 :]
        if words[0] == "run" and "--dry-run" not in words:
            words.append("--dry-run")  # a line that is good after all is not to train for minutes
        command = [sys.executable, "-m", "harness", *words]
        code, output = campaign.end(campaign.start(command))
        debug = "--debug" in words
        fault = fault_of(code, output.replace("Traceback", "") if debug else output, (0, 1, 2, 3))
        errors = [line for line in output.splitlines() if line.startswith("error: ")]
        if not fault and code == 2 and len(errors) != 1 and not debug:
            fault = f"{len(errors)} lines of error"
        yield Tried("command lines", shlex.join(words)[:300], fault)


KINDS: dict[str, Callable[[Campaign, int], Iterator[Tried]]] = {
    "plug-ins": plugins,
    "signals": signals,
    "environments": environments,
    "command lines": command_lines,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=TESTS.parent)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=20, help="of each kind")
    parser.add_argument("--kind", choices=KINDS, action="append")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="campaign-") as folder:
        campaign = Campaign(given.root.resolve(), Path(folder), given.seed)
        for kind in given.kind or KINDS:
            tried = []
            for one in KINDS[kind](campaign, given.cases):
                tried.append(one)
                if one.fault:
                    print(f"  {one.name}\n    {one.fault}", flush=True)
            failed = sum(bool(one.fault) for one in tried)
            print(
                f"{kind}: tried {len(tried)}, held {len(tried) - failed}, failed {failed}",
                flush=True,
            )


if __name__ == "__main__":
    main()
