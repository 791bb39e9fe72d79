"""What a setting is: a typed field with words for a person.

Flags, ``--help``, the keys of a TOML file and the keywords from Python all follow from the fields of
:class:`~harness.experiment.experiment.Experiment` and :class:`~harness.experiment.execution.Execution`:
nothing of a setting is said a second time.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

from backends.settings import name_here
from harness.errors import InputError, unknown

# The panels of --help, in their order.
WHAT, DATA, NETWORK = "What to run", "Data", "Network"
GRID, REPEATS, EXECUTION = "Grid and training", "Repeats", "How to run it"
CONVENTIONS = "Conventions of other programs (rarely needed)"
PANELS = (WHAT, DATA, NETWORK, GRID, REPEATS, EXECUTION)  # then a verb's own, then CONVENTIONS


def setting(
    default: Any,
    description: str,
    panel: str,
    *,
    flag: str | None = None,
    metavar: str | None = None,
    shown: str | None = None,
    allowed: str | None = None,
    **constraints: Any,
) -> Any:
    """A field of a model, with what its flag needs.

    ``description`` is the flag's help, where ``{choices}`` stands for the names it may have; ``shown``
    the default as a person would type it; ``allowed`` what is allowed, where the type does not say it.
    """
    extra: dict[str, Any] = {"panel": panel, "flag": flag, "metavar": metavar}
    extra |= {"shown": shown, "allowed": allowed}
    how = {"default_factory": default} if callable(default) else {"default": default}
    return Field(description=description, json_schema_extra=extra, **how, **constraints)


def comma_separated(value: Any) -> Any:
    """``a,b`` or ``["a,b", "c"]`` as a list; what is neither text nor a list of it as it is."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not any(isinstance(part, str) for part in parts):
        return [value] if isinstance(value, int | float) else value
    split = [part.split(",") if isinstance(part, str) else [part] for part in parts]
    flat = [item.strip() if isinstance(item, str) else item for part in split for item in part]
    return [item for item in flat if item != ""]


def _switch(value: Any) -> Any:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


CommaSeparated = BeforeValidator(comma_separated)
Switch = Annotated[bool, BeforeValidator(_switch), Field(strict=True)]


class Settings(BaseModel):
    """Named settings, immutable; what is wrong with one is an :class:`~harness.errors.InputError`."""

    # validators are built when the first settings are read, which --help does without
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    if not TYPE_CHECKING:  # for a type checker the constructor has the fields as keywords

        def __init__(self, /, **given: Any) -> None:
            try:
                super().__init__(**given)
            except ValidationError as error:
                raise InputError(one_line(error, type(self))) from None

    @field_validator("*", mode="before")
    @classmethod
    def _as_given(cls, value: Any, info: ValidationInfo) -> Any:
        """Text ``none`` where there may be nothing; no truth value for a number, though Python has it."""
        field = cls.model_fields[str(info.field_name)]
        optional = types.NoneType in get_args(field.annotation)
        if (
            isinstance(value, str)
            and value == "none"
            and optional
            and str not in get_args(field.annotation)
        ):
            return None
        items = value if isinstance(value, list | tuple) else [value]
        if not is_switch(field) and any(isinstance(item, bool) for item in items):
            raise InputError(f"found {value!r}; allowed: {allowed_words(field)}")
        return value


def choices(field: FieldInfo) -> tuple[str, ...]:
    """The names that a setting, or each item of it, can have; none if it is no choice among names."""
    kind = value_type(field.annotation)
    return get_args(kind) if get_origin(kind) is Literal else ()


def is_switch(field: FieldInfo) -> bool:
    """Whether a setting is true or false, or left to be found out."""
    return value_type(field.annotation) is bool


def is_list(field: FieldInfo) -> bool:
    """Whether a setting has several values."""
    return get_origin(field.annotation) is tuple


def extra_of(field: FieldInfo) -> dict[str, Any]:
    """What :func:`setting` was told of a field, beside its type and default."""
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    return extra


def value_type(kind: Any) -> Any:
    """The type of one value, from an annotation: without None, tuple and bounds."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated or origin is tuple:
        return value_type(inner[0])
    if origin in (Union, types.UnionType) and types.NoneType in inner:
        return value_type(next(part for part in inner if part is not types.NoneType))
    if origin in (Union, types.UnionType) and get_origin(inner[-1]) is tuple:  # one, or several
        return value_type(inner[0])
    return kind


def _bounds(kind: Any) -> Iterable[Any]:
    """The constraints that stand inside an annotation."""
    for part in get_args(kind):
        yield from part.metadata if isinstance(part, FieldInfo) else _bounds(part)


def allowed_words(field: FieldInfo) -> str:
    """What a setting may be, in words made from its type and bounds."""
    told = extra_of(field)["allowed"]
    if told:
        return str(told)
    kind = value_type(field.annotation)
    if names := choices(field):
        return ", ".join(names)
    if kind is bool:
        return "true or false"
    if kind is str:
        return "text"
    bounds: dict[str, float] = {}
    for bound in (*field.metadata, *_bounds(field.annotation)):
        bounds |= {k: getattr(bound, k) for k in ("ge", "gt", "lt", "le") if hasattr(bound, k)}
    number = "a whole number" if kind is int else "a finite number"
    if "le" in bounds:
        return f"{number} from {bounds['ge']:g} to {bounds['le']:g}"
    if "lt" in bounds:
        low = f"from {bounds['ge']:g} to" if "ge" in bounds else f"above {bounds['gt']:g} and"
        return f"{number} {low} below {bounds['lt']:g}"
    if "gt" in bounds:
        return f"{number} above {bounds['gt']:g}"
    return f"{number}, {bounds['ge']:g} or above" if "ge" in bounds else number


def unknown_setting(name: str, names: Iterable[str], what: str = "setting") -> InputError:
    """The error for a setting that there is not, with what it is called here."""
    names, ours = list(names), name_here(name)
    return unknown(what, name, names, ours if ours in names else None)


def one_line(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault of a validation as one line: the setting, what was found, what is allowed."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    kind, found = first["type"], first["input"]
    if kind == "value_error":
        said = str(first["ctx"]["error"])
        return f"{name}: {said}" if name else said
    if kind == "extra_forbidden":
        return str(unknown_setting(name, model.model_fields))
    field = model.model_fields[name]
    if kind == "too_short":
        return f"{name}: found nothing; allowed: at least one value"
    if isinstance(found, list) and choices(field):  # one of several names
        wrong = [e["input"] for e in error.errors() if e["loc"][0] == name]
        found = next((one for one in wrong if isinstance(one, str)), found)
    if isinstance(found, str) and choices(field):
        return str(unknown(name, found, choices(field)))
    point = value_type(field.annotation) is float and isinstance(found, str) and "," in found
    meant = found.replace(",", ".", 1) if point else ""
    hint = f"; decimals have a point: {meant}" if _is_number(meant) else ""
    return f"{name}: found {_as_typed(found)}; allowed: {allowed_words(field)}{hint}"


def _as_typed(value: Any) -> str:
    """A value as a person would type it: numbers without quotes, also where they came as text."""
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) and _is_number(value) else repr(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
