"""The command line: one file a verb, which parses and prints.

Errors in the input are printed on one line. How a command ends: :class:`harness.errors.ExitCode`.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from typing import Any, NoReturn

import typer

from harness.cli import (
    atlas,
    baseline,
    bench,
    check,
    compare,
    data,
    export,
    hold,
    lecture,
    listing,
    parity,
    report,
    run,
    upgrade,
)
from harness.cli.interruption import tell_stopped
from harness.cli.options import EachFlagOnce, Verbs, with_flags
from harness.document.foreign_text import visible
from harness.errors import ExitCode, InputError, Unfinished

VERBS: dict[str, Callable[..., None]] = {
    "run": run.run_command,
    "data": data.data_command,
    "report": report.report_command,
    "export": export.export_command,
    "parity": parity.parity_command,
    "hold": hold.hold_command,
    "compare": compare.compare_command,
    "check": check.check_command,
    "upgrade": upgrade.upgrade_command,
    "atlas": atlas.atlas_command,
    "bench": bench.bench_command,
    "lecture": lecture.lecture_command,
    "list": listing.list_command,
}

_INTERRUPTED = 130  # what typer makes of KeyboardInterrupt


def command_line(verb: str = "") -> typer.Typer:
    """The commands; that of the verb with all its flags, the others with their names and first lines."""
    app = typer.Typer(
        name="harness",
        cls=Verbs,
        help="Train the same small neural networks on several libraries and see how far they agree.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Exit codes: 0 done; 1 a verdict against; 2 usage or input; 3 unfinished, inconclusive "
        "or not comparable.",
    )
    for name, command in VERBS.items():
        words = _paragraphs(str(command.__doc__))
        shown = with_flags(command) if name == verb else lambda: None
        app.command(name, cls=EachFlagOnce, help=words)(shown)
    app.add_typer(baseline.baseline_app, name="baseline")
    return app


def _paragraphs(docstring: str) -> str:
    """Its paragraphs, each on one line: a terminal breaks them where it ends."""
    return "\n\n".join(" ".join(part.split()) for part in docstring.split("\n\n"))


def run_command_line(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with ExitStack() as stack:
        stack.push(_no_verdict)
        if "--debug" in given:
            stack.enter_context(_parts_traced())
        sys.exit(_invoke(given) if "--debug" in given else _in_one_line(given))


@contextmanager
def _parts_traced() -> Iterator[None]:
    """Show the traceback of a part of a page that fails, which otherwise costs one line."""
    logger, shown = logging.getLogger("harness.document.attempt"), logging.StreamHandler()
    shown.setFormatter(_Visible())
    before = logger.level
    logger.addHandler(shown)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(shown)
        logger.setLevel(before)


class _Visible(logging.Formatter):
    """Text of others cannot steer the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def _in_one_line(given: Sequence[str]) -> int:
    """The exit code; what is wrong with the input ends here, told on one line."""
    try:
        return _invoke(given)
    except OSError as error:
        place = f"{error.filename!r} " if error.filename else _removed_place()
        return _refused(
            f"{place}cannot be read or written ({error.strerror or error}); allowed: a place that can be"
        )
    except InputError as error:
        return _refused(str(error))
    except typer.TyperException as error:
        return _refused(_usage(error, given))
    except Unfinished as error:
        print(f"unfinished: {visible(str(error))}", file=sys.stderr)
        return ExitCode.UNFINISHED
    except KeyboardInterrupt:
        tell_stopped()
        return ExitCode.UNFINISHED


def _removed_place() -> str:
    """The working directory in words, where it is no more."""
    try:
        os.getcwd()
    except OSError:
        return "the working directory, which has been removed, "
    return ""


def _invoke(arguments: Sequence[str]) -> int:
    app = command_line(arguments[0] if arguments else "")
    code = app(args=list(arguments), prog_name="python -m harness", standalone_mode=False)
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else ExitCode.DONE


def _no_verdict(kind: type[BaseException] | None, error: Any, trace: Any) -> None:
    """End with 3 after a fault in the program or in a backend: 1 would pass for a verdict against."""
    # these come here with --debug only, and as the traceback that was asked for
    told = (InputError, OSError, typer.TyperException)
    if kind is None or not issubclass(kind, Exception) or issubclass(kind, told):
        return
    print(visible("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    print(
        f"error: {kind.__name__}: {visible(' '.join(str(error).split()))}; "
        "a fault in a backend or in this program, not in the input: there is no verdict",
        file=sys.stderr,
    )
    sys.exit(ExitCode.UNFINISHED)


def _refused(message: str) -> int:
    print(f"error: {visible(' '.join(message.split()))}", file=sys.stderr)
    return ExitCode.INPUT


def _nearest(error: typer.TyperException) -> str | None:
    """The flag that an unknown one was meant for: the same thing elsewhere, or spelt nearly alike."""
    given = getattr(error, "option_name", "").lstrip("-")
    context = getattr(error, "ctx", None)
    flags = {p.name: p.opts[0] for p in context.command.params} if context else {}
    from backends.settings import name_here

    ours = name_here(given)
    if ours in flags:
        return str(flags[ours])
    possible = [flag.lstrip("-") for flag in getattr(error, "possibilities", None) or []]
    near = get_close_matches(given, possible, n=1)
    return f"--{near[0]}" if near else None


def _usage(error: typer.TyperException, given: Sequence[str]) -> str:
    """A usage error in one line, with the nearest right name where a flag or verb is misspelt."""
    if near := _nearest(error):
        return f"{error.message}; did you mean {near}?"
    verb = [given[0]] if given and given[0] in (*VERBS, "baseline") else []
    possible = getattr(error, "possibilities", None)  # which are none near enough to be told
    message = error.message if possible else error.format_message()
    message = message.rstrip(".").split(", unable to parse")[0]
    return f"{message}; see {' '.join(['python -m harness', *verb])} --help"
