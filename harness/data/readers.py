"""Where tables of samples come from: files, told apart by what is in them, and OpenML.

A further kind of file is a function from its name and the open file to a :class:`FileTable`, and a line in
``_KINDS``. Files may be gzipped.
"""

from __future__ import annotations

import gzip
import io
import re
import warnings
import zipfile
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.delimited import read_delimited
from harness.data.file_table import FileTable, map_values
from harness.errors import InputError

FILE_KINDS = "CSV and other text tables, Parquet, NPZ, ARFF, svmlight and MNIST's idx files"
LABEL = "label"  # what the target is called where a file has no name for it
_TARGETS = ("y", "label", "labels", "target", "targets")  # arrays of an NPZ file
_SHOWN = 60  # characters of a line that a message shows
_HEAD = 20000  # first bytes, by which kinds of files are told apart
_NOMINAL = re.compile(r"(?im)^@attribute[^\n{]*\{[^\n}]*\}")
_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_file(path: Path, header: bool | None = None) -> FileTable:
    """The table in a file; :class:`~harness.errors.InputError` says what is wrong with it."""
    path = _inside(path)
    try:
        with _unpacked(path) as file:
            kind, read = _kind(path.name, file.read(_HEAD))
            file.seek(0)
            if header is not None and kind:
                raise InputError(f"header: {path.name!r} is {kind}; allowed: for a text table")
            if kind == "idx":
                table = read_idx(path)
            elif read:
                table = read(path.name, file)
            else:
                place = None if isinstance(file, io.BytesIO) else path
                table = read_delimited(path.name, file, header, place)
    except InputError:
        raise
    except MemoryError:
        raise InputError(
            f"dataset: {path.name!r} does not fit in memory as a table; allowed: fewer rows or columns"
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"dataset: {str(path)!r} cannot be read ({reason})") from None
    except (
        ValueError,
        EOFError,
        KeyError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"dataset: {path.name!r} cannot be read ({reason}); allowed: a whole file, not cut short"
        ) from None
    for frame, part in ((table.frame, ""), (table.test, " in its test part")):
        if frame is not None and not len(frame):
            names = f", only the names of {frame.shape[1]} columns" if table.header else ""
            raise InputError(
                f"dataset: {path.name!r} holds no rows{part}{names}; allowed: a table with rows"
            )
    return table


def _inside(path: Path) -> Path:
    """The file itself; of a folder that holds one of the same name, that one."""
    inner = path / path.name
    if inner.is_file():
        return inner
    if path.is_dir():
        raise InputError(f"dataset: {str(path)!r} is a folder; allowed: a file in it")
    return path


def _unpacked(path: Path) -> BinaryIO:
    """A file's content, open for reading from its start; what is gzipped is unpacked in memory."""
    file: BinaryIO = path.open("rb")
    if not file.seekable():  # what another program writes
        with file:
            file = io.BytesIO(file.read())
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if packed:
        with file:
            return io.BytesIO(gzip.decompress(file.read()))
    return file


def _kind(name: str, head: bytes) -> tuple[str, Callable[[str, BinaryIO], FileTable] | None]:
    """What a file is, by its first bytes, and the function that reads it; nothing for a text table."""
    if len(head) > 4 and head[:2] == b"\0\0" and head[2] in _IDX_TYPES and 0 < head[3] < 9:
        return "idx", None
    for pattern, what, allowed in _OTHERS:
        if re.match(pattern, head):
            raise InputError(f"dataset: {name!r} is {what}; allowed: {allowed}")
    for pattern, kind, read in _KINDS:
        if re.match(pattern, head):
            return kind, read
    return "", None


def read_parquet(name: str, file: BinaryIO) -> FileTable:
    """The columns of a Parquet file."""
    try:
        frame = pd.read_parquet(file)
    except (ValueError, OSError):  # in Arrow's words, of its buffers
        raise InputError(
            f"dataset: {name!r} cannot be read (it begins like Parquet and is damaged); allowed: a whole "
            "file, not cut short"
        ) from None
    return FileTable(frame.reset_index(drop=True), header=True)


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


def _npz_array(name: str, arrays: Mapping[str, NDArray[Any]], key: str) -> NDArray[Any]:
    """An array of an NPZ file; an :class:`InputError` for objects, which only pickle reads, and fields."""
    try:
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


