"""Arrays as tables: NPZ files, and MNIST's idx files."""

from __future__ import annotations

import gzip
import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.file_table import KEPT_DTYPES, LABEL, FileTable
from harness.data.shared_memory import has_memory_files, shared_array
from harness.errors import InputError

IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_TARGETS = ("y", "label", "labels", "target", "targets")  # arrays of an NPZ file
_LARGE = 2**24  # bytes of an array that is read into shared memory at once, a piece after the other
_PIECE = 2**20


def read_zip(name: str, file: BinaryIO) -> FileTable:
    """The arrays of an NPZ file; a workbook of Excel is refused with what to do."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    if any(n.startswith("xl/") for n in names):
        raise InputError(f"dataset: {name!r} is an Excel workbook; allowed: its sheet saved as CSV")
    if not all(n.endswith(".npy") for n in names):
        raise InputError(f"dataset: {name!r} is a zip archive; allowed: the file in it, unpacked")
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return arrays_table(name, {key: _npz_array(name, arrays, key) for key in arrays.files})


def _npz_array(name: str, arrays: Any, key: str) -> NDArray[Any]:
    """An array of an NPZ file; an :class:`InputError` for objects, which only pickle reads, and fields."""
    try:
        array = _large_array(arrays.zip, f"{key}.npy")
        if array is None:
            array = arrays[key]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise InputError(
            f"dataset: array {key!r} of {name!r} holds Python objects, which are not read, as they may run "
            "programs; allowed: numbers or text, saved after .astype(float) or .astype(str)"
        ) from None
    if array.dtype.names:
        raise InputError(
            f"dataset: array {key!r} of {name!r} has fields ({', '.join(array.dtype.names)}); allowed: "
            "plain arrays, each field one of its own"
        )
    return array


def _large_array(archive: zipfile.ZipFile, member: str) -> NDArray[Any] | None:
    """An array of an archive in shared memory, if it is large and may be trained on as it is, else None."""
    if not has_memory_files() or member not in archive.namelist():
        return None
    if archive.getinfo(member).file_size < _LARGE:
        return None
    with archive.open(member) as file:
        if np.lib.format.read_magic(file) != (1, 0):  # of names beyond ASCII, or very many
            return None
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
        if by_columns or dtype not in KEPT_DTYPES:
            return None
        return shared_array(iter(partial(file.read, _PIECE), b""), dtype, shape)


def arrays_table(name: str, arrays: Mapping[str, NDArray[Any]]) -> FileTable:
    """Arrays as a table: one a column, or cut into columns; ``x_train, y_train, x_test, y_test`` as parts."""
    if not arrays:
        raise InputError(f"dataset: {name!r} holds no arrays; allowed: x and y")
    for key, array in arrays.items():
        if array.dtype.kind == "c":
            raise InputError(
                f"dataset: array {key!r} of {name!r} is complex; allowed: real numbers"
            )
    parts = _parts(arrays)
    if parts:
        shapes = [x.shape[1:] for x, _ in parts.values()]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"dataset: samples of {name!r} have shape {shapes[0]} for training, {shapes[1]} in the test "
                "part; allowed: the same"
            )
        frames = [_columns(name, {"x": x, LABEL: y}, LABEL) for x, y in parts.values()]
        found = _shape_words(parts["train"][0])
        found.append(f"a test part of its own, {len(frames[1])} samples")
        return FileTable(frames[0], tuple(found), target=LABEL, measured=True, test=frames[1])
    lower = {key.lower(): key for key in arrays}
    target = next((lower[key] for key in _TARGETS if key in lower), None)
    found = [words for key, a in arrays.items() if key != target for words in _shape_words(a)]
    measured = any(a.ndim > 1 for a in arrays.values())
    return FileTable(_columns(name, arrays, target), tuple(found), target=target, measured=measured)


def _parts(
    arrays: Mapping[str, NDArray[Any]],
) -> dict[str, tuple[NDArray[Any], NDArray[Any]]] | None:
    """Training and test part of arrays whose names say so: x_train, train_images, ..."""
    parts: dict[tuple[str, str], NDArray[Any]] = {}
    for key, array in arrays.items():
        words = set(re.split(r"[_ -]", key.lower()))
        part = next((w for w in ("train", "test") if w in words), None)
        side = "y" if words & {"y", "label", "labels", "target", "targets"} else "x"
        if part and (part, side) not in parts:
            parts[part, side] = array
    if len(parts) < 4:
        return None
    return {p: (parts[p, "x"], parts[p, "y"]) for p in ("train", "test")}


def _shape_words(array: NDArray[Any]) -> list[str]:
    if array.ndim < 3:
        return []
    return [f"images of {' x '.join(map(str, array.shape[1:]))} flattened, values as they are"]


def _columns(name: str, arrays: Mapping[str, NDArray[Any]], target: str | None) -> pd.DataFrame:
    """A frame of arrays: one-dimensional ones as they are, others cut up into name_0, name_1, ..."""
    lengths = {len(a) if a.ndim else 1 for a in arrays.values()}
    if len(lengths) > 1:
        shapes = [f"{key} {a.shape}" for key, a in arrays.items()]
        more = f", ... ({len(shapes)} arrays)" if len(shapes) > 8 else ""
        raise InputError(
            f"dataset: {name!r} has arrays of different lengths ({', '.join(shapes[:8])}{more}); allowed: "
            "one length, or x_train, y_train, x_test, y_test"
        )
    frames = []
    for key, array in arrays.items():
        flat = (
            array.reshape(len(array), prod(array.shape[1:])) if array.ndim else array.reshape(1, 1)
        )
        if key == target and flat.shape[1] > 1:
            raise InputError(
                f"target: {key!r} of {name!r} has {flat.shape[1]} columns; allowed: one, the class or "
                "value of each sample (of a column for each class: .argmax(axis=1))"
            )
        single = array.ndim < 2 or key == target
        labels = [key] if single else [f"{key}_{i}" for i in range(flat.shape[1])]
        frames.append(pd.DataFrame(flat, columns=labels, copy=False))
    often = Counter(column for frame in frames for column in frame.columns)
    twice = sorted(column for column, number in often.items() if number > 1)
    if twice:
        raise InputError(
            f"dataset: {name!r} has an array {twice[0]!r} beside one that is cut into columns of that "
            "name; allowed: names that differ"
        )
    return pd.concat(frames, axis=1) if len(frames) > 1 else frames[0]


def read_idx(path: Path) -> FileTable:
    """MNIST's images with the labels beside them; the t10k pair is the test part of the train pair."""
    images, labels = _idx_pair(path, path)
    found = [*_shape_words(images), f"labels from the file beside {path.name}"]
    frame = _columns(path.name, {"x": images, LABEL: labels}, LABEL)
    if "train" not in path.name:
        return FileTable(frame, tuple(found), target=LABEL, measured=True)
    other = path.parent / path.name.replace("train", "t10k")
    if path.parent.name == path.name:
        other = path.parent.parent / other.name
    if _idx_place(other) is None:
        return FileTable(frame, tuple(found), target=LABEL, measured=True)
    test = _columns(path.name, dict(zip(("x", LABEL), _idx_pair(other, path), strict=True)), LABEL)
    found.append(f"a test part of its own, {len(test)} samples, from the t10k files beside it")
    return FileTable(frame, tuple(found), target=LABEL, measured=True, test=test)


