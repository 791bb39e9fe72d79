"""Units as tasks of a Dask cluster: an existing one, or one started on this machine for the run.

Experiment and data go out once, as a task that every unit depends on: workers hand them on to each
other, and, unlike scattered data, they come back when the workers that held them are lost. A worker that
is lost costs nothing but time, because the scheduler gives its unit to another; a unit that takes worker
after worker with it is given up by the scheduler (``distributed.scheduler.allowed-failures``) and recorded
as failed.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from backends.error_words import error_words
from backends.frameworks import set_device, set_threads
from harness.data.dataset import Dataset
from harness.errors import InputError, Unfinished
from harness.executors.job import Job
from harness.executors.processes import temporary_folder
from harness.executors.worker_server import require_main_guard, script_hidden
from harness.experiment.experiment import Experiment
from harness.training.status import Status
from harness.training.units import Unit, UnitOutcome

WORKERS_LOST = 3  # after which a unit is given up, on a cluster that is started here
CONNECT_SECONDS = 10

_one_at_a_time = (
    threading.Lock()
)  # a worker may have several threads; the frameworks' settings are global


def run_on_dask(job: Job) -> Iterator[UnitOutcome]:
    """Outcomes as units finish. ``unit_timeout`` does not hold: Dask cannot stop a running task.

    Raises :class:`~harness.errors.Unfinished` when the scheduler is lost.
    """
    from distributed import KilledWorker, as_completed

    with ExitStack() as stack:
        places = job.places
        require_main_guard(places)
        stack.enter_context(script_hidden(places))  # a lost worker may be started again at any time
        client = _client(job, stack)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            held = {id(data): data for _, data in job.given.values()}  # each once, whoever uses it
            there = {one: client.submit(_give, data, pure=False) for one, data in held.items()}
        futures = {}
        for unit in job.units:
            experiment, data = job.given[unit.point]
            given = (unit, experiment, there[id(data)], job.execution.threads, job.device)
            futures[client.submit(_work, *given, pure=False)] = unit
        stack.callback(client.cancel, list(futures))
        for future in as_completed(list(futures), loop=client.loop):
            if future.cancelled():  # by nobody here
                raise Unfinished(
                    f"the Dask scheduler {job.execution.scheduler or 'of this run'} was lost; what is "
                    "finished is kept, and the same command goes on from there, on any scheduler"
                )
            unit, error = futures[future], future.exception()
            if isinstance(error, KilledWorker):
                reason = "its worker died, again and again, until Dask gave up"
                yield UnitOutcome(unit, Status.FAILED, reason)
            elif error is not None:
                yield UnitOutcome(unit, Status.FAILED, error_words(error))
            else:
                yield future.result()
            future.release()


def check_scheduler(address: str | None) -> None:
    """Nothing; :class:`InputError` if Dask is not installed, or no scheduler answers at the address."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise InputError(
            "executor: dask is not installed; install it with: "
            "python -m pip install 'mlp-parity-harness[distributed]'"
        ) from None
    if address is None:
        return
    _connect(address).close()


def _connect(address: str) -> Any:
    """A client of the scheduler at an address; :class:`InputError` if none answers there."""
    from distributed import Client

    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"scheduler: {address!r} does not answer ({reason}); "
            "allowed: the address of a running Dask scheduler, such as tcp://127.0.0.1:8786"
        ) from None


def _client(job: Job, stack: ExitStack) -> Any:
    """A client of the given scheduler, or of a new cluster with one process for each job."""
    import dask
    from distributed import Client, LocalCluster
    from distributed.utils import silence_logging_cmgr

    address = job.execution.scheduler
    if address is not None:
        stack.enter_context(silence_logging_cmgr(logging.CRITICAL))  # said here, in one line
        return stack.enter_context(_connect(address))
    temporary = stack.enter_context(temporary_folder())
    settings = {
        "distributed.scheduler.allowed-failures": WORKERS_LOST - 1,
        "temporary-directory": temporary,
    }
    stack.enter_context(dask.config.set(settings))
    cluster = stack.enter_context(
        LocalCluster(
            n_workers=job.workers,
            threads_per_worker=1,
            dashboard_address=None,
            memory_limit=0,
            silence_logs=logging.CRITICAL,
            env={"TMPDIR": temporary},
        )
    )
    return stack.enter_context(Client(cluster, set_as_default=False))


def _give(dataset: Dataset) -> Dataset:
    return dataset


def _work(
    unit: Unit, experiment: Experiment, dataset: Dataset, threads: int, device: str
) -> UnitOutcome:
    set_threads(threads)
    set_device(device)
    from threadpoolctl import threadpool_limits

    from harness.training.run_unit import run_unit

    with _one_at_a_time, threadpool_limits(threads):
        return run_unit(unit, experiment, dataset)
