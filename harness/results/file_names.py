"""Names that become places on disk: none can lead out of the folder it is meant for."""

from __future__ import annotations

import hashlib
import re

from harness.errors import InputError

_MOST = 100  # characters of a file's name; file systems take 255 bytes
_OTHERS = re.compile(r"[^\w.,=+-]+", re.ASCII)


def folder_name(what: str, name: str) -> str:
    """The name of a run or baseline as it was given; :class:`InputError` unless it is a plain one."""
    if not name.strip() or name.startswith(".") or any(c in "/\\:" or ord(c) < 32 for c in name):
        raise InputError(
            f"{what}: found {name!r}; allowed: a plain folder name, without '/', '\\', ':' "
            "or a leading '.'"
        )
    return name


def data_name(dataset: str) -> str:
    """What a folder is called by these data: their name, or that of their file, without folders or ending."""
    return re.split(r"[/\\]", dataset.replace(":", "-"))[-1].rsplit(".", 1)[0]


def file_name(text: str) -> str:
    """A name that came from elsewhere (a backend's, say) as the name of one file or folder.

    Letters, digits and a few signs stay, all else becomes ``-``; where that changed anything a hash of the
    text follows, so that two texts never share a file.
    """
    plain = _OTHERS.sub("-", text).strip(".-")[:_MOST]
    if plain and plain == text:
        return plain
    return f"{plain}-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:6]}".lstrip("-")
