"""Event classes: what a record must look like to be accepted, as annotations."""

from __future__ import annotations

import inspect
import sys
import typing
from typing import Any, ClassVar

from headrace.language.annotations import field_type
from headrace.language.location import caller
from headrace.language.names import WINDOW_COLUMNS
from headrace.values.errors import DefinitionError
from headrace.values.schema import Field, Schema, StructType, Type


class Struct:
    """A nested object of an event, as annotated fields.

    >>> class Participant(Struct):
    ...     championName: str
    ...     kills: int
    """

    _written_in: ClassVar[tuple[dict[str, Any], dict[str, Any]]] = ({}, {})

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # Annotations that are text may name classes of the function that holds this class.
        frame = sys._getframe(1)
        cls._written_in = (frame.f_globals, frame.f_locals)


class Event(Struct):
    """What a record of a topic must look like: annotated fields, and optionally `checks`.

    Fields: str, int, float, bool, datetime, date, Annotated[Decimal, Precision(18, 2)],
    Literal[…], list[X], a Struct, and X | None for fields that may be null or missing.
    `checks` names conditions in SQL; a record for which one is false is dead-lettered.

    >>> class Order(Event):
    ...     order_id: str
    ...     quantity: int
    ...     checks = {"quantity": "quantity > 0"}
    """

    checks: ClassVar[dict[str, str]] = {}


def schema_of(event: type[Event]) -> Schema:
    """The schema that an event class declares; DefinitionError for what cannot be one."""
    if not (isinstance(event, type) and issubclass(event, Event)) or event is Event:
        raise DefinitionError(
            f"a source reads events of a class, not {event!r}",
            where=caller(),
            remedy="Declare one: class Order(hr.Event): with annotated fields.",
        )
    fields = _fields(event, (event,))
    for field in fields:
        if field.name.startswith("_") or field.name.lower() in WINDOW_COLUMNS:
            raise DefinitionError(
                f'{event.__name__}: no field may be called "{field.name}"',
                where=caller(),
                remedy="Names beginning with _ , window_start and window_end belong to Headrace.",
            )
    return Schema(event.__name__, fields)


def checks_of(event: type[Event]) -> tuple[tuple[str, str], ...]:
    """Name and expression of each declared check."""
    if not isinstance(event.checks, dict) or not all(
        isinstance(part, str) for pair in event.checks.items() for part in pair
    ):
        raise DefinitionError(
            f"{event.__name__}.checks is not a dict of texts",
            where=caller(),
            remedy='Write checks = {"name": "expression"}.',
        )
    return tuple(event.checks.items())


def _fields(cls: type[Struct], within: tuple[type, ...]) -> tuple[Field, ...]:
    def struct(nested: type) -> Type | None:
        if not issubclass(nested, Struct) or nested in (Struct, Event):
            return None
        if nested in within:
            raise DefinitionError(
                f"{cls.__name__}: {nested.__name__} contains itself", where=caller()
            )
        return StructType(_fields(nested, (*within, nested)))

    found: dict[str, Field] = {}
    for name, annotation in _annotations(cls).items():
        if issubclass(cls, Event) and name == "checks":
            raise DefinitionError(
                f'{cls.__name__}: no field may be called "checks"',
                where=caller(),
                remedy='An event names its checks there: checks = {"name": "expression"}. '
                "A field of an hr.Struct may be called so.",
            )
        type_, nullable = field_type(annotation, f"{cls.__name__}.{name}", struct)
        _check_default(cls, name, nullable)
        if any(name.lower() == other.lower() for other in found):
            raise DefinitionError(
                f'{cls.__name__}: two fields are called "{name}"; SQL does not tell case apart',
                where=caller(),
            )
        found[name] = Field(name, type_, nullable)
    if not found:
        raise DefinitionError(
            f"{cls.__name__} declares no field",
            where=caller(),
            remedy="Annotate at least one: user_id: str",
        )
    return tuple(found.values())


def _annotations(cls: type[Struct]) -> dict[str, Any]:
    """The annotations of a class and its bases, resolved where each of them was written."""
    merged: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if not issubclass(base, Struct) or base in (Struct, Event):
            continue
        own = inspect.get_annotations(base)
        if issubclass(base, Event) and isinstance(vars(base).get("checks"), dict):
            # However they are annotated, these are the checks and no field.
            own = {n: a for n, a in own.items() if n != "checks"}
        # A class, where ClassVar may stand.
        holder = type(base.__name__, (), {"__annotations__": own})
        globals_, locals_ = base._written_in
        try:
            hints = typing.get_type_hints(holder, globals_, dict(locals_), include_extras=True)
        except NameError as error:
            raise DefinitionError(
                f"{base.__name__}: an annotation names {error.name!r}, which is not defined",
                where=caller(),
                remedy="Define or import it above the class.",
            ) from error
        merged |= {n: a for n, a in hints.items() if ClassVar not in (a, typing.get_origin(a))}
    return merged


def _check_default(cls: type[Struct], name: str, nullable: bool) -> None:
    if hasattr(cls, name) and not (nullable and getattr(cls, name) is None):
        raise DefinitionError(
            f"{cls.__name__}.{name} has a default; a record says itself what it holds",
            where=caller(),
            remedy="Declare X | None for what may be missing, and write coalesce(…) in a step.",
        )
