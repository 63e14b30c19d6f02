"""Annotations of event classes to the types of a schema."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from headrace.language.location import caller
from headrace.values.errors import DefinitionError
from headrace.values.schema import DecimalType, ListType, LiteralType, Scalar, Type

_PLAIN: dict[object, Scalar] = {
    str: Scalar("str"),
    int: Scalar("int"),
    float: Scalar("float"),
    bool: Scalar("bool"),
    datetime: Scalar("datetime"),
    date: Scalar("date"),
}
_KNOWN = (
    "Use str, int, float, bool, datetime, date, Annotated[Decimal, hr.Precision(18, 2)], "
    "Literal[…], list[X], X | None, or a class of hr.Struct."
)


@dataclass(frozen=True)
class Precision:
    """The size of a Decimal field: `precision` digits in all, `scale` of them behind the point.

    `amount: Annotated[Decimal, Precision(18, 2)]` holds up to 9999999999999999.99.
    """

    precision: int
    scale: int = 0

    def __post_init__(self) -> None:
        if not (1 <= self.precision <= 38 and 0 <= self.scale <= self.precision):
            raise DefinitionError(
                f"Precision({self.precision}, {self.scale}) is not possible",
                where=caller(),
                remedy="1 to 38 digits in all, and between 0 and all of them behind the point.",
            )


def field_type(
    annotation: Any, place: str, struct: Callable[[type], Type | None]
) -> tuple[Type, bool]:
    """The type of a field and whether it may be null.

    `place` ("UserActivity.user_id") names the field in errors; `struct` gives the type of a
    nested class, None for a class that is no Struct. Raises DefinitionError in words.
    """
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        members = get_args(annotation)
        others = [m for m in members if m is not type(None)]
        if len(others) == 1 and len(others) < len(members):
            return field_type(others[0], place, struct)[0], True
        raise _refused(annotation, place, "one field has one type; only X | None may be joined")
    return _plain_type(annotation, place, struct), False


def _plain_type(annotation: Any, place: str, struct: Callable[[type], Type | None]) -> Type:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Literal:
        return _literal(annotation, arguments, place)
    if origin is list:
        item, nullable = field_type(arguments[0], f"{place}[]", struct)
        return ListType(item, nullable)
    if origin is Annotated:
        return _annotated(annotation, place, struct)
    if annotation is Decimal:
        raise _refused(
            annotation, place, "say how many digits: Annotated[Decimal, hr.Precision(18, 2)]"
        )
    if annotation is list:
        raise _refused(annotation, place, "say of what: list[str]")
    if isinstance(annotation, type):
        nested = struct(annotation)
        if nested is not None:
            return nested
    raise _refused(annotation, place, _hint(annotation))


def _literal(annotation: Any, values: tuple[Any, ...], place: str) -> LiteralType:
    for kind in (str, int):
        if all(type(value) is kind for value in values):
            return LiteralType(values)
    raise _refused(annotation, place, "a Literal holds text only, or integers only")


def _annotated(annotation: Any, place: str, struct: Callable[[type], Type | None]) -> Type:
    inner, *notes = get_args(annotation)
    sizes = [note for note in notes if isinstance(note, Precision)]
    if inner is Decimal and len(sizes) == 1:
        return DecimalType(sizes[0].precision, sizes[0].scale)
    if sizes:
        raise _refused(annotation, place, "Precision belongs to one Decimal")
    return _plain_type(inner, place, struct)


def _hint(annotation: Any) -> str:
    if annotation is dict or get_origin(annotation) is dict:
        return "declare its fields in a class of hr.Struct"
    if annotation in (tuple, set, frozenset) or get_origin(annotation) in (tuple, set, frozenset):
        return "JSON has lists: list[X]"
    if annotation is bytes:
        return "JSON has no bytes: take str and decode it with from_base64 or unhex"
    return ""


def _refused(annotation: Any, place: str, hint: str) -> DefinitionError:
    shown = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    shown = shown.replace("typing.", "").replace("NoneType", "None")
    what = f"{place}: an event cannot have a field of type {shown}"
    said = f"{what}; {hint}" if hint else what
    return DefinitionError(said, where=caller(), remedy=_KNOWN)
