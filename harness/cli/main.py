"""The command line: one file a verb, which parses and prints.

Errors in the input are printed on one line and end with exit code 2. Exit codes: 0 done; 1 a verdict
against; 2 usage or input; 3 unfinished or inconclusive.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from difflib import get_close_matches
from typing import Any, NoReturn

import typer

from harness.cli import baseline, bench, check, compare, lecture, listing, parity, report, run

app = typer.Typer(
    name="harness",
    help="Train the same small neural networks on several libraries and see how far they agree.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 a verdict against; 2 usage or input; 3 unfinished or inconclusive.",
)
VERBS: dict[str, Callable[..., None]] = {
    "run": run.run,
    "report": report.report,
    "parity": parity.parity_command,
    "compare": compare.compare_command,
    "check": check.check_command,
    "bench": bench.bench,
    "lecture": lecture.lecture,
    "list": listing.listing,
}
for verb, command in VERBS.items():
    app.command(verb)(command)
app.add_typer(baseline.baseline_app, name="baseline")

# what other programs call some of the flags
ELSEWHERE = dict.fromkeys(("lr", "learning-rate", "learning-rate-init"), "--eta") | dict.fromkeys(
    ("l2", "alpha", "lambda", "weight-decay"), "--lmbd"
)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    with ExitStack() as stack:
        stack.push(_no_verdict)
        sys.exit(_invoke(given) if "--debug" in given else _in_one_line(given))


def _in_one_line(given: Sequence[str]) -> int:
    """The exit code; what is wrong with the input ends here, told on one line."""
    from harness.errors import InputError

    try:
        return _invoke(given)
    except OSError as error:
        place = f"{error.filename!r} " if error.filename else ""
        _fail(
            f"{place}cannot be read or written ({error.strerror or error}); allowed: a place that can be"
        )
    except InputError as error:
        _fail(str(error))
    except typer.TyperException as error:
        _fail(_usage(error, given))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(3)


def _invoke(arguments: Sequence[str]) -> int:
    code = app(args=list(arguments), prog_name="python -m harness", standalone_mode=False)
    return code if isinstance(code, int) else 0


def _no_verdict(kind: type[BaseException] | None, error: Any, trace: Any) -> None:
    """A fault in the program or in a backend ends with 3: with 1 it would pass for a verdict against."""
    from harness.errors import InputError

    # these come here with --debug only, and as the traceback that was asked for
    told = (InputError, OSError, typer.TyperException)
    if kind is None or not issubclass(kind, Exception) or issubclass(kind, told):
        return
    traceback.print_exception(error)
    print(
        f"error: {kind.__name__}: {' '.join(str(error).split())}; a fault in a backend or in this program, "
        "not in the input: there is no verdict",
        file=sys.stderr,
    )
    sys.exit(3)


def _interrupt(_signal: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def _fail(message: str) -> NoReturn:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


def _nearest(error: typer.TyperException) -> str | None:
    """The flag that an unknown one was meant for: the same thing elsewhere, or spelt nearly alike."""
    given = getattr(error, "option_name", "").lstrip("-")
    if given in ELSEWHERE:
        return ELSEWHERE[given]
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
