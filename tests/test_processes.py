"""A backend's faults are its own, a signal is one line and one code, and nobody asks the network."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from process_campaign import KINDS, Campaign
from test_runner import SMALL

from backends.error_words import error_words, whole_error
from backends.process_state import kept_process_state
from backends.registry import UnusableBackend, find
from harness.api import run
from harness.executors.by_name import prepare_executor
from harness.experiment.execution import Execution
from harness.parity.parity import parity
from harness.parity.verdict import ParityOutcome
from harness.results.result import load_result

ROOT = Path(__file__).parents[1]
# how many cases of each kind the suite tries; HARNESS_CAMPAIGN is a factor
CASES = {"plug-ins": 4, "signals": 3, "environments": 4, "command lines": 5}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_case_of_a_campaign_hangs_traces_back_or_is_silent(kind, tmp_path):
    campaign = Campaign(ROOT, tmp_path / "campaign", seed=1)
    factor = int(os.environ.get("HARNESS_CAMPAIGN", "1"))
    failed = [one for one in KINDS[kind](campaign, CASES[kind] * factor) if one.fault]
    assert not failed, "\n".join(f"{one.name}: {one.fault}" for one in failed)


def test_what_a_backend_raises_is_its_reason_and_whole_in_the_log(tmp_path):
    names = ("NotPickled", "NotUnicode", "NoText", "TimesOut", "Quits", "Interrupts", "Talks")
    backends = tuple(f"rogues:{name}" for name in names)
    experiment = SMALL.model_copy(update={"backends": (*backends, "numpy")})
    result = run(experiment, Execution(jobs=1, output=str(tmp_path), name="run"))
    reasons = {b: result.of(b)["reason"].iloc[0] for b in backends}
    assert {b: set(result.of(b)["status"]) for b in backends} == {b: {"failed"} for b in backends}
    assert reasons["rogues:NotPickled"] == "Local: an error of its own"
    assert reasons["rogues:NotUnicode"] == r"ValueError: \ud800 \udcff broken"
    assert reasons["rogues:NoText"] == "Mute, whose text cannot be made (SystemExit)"
    assert reasons["rogues:TimesOut"] == "TimeoutError: no message"
    assert reasons["rogues:Quits"] == "SystemExit: 0"
    assert reasons["rogues:Interrupts"] == "KeyboardInterrupt: no message"
    assert len(reasons["rogues:Talks"]) < 600
    assert "blah " * 1_000_000 in (tmp_path / "run" / "workers.log").read_text("utf-8")
    assert "ok" in set(result.of("numpy")["status"])


@pytest.mark.parametrize("name", ["Leaves", "Quits", "Interrupts", "Forces"])
def test_in_this_process_a_backend_can_neither_end_it_nor_change_its_targets(name, tmp_path):
    backend = f"rogues:{name}"
    experiment = SMALL.model_copy(update={"backends": (backend, "numpy")})
    result = run(experiment, Execution(executor="serial", output=str(tmp_path), name="run"))
    assert set(result.of(backend)["status"]) == {"failed"}
    assert set(result.of("numpy")["status"]) == {"ok", "diverged"}


def test_temporary_files_of_killed_workers_are_removed(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    prepare_executor("processes")  # whose socket lives as long as this process
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    experiment = SMALL.model_copy(update={"backends": ("rogues:LeavesFiles",)})
    given = Execution(jobs=1, output=str(tmp_path), name="run")
    assert set(run(experiment, given).records["status"]) == {"failed"}
    assert not any(temporary.iterdir())


def test_a_backend_that_never_answers_is_given_up(tmp_path, monkeypatch):
    import rogues  # noqa: F401 (before the limit is so short)

    (tmp_path / "rogue_sleeps.py").write_text("import time; time.sleep(10_000)")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HARNESS_LOAD_SECONDS", "1")
    names = ("rogues:NeverDecides", "rogues:WithASleepingLibrary")
    experiment = SMALL.model_copy(update={"backends": (*names, "numpy")})
    result = run(experiment, Execution(executor="serial", output=str(tmp_path), name="run"))
    reasons = [result.of(name)["reason"].iloc[0] for name in names]
    assert "unsupported has not come back after 1 s" in reasons[0]
    assert "its import has not come back after 1 s" in reasons[1]
    assert set(result.of("numpy")["status"]) == {"ok", "diverged"}


def test_a_backend_leaves_the_process_as_it_was(tmp_path):
    before = (dict(os.environ), os.getcwd(), list(sys.path), np.geterr(), random.getstate())
    experiment = SMALL.model_copy(update={"backends": ("rogues:TurnsTheTables", "numpy")})
    clean = run(SMALL, Execution(executor="serial", output=str(tmp_path), name="clean"))
    result = run(experiment, Execution(executor="serial", output=str(tmp_path), name="run"))
    after = (dict(os.environ), os.getcwd(), list(sys.path), np.geterr(), random.getstate())
    assert after == before
    columns = ["status", "train_loss", "test_loss"]
    own, other = (r.of("numpy")[columns].reset_index(drop=True) for r in (clean, result))
    assert own.equals(other)


def test_settings_of_a_loaded_framework_are_put_back():
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    with kept_process_state():
        torch.set_default_dtype(torch.float64)
        torch.set_float32_matmul_precision("medium")
    assert (torch.get_default_dtype(), torch.get_float32_matmul_precision()) == before


LEAVING = """
import os
import threading