def _idx_pair(path: Path, asked: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Images and labels of one part, whichever of the two files ``path`` names."""
    arrays: list[NDArray[Any]] = []
    folder = path.parent.parent if path.parent.name == path.name else path.parent
    stem = path.name.replace("labels", "images").replace("idx1", "idx3")
    for name in (stem, stem.replace("images", "labels").replace("idx3", "idx1")):
        place = _idx_place(folder / name)
        if place is None:
            raise InputError(
                f"dataset: no file {name!r} beside {asked.name!r}; allowed: images and labels together"
            )
        arrays.append(_idx_array(place, axes=1 if arrays else 3))
    images, labels = arrays
    if len(images) != len(labels):
        raise InputError(
            f"dataset: {stem!r} has {len(images)} images and {len(labels)} labels; allowed: one each"
        )
    return images, labels


def _idx_place(path: Path) -> Path | None:
    """The file, gzipped or not, nested in a folder of its own name or not; None if there is none."""
    plain = path.with_name(path.name.removesuffix(".gz"))
    for place in (path, plain, plain.with_name(f"{plain.name}.gz")):
        for file in (place, place / place.name):
            if file.is_file():
                return file
    return None


def _idx_array(path: Path, axes: int) -> NDArray[Any]:
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    magic, kind = int.from_bytes(content[:4], "big"), content[2:3]
    if magic >> 16 or magic & 255 != axes or kind[0] not in IDX_TYPES:
        raise InputError(
            f"dataset: {path.name!r} begins with the number {magic}; allowed: 2051 for images, 2049 for "
            "labels"
        )
    if len(content) < 4 + 4 * axes:
        raise InputError(f"dataset: {path.name!r} is cut short; allowed: a whole file")
    shape = np.frombuffer(content, ">u4", axes, 4).astype(int)
    values = np.frombuffer(content, IDX_TYPES[kind[0]], -1, 4 + 4 * axes)
    if len(values) != shape.prod():
        raise InputError(
            f"dataset: {path.name!r} is cut short ({len(values)} values of {shape.prod()}); allowed: a "
            "whole file"
        )
    return values.reshape(shape).astype(values.dtype.newbyteorder("="), copy=False)
