"""The run folder, on a disk or behind any fsspec address.

    experiment.toml   reproduces the run            records.parquet, .csv   a row a backend x cell x repeat
    manifest.json     versions, machine, commands   predictions.parquet     test labels, row by row
    report.md, .html  what people read              curves.parquet          learning curves
    figures/          *.png, *.svg                  disputes.parquet        cells not labelled alike
    parts/            finished units of work        targets.parquet         the test samples
                                                    data.parquet            data that was given in memory

Files appear whole: written beside their place and renamed (a single put on object stores). Nothing is
pickled.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w

from harness.errors import InputError
from harness.experiment.experiment import Experiment, experiment_kept
from harness.experiment.memory_data import DATA_FILE, MEMORY, MemoryData

_METADATA = b"timings"
_HALF_WRITTEN = re.compile(r"\.[0-9a-f]{32}\.tmp$")


class RunFolder:
    """Reads and writes the files of one run; ``address`` is a path or an fsspec address."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.fs, self.root = fsspec.url_to_fs(address)
        self.local = "file" in (
            self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,)
        )

    def path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"

    def exists(self, name: str = "experiment.toml") -> bool:
        return bool(self.fs.exists(self.path(name)))

    def write(self, name: str, content: bytes | str) -> None:
        """Write a file whole."""
        data = content.encode() if isinstance(content, str) else content
        target = self.path(name)
        if not self.local:
            self.fs.pipe_file(target, data)
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        half = f"{target}.{uuid.uuid4().hex}.tmp"
        with open(half, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(half, target)

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
        for folder in ("", "parts/", "figures/"):
            for name in self.names(folder):
                if _HALF_WRITTEN.search(name):
                    self.remove(f"{folder}{name}")

    def clear_contents(self) -> None:
        """Remove all that the folder holds, except its lock."""
        for name in self.names(""):
            if name != ".lock":
                self.fs.rm(self.path(name), recursive=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one run; a second one gets an :class:`InputError` at once.

        Where files cannot be locked (object stores) a run marks the folder with a file instead.
        """
        busy = InputError(
            f"output: another run is writing to {self.address!r}; "
            "wait for it, or choose another --name"
        )
        if self.local:
            import filelock

            os.makedirs(self.root, exist_ok=True)
            held = filelock.FileLock(self.path(".lock"), timeout=0)
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

    def write_experiment(self, experiment: Experiment, comments: Sequence[str] = ()) -> None:
        """The settings, after lines of comment; a table given in memory goes beside them."""
        settings = experiment.model_dump(mode="json", exclude_none=True)
        lines = [" ".join(f"# {line}".split()) + "\n" for line in comments]
        self.write("experiment.toml", "".join(lines) + tomli_w.dumps(settings))
        if isinstance(experiment.dataset, MemoryData):
            self.write_frame(DATA_FILE, experiment.frame)

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
    ) -> None:
        """A Parquet file; ``metadata`` goes into its schema as JSON."""
        table = pa.Table.from_pandas(frame, preserve_index=False)
        if metadata is not None:
            table = table.replace_schema_metadata(
                {**(table.schema.metadata or {}), _METADATA: json.dumps(metadata).encode()}
            )
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self.write(name, sink.getvalue().to_pybytes())

    def read_metadata(self, name: str) -> dict[str, Any]:
        """What was stored with a Parquet file, without its rows."""
        schema = pq.read_schema(pa.BufferReader(self.read(name)))
        return dict(json.loads((schema.metadata or {}).get(_METADATA, b"{}")))

    def read_frame(self, name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
        """A Parquet file and the metadata stored with it."""
        table = pq.read_table(pa.BufferReader(self.read(name)))
        metadata = json.loads((table.schema.metadata or {}).get(_METADATA, b"{}"))
        return table.to_pandas(), metadata