from backends.process_state import NotInTime, own_thread

leave, end, threads = os._exit, threading.Event(), []


def lasting():
    threads.append(threading.current_thread())
    end.wait(60)


_, error = own_thread(lasting, 0.01)
assert isinstance(error, NotInTime), error
_, error = own_thread(lambda: os._exit(3))
assert isinstance(error, SystemExit), error
assert os._exit is not leave
child = os.fork()
if not child:  # has none of these threads
    own_thread(int)
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
end.set()
threads[0].join(60)
assert os._exit is leave
"""


def test_leaving_is_given_back_once_the_last_thread_is_done():
    """Also where one that was given up ends after another that began later."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVING], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import os; os._exit(0)", "ends the process while it loads (exit code 0)"),
        ("import time; time.sleep(1000)", "has not loaded after 3 s"),
        ("raise KeyboardInterrupt", "raises KeyboardInterrupt while it loads"),
        ("import sys; sys.exit('bye')", "cannot be imported (SystemExit: bye)"),
        ("1 / 0", "cannot be imported (ZeroDivisionError"),
        ("import no_such_library", "No module named 'no_such_library'"),
    ],
)
def test_a_plug_in_that_does_not_load_is_unusable_in_bounded_time(
    text, reason, tmp_path, monkeypatch
):
    module = f"loads_badly_{abs(hash(text))}"
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HARNESS_LOAD_SECONDS", "3" if "sleep" in text else "60")
    with pytest.raises(UnusableBackend) as refused:
        find(f"{module}:Backend")
    assert reason in refused.value.reason


@pytest.mark.parametrize("name", ["rogues:Typpo", "nowhere_at_all:Backend"])
def test_a_misspelt_place_is_no_backend_at_all(name):
    import rogues  # noqa: F401

    with pytest.raises(KeyError, match="is not known"):
        find(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("WithArguments", "cannot be made without arguments"),
        ("WithModulesInAString", "modules is 'numpy'; it must be a tuple of str"),
        ("KnowsNoVersions", "versions raises LookupError: no versions"),
        ("LooksForVersions", "has not loaded after 2 s"),
    ],
)
def test_a_class_that_is_no_backend_says_why(name, reason, monkeypatch):
    monkeypatch.setenv("HARNESS_LOAD_SECONDS", "2" if name.startswith("Looks") else "60")
    with pytest.raises(UnusableBackend) as refused:
        find(f"rogues:{name}")
    assert reason in refused.value.reason


