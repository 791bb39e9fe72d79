"""Flags made from the settings of an experiment and its execution, for every verb that takes them.

:func:`takes_experiment` marks a command, which receives what was given, configuration file and flags
together, as ``settings``; :func:`with_flags` gives it the flags. What settings there are is read only
then, because that takes longer than all else that ``--help`` does.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from harness.errors import InputError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from harness.experiment.setting import Settings

DEBUG = Annotated[
    bool,
    typer.Option(
        "--debug",
        help="Show the traceback of an error, also where it cost a part of a page.",
        show_default=False,
    ),
]


_METAVARS = {int: "N", float: "NUMBER"}


def _told(params: list[Any]) -> list[Any]:
    """Flags with what stands after them in --help: nothing after a switch, else as settings have it."""
    for param in params:
        if isinstance(param, TyperOption) and param.metavar is None:
            kind = param.type_descriptor.annotation
            param.metavar = "" if param.is_flag else _METAVARS.get(kind, "TEXT")
    return params


class Verbs(TyperGroup):
    """A group whose --help has no type after a switch."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _told(super().get_params(ctx))


class EachFlagOnce(TyperCommand):
    """A command that refuses a flag given twice, unless its values add up."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _told(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option in given:
            if not getattr(option, "multiple", True) and given.count(option) > 1:
                ctx.fail(f"{option.opts[0]} is given more than once; allowed: once")
        return super().parse_args(ctx, args)


def takes_experiment(command: Callable[..., None]) -> Callable[..., None]:
    """Mark a command that has every flag of an experiment and gets them merged as ``settings``."""
    command.takes = ("Experiment",)  # type: ignore[attr-defined]
    return command


def takes_run(command: Callable[..., None]) -> Callable[..., None]:
    """As :func:`takes_experiment`, with the flags of the execution as well."""
    command.takes = ("Experiment", "Execution")  # type: ignore[attr-defined]
    return command


def takes_data(command: Callable[..., None]) -> Callable[..., None]:
    """Mark a command that has the flags on data, all but the data themselves, as ``settings``."""
    command.takes = ("Experiment",)  # type: ignore[attr-defined]
    command.leaves = ("config", "dataset")  # type: ignore[attr-defined]
    return command


def with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the flags of the settings that it takes; one that takes none as it is."""
    taken = getattr(command, "takes", ())
    if not taken:
        return command
    from harness.experiment.execution import Execution
    from harness.experiment.experiment import Experiment
    from harness.experiment.recipe import Recipe
    from harness.experiment.setting import CONVENTIONS, DATA, PANELS, WHAT, extra_of

    models = [model for model in (Experiment, Execution) if model.__name__ in taken]
    fields = {name: field for model in models for name, field in model.model_fields.items()}
    leaves = getattr(command, "leaves", ())
    if leaves:
        fields = {
            name: field
            for name, field in fields.items()
            if extra_of(field)["panel"] == DATA and name not in leaves
        }
    names = sorted(fields, key=lambda name: name in Recipe.model_fields)  # the grid's axes first

    @functools.wraps(command)
    def with_settings(**given: Any) -> None:
        given.pop("debug")  # read from the command line by harness.cli.main
        config = given.pop("config", None)
        flags = {name: given.pop(name) for name in fields}
        command(settings=merge(config, flags, models), **given)

    # typer makes its options from the signature
    own = [
        p.replace(annotation=p.annotation)
        if p.kind is p.POSITIONAL_OR_KEYWORD
        else _parameter(p.name, p.annotation, p.default)
        for p in inspect.signature(command, eval_str=True).parameters.values()
        if p.name != "settings"
    ]
    by_panel: dict[str, list[inspect.Parameter]] = {panel: [] for panel in (*PANELS, CONVENTIONS)}
    if "config" not in leaves:
        by_panel[WHAT].append(_parameter("config", _config(WHAT), None))
    for name in names:
        annotation = Annotated[_kind(fields[name]), _option(name, fields[name])]  # type: ignore[valid-type]
        by_panel[extra_of(fields[name])["panel"]].append(_parameter(name, annotation, None))
    settings = [parameter for panel in PANELS for parameter in by_panel[panel]]
    debug = _parameter("debug", DEBUG, False)
    arguments = [p for p in own if p.kind is p.POSITIONAL_OR_KEYWORD]
    own = [p for p in own if p not in arguments]
    parameters = [*arguments, debug, *settings, *own, *by_panel[CONVENTIONS]]
    with_settings.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_settings.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_settings


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _config(panel: str) -> Any:
    words = "TOML file of settings, named as the flags; flags win."
    option = typer.Option(metavar="FILE", help=words, rich_help_panel=panel, show_default=False)
    return Annotated[Path | None, option]


