"""The content of a text file: its encoding, its first lines, and lines that are comments."""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Sequence

from harness.errors import InputError

SAMPLE_BYTES = 2**20  # first ones, which decide how the others are read
_SAMPLE = 400  # lines of them
_COMMENTS = "%#|"  # signs that begin a line without data
_NO_TEXT = "it holds bytes that are no text"


def as_utf8(name: str, content: bytes, found: list[str]) -> bytes:
    """The text in UTF-8, with the line ends of today; the encoding is told where it is another."""
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        encoding, words = "utf-16", "encoding UTF-16"
    elif content.startswith(BOM_UTF8):
        encoding, words = "utf-8-sig", "a byte-order mark at its start"
    elif content[:100].count(0) >= len(content[:100]) // 3 > 0:
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
        words = "encoding UTF-16"
    elif content.isascii():
        encoding, words = "utf-8", ""
    else:
        try:
            content.decode("utf-8")
            encoding, words = "utf-8", ""
        except UnicodeDecodeError:
            encoding, words = "cp1252", "encoding Latin-1 (Windows-1252)"
    if encoding != "utf-8":
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as error:
            text, reason = "\0", str(error) if encoding != "cp1252" else _NO_TEXT
        else:
            reason = _NO_TEXT
        if re.search("[\0-\x08\x0e-\x1f\ufeff\ufffe]", text[:SAMPLE_BYTES]):
            raise _no_table(name, reason)
        content = text.encode("utf-8")
        found.append(words)
    elif b"\0" in content[:SAMPLE_BYTES]:
        raise _no_table(name, _NO_TEXT)
    return content if b"\n" in content else content.replace(b"\r", b"\n")


def _no_table(name: str, reason: str) -> InputError:
    return InputError(
        f"dataset: {name!r} cannot be read ({reason}); allowed: a text table, Parquet, NPZ, ARFF, svmlight "
        "or idx file, gzipped or not"
    )


def first_lines(content: bytes) -> list[str]:
    """The first lines, none of them cut off."""
    text = content[:SAMPLE_BYTES]
    if len(text) < len(content) and b"\n" in text:
        text = text[: text.rindex(b"\n")]
    return text.decode("utf-8", errors="replace").splitlines()[:_SAMPLE]


def comment_lines(content: bytes, head: Sequence[str]) -> set[int]:
    """Numbers of the lines that begin with a comment sign, from 0; none if that is how rows begin."""
    starts = [line.lstrip()[:1] for line in head if line.strip()]
    signs = [sign for sign in _COMMENTS if starts.count(sign) <= len(starts) // 2]
    found = {0} if content[:1].decode("latin-1") in signs else set()
    for sign in signs:
        if sign.encode() not in content:  # found sooner than a line end before it
            continue
        at = content.find(f"\n{sign}".encode()) + 1
        while at:
            found.add(content.count(b"\n", 0, at))
            at = content.find(f"\n{sign}".encode(), at) + 1
    return found


def comments_in_words(comments: set[int]) -> str:
    if comments == {0}:
        return "first line left out, a comment"
    return f"{len(comments)} comment line{'s' if len(comments) > 1 else ''} left out"