def read_arff(name: str, file: BinaryIO) -> FileTable:
    """The attributes of an ARFF file; nominal ones are text, dates are dates."""
    from scipy.io import arff

    content = file.read()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    lines = text.splitlines()
    begin = next((n for n, li in enumerate(lines) if li.strip().lower().startswith("@data")), -1)
    if begin < 0:
        raise InputError(f"dataset: {name!r} has no line @data; allowed: a whole ARFF file")
    rows = [n + 1 for n in range(begin + 1, len(lines)) if lines[n].strip()[:1] not in ("", "%")]
    if rows and lines[rows[0] - 1].lstrip().startswith("{"):
        raise InputError(
            f"dataset: {name!r} is sparse ARFF, rows in {{ }}; allowed: all values of a row"
        )

    def load(some: Sequence[str]) -> Any:
        given = "\n".join(some)
        return arff.loadarff(io.StringIO(re.sub(_NOMINAL, _without_blanks, given)))

    try:
        values, about = load(lines)
    except NotImplementedError as error:
        strings = re.findall(r"(?im)^@attribute\s+(\S+)\s+(?:string|relational)\b", text)
        found = f"text attributes {', '.join(strings)}" if strings else str(error)
        raise InputError(
            f"dataset: {name!r} cannot be read ({found}); allowed: numeric, nominal and date attributes"
        ) from None
    except ValueError as error:
        raise _bad_row(name, lines, load, begin + 1, error) from None
    columns: dict[str, Any] = {}
    for attribute, kind in zip(about.names(), about.types(), strict=True):
        column: Any = values[attribute]
        if kind == "nominal":
            told = [v.decode("utf-8", errors="replace") for v in column]
            column = pd.Categorical([None if v == "?" else v for v in told])
        columns[attribute] = column
    return FileTable(pd.DataFrame(columns), ("ARFF",), rows.__getitem__, header=True)


def _bad_row(
    name: str,
    lines: Sequence[str],
    load: Callable[[Sequence[str]], Any],
    begin: int,
    error: Exception,
) -> InputError:
    """What to say of the first line that cannot be read: with it, what ``load`` makes of lines fails."""

    def fails(end: int) -> bool:
        try:
            load(lines[:end])
        except (ValueError, OverflowError):
            return True
        return False

    row = bisect_left(range(begin, len(lines)), True, key=lambda end: fails(end + 1)) + begin + 1
    line, reason = lines[row - 1].strip(), " ".join(str(error).split())
    shown = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
    return InputError(
        f"dataset: {name!r} cannot be read from row {row}, {shown!r} ({reason}); allowed: in each row the "
        "values that the file's kind asks for"
    )


def _without_blanks(nominal: re.Match[str]) -> str:
    """A list of nominal values without blanks after commas, which SciPy takes for part of a value."""
    return re.sub(r",[ \t]+", ",", nominal[0])


def read_svmlight(name: str, file: BinaryIO) -> FileTable:
    """The features of an svmlight or libsvm file, dense, called f1, f2, ...; its label."""
    from sklearn.datasets import load_svmlight_file

    content = file.read()
    try:
        x, y = load_svmlight_file(io.BytesIO(content))
    except (ValueError, OverflowError) as error:
        lines = content.decode("utf-8", errors="replace").splitlines()

        def load(some: Sequence[str]) -> Any:
            return load_svmlight_file(io.BytesIO("\n".join(some).encode()))

        raise _bad_row(name, lines, load, 0, error) from None
    frame = pd.DataFrame(x.toarray(), columns=[f"f{i + 1}" for i in range(x.shape[1])])
    frame[LABEL] = y
    found = ["svmlight: features that are not written are 0"]
    if b" qid:" in content[:_HEAD]:
        found.append("qid left out, it is no feature")
    return FileTable(frame, tuple(found), target=LABEL, measured=True, sparse=True)


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
    if magic >> 16 or magic & 255 != axes or kind[0] not in _IDX_TYPES:
        raise InputError(
            f"dataset: {path.name!r} begins with the number {magic}; allowed: 2051 for images, 2049 for "
            "labels"
        )
    if len(content) < 4 + 4 * axes:
        raise InputError(f"dataset: {path.name!r} is cut short; allowed: a whole file")
    shape = np.frombuffer(content, ">u4", axes, 4).astype(int)
    values = np.frombuffer(content, _IDX_TYPES[kind[0]], -1, 4 + 4 * axes)
    if len(values) != shape.prod():
        raise InputError(
            f"dataset: {path.name!r} is cut short ({len(values)} values of {shape.prod()}); allowed: a "
            "whole file"
        )
    return values.reshape(shape).astype(values.dtype.newbyteorder("="), copy=False)


