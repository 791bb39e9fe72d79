"""``harness parity`` of recordings: judged, compared, printed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backends.recording import Recording
    from harness.document.section import Section
    from harness.recordings.judgement import RecordedParity
    from harness.recordings.pair import RecordedPair


def judge_files(
    files: Sequence[str],
    backends: Any = (),
    output: str | None = None,
    feedback: bool = False,
    junit: str | None = None,
    json: bool = False,
    quiet: bool = False,
    markdown: str | None = None,
) -> int:
    """Judge recordings and print what came of it; the exit code.

    ``backends``: trained along the plan of the only recording and judged beside it.
    """
    from harness.cli.console import console
    from harness.cli.places import require_writable, write_in_place, write_text
    from harness.cli.progress import status_line
    from harness.cli.sections import show_section, tell_faults
    from harness.document.section import Title
    from harness.document.writer import write_sections
    from harness.recordings.judgement import judge_recording
    from harness.recordings.misfit_values import misfits_explorer
    from harness.recordings.pair import compare_recordings, pair_headline
    from harness.recordings.section import parity_junit, recorded_headline, recorded_json
    from harness.results.run_folder import RunFolder

    require_writable("junit", junit)
    require_writable("markdown", markdown)
    recordings = _read(files)
    recordings += _along(recordings, backends, output)
    judged = []
    with status_line(console(stderr=True), quiet=quiet) as say:
        for recording in recordings:
            say(f"judging {recording.name}")
            judged.append(judge_recording(recording))
    pair = compare_recordings(*judged) if len(judged) == 2 and not feedback else None
    shown, more = _sections(judged, pair, feedback)
    first = Path(files[0])
    folder = RunFolder(
        output or str(first if first.is_dir() else first.with_suffix("")) + "-parity"
    )
    code = pair.exit_code if pair else _code([one.exit_code for one in judged])
    told = {"exit_code": code, "recordings": [recorded_json(one) for one in judged]}
    if pair:
        told |= _pair_json(pair, pair_headline(pair))
    folder.write_json("parity.json", told)
    about = ", ".join(one.name for one in judged)
    explorer = None if feedback else misfits_explorer(judged)
    title = Title("Parity of recordings", about)
    page = write_sections(title, [*shown, *more], folder, "parity", explorer)
    if junit is not None:
        cases = [(one.name, "steps", one.exit_code, recorded_headline(one)) for one in judged]
        if pair:
            cases.append(
                (f"{judged[0].name} and {judged[1].name}", "path", code, pair_headline(pair))
            )
        write_text(junit, parity_junit(cases))
    if markdown is not None:
        from harness.document.pull_request import pull_request_comment

        name = f"parity {', '.join(one.name for one in judged)}"
        outcome = {0: "right", 1: "wrong"}.get(code, "undecided")
        write_in_place(markdown, name, pull_request_comment(name, outcome, shown))
    if json:
        from json import dumps

        print(dumps(told, indent=2, allow_nan=False))
    else:
        out = console()
        for section in shown:
            show_section(section, out)
        if not quiet:
            out.print(f"parity: {page}", highlight=False, soft_wrap=True)
    return code or tell_faults(page.faults, "parity, with the same recordings")


def _read(files: Sequence[str]) -> list[Recording]:
    from backends.recording import RecordingError, read_recording
    from harness.errors import InputError

    found: list[Recording] = []
    for file in files:
        path = Path(file)
        members = sorted(path.glob("*.npz"), key=_by_number) if path.is_dir() else [path]
        if not members:
            raise InputError(f"{file}: found no .npz file in the folder; allowed: recordings")
        try:
            found += [read_recording(member) for member in members]
        except RecordingError as error:
            raise InputError(str(error)) from None
    for name_of in (lambda r: Path(r.path).stem, lambda r: r.path):
        names = [recording.name for recording in found]
        for recording in found:  # two of one name are told by their files
            if names.count(recording.name) > 1:
                recording.about["name"] = name_of(recording)
    return found


def _by_number(path: Path) -> list[Any]:
    """A key that sorts machine10 behind machine9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def _along(recordings: Sequence[Recording], backends: Any, output: str | None) -> list[Recording]:
    """Recordings of backends that train along the plan of the only recording."""
    from backends.recording import read_recording
    from backends.registry import UnusableBackend, import_library, known, usable
    from harness.errors import InputError, unknown
    from harness.experiment.setting import comma_separated
    from harness.recordings.backend import recorded_again

    chosen = comma_separated(backends) if backends else []
    if chosen and len(recordings) != 1:
        raise InputError(f"backend: found beside {len(recordings)} recordings; allowed: beside one")
    made = []
    for name in chosen:
        try:
            backend = usable(str(name))
            import_library(backend)
        except KeyError:
            raise unknown("backend", str(name), [*known(), "package.module:Class"]) from None
        except UnusableBackend as error:
            raise InputError(f"backend: {error.reason}") from None
        (own,) = recordings
        place = Path(output or str(Path(own.path).with_suffix("")) + "-parity")
        path = recorded_again(backend, own, place / f"{Path(own.path).stem}-{backend.name}.npz")
        made.append(read_recording(path))
    return made


def _sections(
    judged: Sequence[RecordedParity], pair: RecordedPair | None, feedback: bool
) -> tuple[list[Section], list[Section]]:
    """What is printed, and what is on the page beside it."""
    from harness.recordings.pair import pair_section
    from harness.recordings.section import (
        feedback_section,
        recorded_section,
        recorded_sections,
        recordings_section,
    )

    if feedback:
        if len(judged) == 1:
            return [feedback_section(judged[0])], []
        return [recordings_section(judged, True)], []
    each = [section for one in judged for section in recorded_sections(one)]
    if pair:
        return [pair_section(pair), recordings_section(judged)], each
    if len(judged) > 2:
        return [recordings_section(judged)], each
    return [recorded_section(judged[0])], each[1:]


def _pair_json(pair: RecordedPair, headline: str) -> dict[str, Any]:
    from harness.document.plain import plain

    about = {
        "headline": headline,
        "first_step": pair.step or None,
        "first_tensor": pair.tensor or None,
        "gap": pair.gap,
        "round_off": pair.allowed,
        "compared_steps": pair.alike,
        "around": pair.around,
    }
    return {"pair": plain(about)}


def _code(codes: Sequence[int]) -> int:
    return 1 if 1 in codes else max(codes)