def test_one_backends_fault_is_its_own_verdict_in_parity():
    names = ("rogues:Divides", "rogues:PredictsBadly", "rogues:CannotSay", "rogues:GivesFew")
    experiment = SMALL.model_copy(update={"backends": ("numpy", *names)})
    found = parity(experiment, check=names)
    assert {v.backend for v in found.agreeing} == {"numpy"}
    failed = {v.backend: v.reason for v in found.of(ParityOutcome.FAILED)}
    assert set(failed) == set(names)
    assert failed["rogues:Divides"].startswith("rogues.py:")
    assert "ZeroDivisionError" in failed["rogues:Divides"]
    assert failed["rogues:PredictsBadly"].startswith("rogues.py:")
    assert "the plan asks for" in failed["rogues:GivesFew"]
    assert found.exit_code == 3


def test_an_error_can_always_be_told():
    class Mute(Exception):
        def __str__(self):
            raise SystemExit

    assert error_words(Mute()) == "Mute, whose text cannot be made (SystemExit)"
    assert "Mute" in whole_error(Mute())
    assert error_words(ValueError("a\n\ud800b")) == r"ValueError: a \ud800b"
    assert len(error_words(ValueError("x" * 10**7))) < 600


# in every process of a command: whoever asks for an address that is not of this machine is written down
LISTENER = """
import os, socket
def note(what, *address):
    with open(os.environ["ASKED"], "a") as file:
        print(what, address, file=file)
ask, look = socket.socket.connect, socket.getaddrinfo
def connect(self, address):
    if self.family != socket.AF_UNIX:
        note("connect", address)
    return ask(self, address)
def getaddrinfo(host, *rest, **more):
    note("look up", host)
    return look(host, *rest, **more)
socket.socket.connect, socket.getaddrinfo = connect, getaddrinfo
"""


@pytest.mark.slow
def test_a_run_on_every_backend_asks_nobody_for_anything(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(LISTENER)
    asked = tmp_path / "asked"
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": path, "ASKED": str(asked)}
    settings = "--dataset iris --epochs 2 --eta 0.1 --lmbd 0 --hidden 4 --references"
    command = [*(sys.executable, "-m", "harness", "run", "--backend", "all", *settings.split())]
    done = subprocess.run([*command, "--output", str(tmp_path)], env=environment, check=False)
    assert done.returncode == 0
    assert not asked.exists()
    # and the listener hears
    subprocess.run(
        [sys.executable, "-c", "import socket; socket.getaddrinfo('127.0.0.1', 9)"],
        env=environment,
        check=True,
    )
    assert "127.0.0.1" in asked.read_text()


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_one_line_and_exit_code_3(which, tmp_path):
    campaign = Campaign(ROOT, tmp_path / "campaign", seed=0)
    command = campaign.words("run --backend numpy --dataset digits --epochs 3000 --output")
    process = campaign.start([*command, str(tmp_path)])
    status = Path(f"/proc/{process.pid}/status")
    for _ in range(6000):
        caught = int(status.read_text().split("SigCgt:")[1].split()[0], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            break
        time.sleep(0.01)
    for _ in range(6):
        os.kill(process.pid, which)
    code, output = campaign.end(process)
    assert (code, output.count("stopped")) == (3, 1)
    assert "Traceback" not in output


# a signal that hits a callback of Python's own, out of which no exception can come
SWALLOWED = """
import os, signal, time, weakref
from harness.cli.interruption import stop_on_signals
stop_on_signals()
class Gone: pass
gone = Gone()
kept = weakref.ref(gone, lambda _: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(1)))
try:
    del gone
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interruption_that_python_swallows_comes_again():
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


def test_nothing_is_needed_that_other_systems_lack(tmp_path):
    """All modules are imported, and an experiment is run, without fork, resource, SIGKILL and their like.

    In the process itself, and by workers that are spawned without them.
    """
    program = [sys.executable, str(ROOT / "tests" / "elsewhere_than_posix.py"), str(tmp_path)]
    ended = subprocess.run(program, capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "workers without all that: 2" in ended.stdout
    assert "in this process: ok data, such as these-fair-" in ended.stdout
    assert (tmp_path / "a run" / "report.html").exists()
    records = load_result(str(tmp_path / "a run")).records
    assert set(records["status"]) == {"ok"}
    names = [path.name for path in (tmp_path / "a run").rglob("*")]
    assert not [name for name in names if set(name) & set('<>:"\\|?*')]