_PACKED = "the same file gzipped, or not packed"
# what is no table, by its first bytes: what it is, and what to give
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\x93NUMPY", "one NPY array", "features and target in one NPZ: np.savez(FILE, x=x, y=y)"),
    (rb"\xd0\xcf\x11\xe0", "an Excel workbook", "its sheet saved as CSV"),
    (rb"BZh\d", "packed with bzip2", _PACKED),
    (rb"\xfd7zXZ", "packed with xz", _PACKED),
    (rb"\x28\xb5\x2f\xfd", "packed with Zstandard", _PACKED),
    (rb"7z\xbc\xaf", "a 7z archive", "the file in it, unpacked"),
    (rb"\x89HDF", "HDF5", "NPZ or Parquet"),
    (rb"\x80[\2-\5]", "pickled, which may run programs", "NPZ, Parquet or CSV"),
    (rb"version https://git-lfs", "a pointer of Git LFS, not the file", "what git lfs pull brings"),
    (rb"(?i)\s*<(!doctype|html|\?xml)", "a web page or XML", "the table itself (on a site: Raw)"),
    (rb"\s*(\[\s*)?[\[{]\s*[\"\[]", "JSON", "a table: pandas.read_json(FILE).to_csv(...)"),
)
# by the first bytes, in this order; a text table is what is none of them
_KINDS: tuple[tuple[bytes, str, Callable[[str, BinaryIO], FileTable]], ...] = (
    (rb"PAR1", "Parquet", read_parquet),
    (rb"PK\x03\x04|PK\x05\x06", "NPZ", read_zip),
    (rb"(?i)(\s*(%[^\n]*)?\n)*\s*@relation", "ARFF", read_arff),
    (
        rb"(\s*(#[^\n]*)?\n)*[+-]?[0-9.eE+-]+(\s+qid:\d+)?(\s+\d+:[^\s:]+)+\s*[\r\n]",
        "svmlight",
        read_svmlight,
    ),
)


def read_openml(name: str) -> tuple[FileTable, str]:
    """A data set of OpenML with its own target, and where it came from."""
    try:
        with (
            warnings.catch_warnings()
        ):  # of attempts that are repeated: what comes of them is said here
            warnings.filterwarnings("ignore", "Invalid cache|A network error occurred")
            bunch = _openml_bunch(name)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"dataset: 'openml:{name}' could not be fetched ({reason}); "
            "allowed: a name that OpenML knows, with a network connection or already in the cache"
        ) from None
    targets = list(bunch.target_names)
    table = FileTable(
        bunch.frame, header=True, target=str(targets[0]) if len(targets) == 1 else None
    )
    return table, f"OpenML {name}, version {bunch.details['version']}"


def _openml_bunch(name: str) -> Any:
    """What scikit-learn makes of a data set of OpenML; what OpenML calls nominal is a category by its text.

    scikit-learn leaves that to pandas, which from its version 3 on takes categories such as 0 to 9 for
    numbers, whereupon scikit-learn fails. So columns are read as text here where OpenML says nominal.
    """
    from sklearn.datasets import fetch_openml, get_data_home
    from sklearn.datasets._openml import _get_data_features

    def fetch(**how: Any) -> Any:
        return fetch_openml(
            name, version="active", as_frame=True, parser="pandas", read_csv_kwargs=how
        )

    data_id = fetch(nrows=1, dtype={}).details["id"]
    features = _get_data_features(int(data_id), str(Path(get_data_home()) / "openml"))
    nominal = {f["name"]: int(f["index"]) for f in features if f["data_type"] == "nominal"}
    bunch = fetch(dtype=dict.fromkeys(nominal.values(), "str"))
    for column in bunch.frame.columns.intersection(nominal):
        text = map_values(bunch.frame[column], lambda value: value.strip("'"))
        bunch.frame[column] = pd.Categorical(text)
    return bunch
