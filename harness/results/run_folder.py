"""The run folder, on a disk or behind any fsspec address.

    experiment.toml   reproduces the run            records.parquet, .csv   a row a backend x cell x repeat
    manifest.json     versions, machine, commands   predictions.parquet     test labels, row by row
    report.md, .html  what people read              curves.parquet          learning curves
    figures/          *.png, *.svg                  disputes.parquet        cells not labelled alike
    parts/            finished units of work        targets.parquet         the test samples
    .harness.json     the names of all files that the harness wrote here: it replaces and removes no others
                                                    data.parquet            data that was given in memory

Files appear whole: written beside their place and renamed (a single put on object stores). Nothing is
pickled. The manifest holds a hash of every table and of itself.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tomllib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from shlex import quote
from typing import Any

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w

from harness.errors import InputError
from harness.experiment.experiment import Experiment, experiment_kept
from harness.experiment.memory_data import DATA_FILE, MEMORY, MemoryData

MARK = ".harness.json"
# of a run, beside its figures and parts
RUN_FILES = (
    "experiment.toml",
    "manifest.json",
    "records.parquet",
    "records.csv",
    "predictions.parquet",
    "targets.parquet",
    "curves.parquet",
    "regions.parquet",
    "disputes.parquet",
    "conventions.parquet",
    DATA_FILE,
    "report.md",
    "report.html",
    "workers.log",
)
# of a study, whose points are runs in folders of their own
STUDY_FILES = (
    "study.toml",
    "study.json",
    "records.parquet",
    "records.csv",
    "points.csv",
    "chosen.csv",
    "report.md",
    "report.html",
    "workers.log",
)
# what reading a file raises that was cut short, overwritten, or holds something else
DAMAGE = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(NotImplementedError, RecursionError, pa.ArrowException),
)
_METADATA = b"timings"
_HALF_WRITTEN = re.compile(r"\.[0-9a-f]{32}\.tmp$")
_PART = re.compile(r"[0-9a-f]{20}(\.[0-9a-f]{16})?\.parquet$")
_WEIGHTS = re.compile(r"[0-9a-f]{20}\.[0-9a-f]{16}\.npz$")
_LOCK_SECONDS = 0.5  # a reader that looks whether a run is at work holds the lock for a moment


def rerun_command(address: str, file: str = "experiment.toml") -> str:
    """The command that runs what a folder's file says, again and into that folder."""
    place = address.rstrip("/")
    above, _, name = place.rpartition("/")
    above = above or ("/" if place.startswith("/") else ".")
    config = quote(f"{place}/{file}")
    return f"python -m harness run --config {config} --output {quote(above)} --name {quote(name)}"