def _kind(field: FieldInfo) -> Any:
    """The type of a flag: values come as text, which the model reads as it reads that of a file."""
    from harness.experiment.setting import is_list, is_switch

    if is_switch(field):
        return bool | None
    return list[str] | None if is_list(field) or _is_table(field) else str | None


def _is_table(field: FieldInfo) -> bool:
    return field.get_default(call_default_factory=False) == {}


def _option(name: str, field: FieldInfo) -> Any:
    """The flag of a setting."""
    from harness.experiment.setting import extra_of, is_switch

    extra, spelling = extra_of(field), name.replace("_", "-")
    switch = is_switch(field)
    flag = extra["flag"] or (f"--{spelling}/--no-{spelling}" if switch else f"--{spelling}")
    return typer.Option(
        flag,
        metavar=None if switch else extra["metavar"] or _metavar(field),
        help=help_of(field).replace("[", r"\["),
        rich_help_panel=extra["panel"],
        show_default=False,
    )


def _metavar(field: FieldInfo) -> str:
    from harness.experiment.setting import choices, value_type

    if choices(field):
        return "NAME"
    return "N" if value_type(field.annotation) is int else "NUMBER"


def help_of(field: FieldInfo) -> str:
    """A setting in words: its description, the names it may have, its default."""
    from harness.experiment.setting import choices, extra_of

    extra, names, default = extra_of(field), choices(field), field.default
    words = str(field.description)
    if "{choices}" in words:
        told = [f"{name} (default)" if name == default else name for name in names]
        return words.format(choices=f"{', '.join(told[:-1])} or {told[-1]}")
    shown = extra["shown"]
    if shown is None and field.default_factory is None and field.annotation is not bool:
        shown = _as_typed_default(default)
    return f"{words} [{shown}]" if shown else words


def _as_typed_default(default: Any) -> str:
    if default is None or default == ():
        return ""
    return f"{default:g}" if isinstance(default, float) else str(default)


def merge(
    config: Path | None, flags: dict[str, Any], models: Sequence[type[Settings]]
) -> dict[str, Any]:
    """Settings from a configuration file with the given flags over them.

    :class:`~harness.errors.InputError` for what none of the models that the command takes would use.
    """
    from harness.experiment.config import read_config
    from harness.experiment.execution import Execution
    from harness.experiment.overrides import layered, parse_overrides
    from harness.experiment.variants import parse_variants

    given = {name: value for name, value in flags.items() if value not in (None, [])}
    if "overrides" in given:
        given["overrides"] = parse_overrides(given["overrides"])
    if "variants" in given:
        given["variants"] = parse_variants(given["variants"])
    settings = layered(read_config(config), given) if config is not None else given
    if "variants" in given:
        settings = _with_variants(settings, given["variants"])
    for name in settings:
        if name in Execution.model_fields and Execution not in models:
            raise InputError(
                f"{name}: found in {str(config)!r}; allowed: with harness run, which alone asks how an "
                "experiment is carried out"
            )
    _overrides_are_used(given.get("overrides", {}), settings.get("backends"))
    return settings


def _with_variants(settings: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The settings with the variants of flags among the backends: who names one wants it."""
    from harness.experiment.setting import comma_separated

    chosen = comma_separated(settings.get("backends"))
    if not isinstance(chosen, list):
        return settings
    there = {str(name).partition("@")[0] for name in chosen}
    return settings | {"backends": [*chosen, *(name for name in names if name not in there)]}


def _overrides_are_used(overrides: Iterable[str], backends: Any) -> None:
    """Refuse an override of a backend that does not run."""
    from harness.experiment.setting import comma_separated

    chosen = comma_separated(backends)
    for backend in overrides if isinstance(chosen, list) and "all" not in chosen else ():
        if backend not in chosen:
            raise InputError(
                f"override: found {backend!r}, which does not run; allowed: {', '.join(map(str, chosen))}"
            )
