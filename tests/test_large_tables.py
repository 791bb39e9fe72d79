"""Large text tables: read by all cores, and just as they are read by one."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from harness.data import delimited
from harness.data.delimited import read_delimited
from harness.data.readers import read_file
from harness.errors import InputError

ROWS = 100_000


@pytest.fixture(scope="module")
def lines():
    """Six megabytes of numbers, with a header."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(ROWS, 5))
    table[::7, 1] *= 1e-300
    table[:, 4] = rng.integers(0, 3, ROWS)
    return ["a,b,c,d,label", *(",".join(map(repr, row)) for row in table.tolist())]


def both_ways(path):
    """What becomes of a file that is read in parallel, and of its content read at once."""
    told = []
    for place in (path, None):
        try:
            table = read_delimited(path.name, io.BytesIO(path.read_bytes()), None, place)
            told.append((table.frame, table.found, table.place(len(table.frame) - 1)))
        except InputError as error:
            told.append(str(error))
    return told


def put(lines, row, text):
    return [*lines[:row], text, *lines[row + 1 :]]


LATE = ROWS - 1000
CHANGES = {
    "numbers alone": lambda lines: lines,
    "a gap": lambda lines: put(lines, LATE, "1.5,,2.5,?,1.0"),
    "a comment": lambda lines: put(lines, LATE, "# 1,2,3,4,1"),
    "text among numbers": lambda lines: put(lines, LATE, "1.5,none,2.5,3.5,1.0"),
    "blanks behind commas": lambda lines: put(lines, LATE, "1.5, ?, 2.5, 3.5, 1.0"),
    "a row too short": lambda lines: put(lines, LATE, "1.5,2.5"),
    "a row too long": lambda lines: put(lines, LATE, "1,2,3,4,5,6"),
    "an open quote": lambda lines: put(lines, LATE, '1.5,"2.5,3.5,4.5,1.0'),
    "categories": lambda lines: [f"{li},{'xyz'[n % 3]}" for n, li in enumerate(lines)],
    "categories and a late blank": lambda lines: put(
        [f"{li},{'xyz'[n % 3]}" for n, li in enumerate(lines)], LATE, "1.5,2.5,3.5,4.5,1.0, x"
    ),
    "truths with a gap": lambda lines: put(
        [f"{li},{n % 2 == 0}" for n, li in enumerate(lines)], LATE, "1.5,2.5,3.5,4.5,1.0,"
    ),
    "blank lines": lambda lines: put(lines, LATE, ""),
    "large whole numbers": lambda lines: put(lines, LATE, f"{2**63},{2**53 + 1},2,3,1"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_large_table_is_read_in_parallel_as_at_once(tmp_path, lines, change, end):
    path = tmp_path / "large.csv"
    path.write_bytes(end.join(CHANGES[change](lines)).encode())
    parallel, at_once = both_ways(path)
    if isinstance(at_once, str):
        assert parallel == at_once
    else:
        pd.testing.assert_frame_equal(parallel[0], at_once[0], check_exact=True)
        assert parallel[1:] == at_once[1:]


@pytest.mark.parametrize("late", ["Zürich".encode("cp1252"), "Zürich".encode()])
def test_a_large_tables_encoding_is_found_out_wherever_it_shows(tmp_path, lines, late):
    path = tmp_path / "large.csv"
    rows = [f"{li},{'xyz'[n % 3]}".encode() for n, li in enumerate(lines)]
    path.write_bytes(b"\n".join(put(rows, LATE, b"1.5,2.5,3.5,4.5,1.0," + late)))
    parallel, at_once = both_ways(path)
    pd.testing.assert_frame_equal(parallel[0], at_once[0], check_exact=True)
    assert "Zürich" in set(parallel[0].iloc[:, -1])
    assert parallel[1:] == at_once[1:]


def test_numbers_of_a_large_file_are_not_gone_through_twice(tmp_path, lines, monkeypatch):
    if not delimited._PARALLEL:
        pytest.skip("pandas reads with one core")
    path = tmp_path / "large.csv"
    path.write_text("\n".join(lines))
    monkeypatch.setattr(delimited, "_frame", None)
    assert len(read_file(path).frame) == ROWS