class RunFolder:
    """Reads and writes the files of one run; ``address`` is a path or an fsspec address.

    :class:`InputError` for an address that is none, or of a storage that is not known or not installed.
    """

    def __init__(self, address: str) -> None:
        if not address.strip():
            raise InputError(f"output: found {address!r}; allowed: a path or an fsspec address")
        self.address = address.replace(os.sep, "/")
        try:
            self.fs, self.root = fsspec.url_to_fs(address)
        except (ValueError, ImportError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"output: {address!r} is on a storage that cannot be used ({reason}); allowed: a path, or "
                "an fsspec address whose package is installed"
            ) from None
        self.local = "file" in (
            self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,)
        )

    def path(self, name: str) -> str:
        """Where a file of the folder lies; ``name`` cannot lead out of it."""
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise InputError(
                f"name: {name!r} leads out of {self.address!r}; allowed: a name inside"
            )
        return f"{self.root.rstrip('/')}/{name}"

    def exists(self, name: str = "experiment.toml") -> bool:
        return bool(self.fs.exists(self.path(name)))

    def claim(self, names: Iterable[str]) -> None:
        """Note in the mark that these files are the harness's to write.

        :class:`InputError`, before anything is written, if one of them is there and somebody else's.
        """
        names = list(names)
        self.refuse_foreign(names)
        ours = self._ours()
        if not ours.issuperset(names) or not self.exists(MARK):
            self.write_json(MARK, {"written_by_the_harness": sorted(ours.union(names))})

    def require_writable(self) -> None:
        """Nothing; :class:`InputError` if no file can be written here."""
        probe = f".{uuid.uuid4().hex}.tmp"
        try:
            self.write(probe, "")
            self.remove(probe)
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "it can only be read"
            raise InputError(
                f"output: {self.address!r} cannot be written ({reason}); allowed: a folder that can be"
            ) from None

    def refuse_foreign(self, names: Iterable[str]) -> None:
        """Nothing; :class:`InputError` if one of these files is there and the harness did not write it."""
        ours = self._ours()
        for name in names:
            if name not in ours and self.exists(name):
                raise InputError(
                    f"output: {self.address!r} holds {name!r}, which the harness has not written and "
                    "would replace; choose another place or --name, or move that file"
                )

    def _ours(self) -> set[str]:
        """The files here that the harness wrote: by the mark, or, without one, as far as that is sure."""
        with suppress(OSError, *DAMAGE):
            return {str(name) for name in self.read_json(MARK)["written_by_the_harness"]}
        files = self.names("")
        if self.is_run():
            return {*RUN_FILES, *(f"figures/{name}" for name in self.names("figures"))}
        pages = [name for name in files if name.endswith(".html") and _is_page(self.read(name))]
        if not pages:
            return set()
        stems = {page.removesuffix(".html") for page in pages}
        return {
            *(name for name in files if name.split(".")[0] in stems or name.endswith(".parquet")),
            *(f"figures/{name}" for name in self.names("figures")),
            *(("experiment.toml",) if "parity" in stems else ()),
        }

    def is_run(self) -> bool:
        """Whether a run was begun here, finished or not: by the mark, or by what only a run leaves."""
        with suppress(OSError, *DAMAGE):
            return "manifest.json" in self.read_json(MARK)["written_by_the_harness"]
        if not self.exists("experiment.toml"):
            return False
        with suppress(OSError, *DAMAGE):
            return "split_sha256" in self.read_json("manifest.json")["dataset"]
        return any(_PART.match(name) for name in self.names("parts"))

    def is_study(self) -> bool:
        """Whether a study was begun here, by the mark."""
        with suppress(OSError, *DAMAGE):
            return "study.json" in self.read_json(MARK)["written_by_the_harness"]
        return False

    def write(self, name: str, content: bytes | str) -> str:
        """Write a file whole; the hash of its content."""
        data = content.encode() if isinstance(content, str) else content
        target, digest = self.path(name), content_hash(data)
        if not self.local:
            self.fs.pipe_file(target, data)
            return digest
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
        except FileExistsError as error:
            raise NotADirectoryError(
                errno.ENOTDIR, os.strerror(errno.ENOTDIR), error.filename
            ) from None
        half = f"{target}.{uuid.uuid4().hex}.tmp"
        with open(half, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(half, target)
        return digest

    def read(self, name: str) -> bytes:
        """The file's content; FileNotFoundError if there is none."""
        content: bytes = self.fs.cat_file(self.path(name))
        return content

    def names(self, folder: str) -> list[str]:
        """Names of the files in a sub-folder, sorted; none if it does not exist."""
        if not self.fs.exists(self.path(folder)):
            return []
        paths = self.fs.ls(self.path(folder), detail=False)
        return sorted(str(path).rstrip("/").rsplit("/", 1)[-1] for path in paths)

    def remove(self, name: str) -> None:
        """Remove a file."""
        self.fs.rm_file(self.path(name))

    def remove_half_written(self) -> None:
        """Remove what a run that was killed had not written whole; only for who holds the lock."""
        for folder in ("", "parts/", "weights/", "figures/"):
            for name in self.names(folder):
                if _HALF_WRITTEN.search(name):
                    self.remove(f"{folder}{name}")

    def clear_contents(self) -> list[str]:
        """Remove all that the harness wrote here, comparisons and parity too; the names of what stays."""
        for inner in ("compare", "parity"):
            if self.names(inner):
                RunFolder(f"{self.address.rstrip('/')}/{inner}").clear_contents()
        parts = [f"parts/{name}" for name in self.names("parts") if _PART.match(name)]
        kept = [f"weights/{name}" for name in self.names("weights") if _WEIGHTS.match(name)]
        for name in [*self._ours(), *parts, *kept]:
            with suppress(FileNotFoundError):
                self.remove(name)
        stays = [name for name in self.names("") if name not in (MARK, ".lock")]
        for inner in ("figures", "parts", "weights", "compare", "parity"):
            if inner in stays and set(self.names(inner)) <= {MARK}:
                self.fs.rm(self.path(inner), recursive=True)
                stays.remove(inner)
        return stays

    def busy(self) -> bool:
        """Whether a run is writing here at this moment."""
        if not self.exists(".lock"):
            return False
        if not self.local:
            return True
        import filelock

        try:
            with filelock.FileLock(self.path(".lock"), timeout=0):
                return False
        except filelock.Timeout:
            return True
        except OSError:  # a folder that nobody may write to
            return False

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one run or report; a second one gets an :class:`InputError` at once.

        Where files cannot be locked (object stores) a run marks the folder with a file instead.
        """
        busy = InputError(
            f"output: another run is writing to {self.address!r}; "
            "wait for it, or choose another --name"
        )
        if self.local:
            import filelock

            os.makedirs(self.root, exist_ok=True)
            held = filelock.FileLock(self.path(".lock"), timeout=_LOCK_SECONDS)
            try:
                held.acquire()
            except filelock.Timeout:
                raise busy from None
            try:
                yield
            finally:
                held.release()  # the file stays: removing it could let two others in at once
            return
        if self.exists(".lock"):
            raise InputError(f"{busy} (or remove {self.path('.lock')} if that run was killed)")
        self.write(".lock", "")
        try:
            yield
        finally:
            self.fs.rm_file(self.path(".lock"))

    def write_experiment(self, experiment: Experiment, comments: Sequence[str] = ()) -> str:
        """Write experiment.toml, after comments, and data given in memory; the hash of the first."""
        settings = experiment.model_dump(mode="json", exclude_none=True)
        lines = [" ".join(f"# {line}".split()) + "\n" for line in comments]
        if isinstance(experiment.dataset, MemoryData):
            self.write_frame(DATA_FILE, experiment.frame)
        return self.write("experiment.toml", "".join(lines) + tomli_w.dumps(settings))

    def read_experiment(self) -> Experiment:
        settings = tomllib.loads(self.read("experiment.toml").decode())
        if settings["dataset"].startswith(MEMORY) and self.exists(DATA_FILE):
            settings["dataset"] = self.read_frame(DATA_FILE)[0]
        return experiment_kept(settings)

    def write_json(self, name: str, content: Any) -> None:
        self.write(name, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def read_json(self, name: str) -> Any:
        return json.loads(self.read(name))

    def write_frame(
        self, name: str, frame: pd.DataFrame, metadata: dict[str, Any] | None = None
    ) -> str:
        """Write a Parquet file, ``metadata`` in its schema as JSON; the hash of its content."""
        return self.write(name, parquet_bytes(frame, metadata))

    def read_frame(self, name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
        """A Parquet file and the metadata stored with it."""
        return parquet_frame(self.read(name))


def content_hash(content: bytes) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def json_hash(content: dict[str, Any]) -> str:
    """A hash of the values of a JSON object but its own, under ``sha256``; its layout does not count."""
    values = {key: value for key, value in content.items() if key != "sha256"}
    return content_hash(json.dumps(values, sort_keys=True).encode())


def as_sealed(content: dict[str, Any]) -> bool:
    """Whether a JSON object is what was written, or from before there were hashes."""
    if "files" not in content and "sha256" not in content:
        return True
    return "files" in content and content.get("sha256") == json_hash(content)


def parquet_bytes(frame: pd.DataFrame, metadata: dict[str, Any] | None = None) -> bytes:
    """A table as the content of a Parquet file."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if metadata is not None:
        table = table.replace_schema_metadata(
            {**(table.schema.metadata or {}), _METADATA: json.dumps(metadata).encode()}
        )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def parquet_frame(content: bytes) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table in a Parquet file's content, and the metadata stored with it."""
    try:
        table = pq.read_table(pa.BufferReader(content))
    except OSError as error:  # of a page that cannot be decompressed
        raise ValueError(str(error)) from None
    return table.to_pandas(), _metadata(table.schema)


def parquet_metadata(content: bytes) -> dict[str, Any]:
    """What was stored with a table, without its rows."""
    return _metadata(pq.read_schema(pa.BufferReader(content)))


def _metadata(schema: pa.Schema) -> dict[str, Any]:
    return dict(json.loads((schema.metadata or {}).get(_METADATA, b"{}")))


def _is_page(content: bytes) -> bool:
    """Whether this is a page of the harness: by its head, which was the same before there were marks."""
    head = content[:2000]
    return head.startswith(b"<!doctype html>") and b'<link rel="icon" href="data:,">' in head
