"""Sources: from what `source(…)` was given to the plan's `Source`, with all of it checked."""

from __future__ import annotations

from headrace.language.steps import SourceSpec
from headrace.plan.bind import bind_condition
from headrace.plan.operators import Check, Source
from headrace.plan.parse import Text
from headrace.plan.scope import Scope
from headrace.values.errors import DefinitionError, did_you_mean
from headrace.values.schema import Field, ListType, Scalar, StructType, sql_type


def build_source(spec: SourceSpec) -> Source:
    """The source, its key, time and checks bound against the event class."""
    key, time = _path(spec, spec.key, "key"), _path(spec, spec.time, "time")
    if key is not None:
        _check_key(spec, key)
    if time is not None:
        _check_time(spec, time)
    return Source(
        topic=spec.topic,
        schema=spec.schema,
        key=_joined(key),
        time=_joined(time),
        time_unit=spec.time_unit,
        lateness_us=spec.lateness_us,
        partitions=spec.partitions,
        idle_timeout_us=spec.idle_timeout_us,
        ahead_us_max=spec.ahead_us,
        value_bytes_max=spec.value_bytes_max,
        checks=_checks(spec),
    )


def _checks(spec: SourceSpec) -> tuple[Check, ...]:
    columns = tuple((f.name, sql_type(f.type)) for f in spec.schema.fields)
    scope = Scope(columns, f"event {spec.schema.name}")
    made = []
    for name, text in spec.checks:
        where = f"{spec.schema.name}.checks[{name!r}], read at {spec.where}"
        made.append(Check(name, bind_condition(Text(text, where), scope)))
    return tuple(made)


def _path(spec: SourceSpec, path: str | None, what: str) -> list[Field] | None:
    """The fields along a path, outermost first."""
    if path is None:
        return None
    found: list[Field] = []
    fields = spec.schema.fields
    for part in path.split("."):
        inside = ".".join(f.name for f in found)
        match = next((f for f in fields if f.name.lower() == part.lower()), None)
        if match is None:
            raise DefinitionError(
                f'{what}="{path}": {inside or "event " + spec.schema.name} has no field "{part}"',
                where=spec.where,
                remedy=did_you_mean(part, [f.name for f in fields]) or None,
            )
        found.append(match)
        fields = match.type.fields if isinstance(match.type, StructType) else ()
    return found


def _check_key(spec: SourceSpec, key: list[Field]) -> None:
    if isinstance(key[-1].type, StructType | ListType):
        raise DefinitionError(
            f'key="{spec.key}" is {_shown(key[-1])}; the key of a record is one value',
            where=spec.where,
            remedy="Name a field of text, a number, a date or a time.",
        )


def _check_time(spec: SourceSpec, time: list[Field]) -> None:
    optional = next((f for f in time if f.nullable), None)
    if optional is not None:
        raise DefinitionError(
            f'time="{spec.time}": {optional.name} may be null, so an event could have no time',
            where=spec.where,
            remedy=f"Declare {optional.name} without | None; records without it are dead-lettered.",
        )
    type_ = time[-1].type
    if type_ == Scalar("int"):
        if spec.time_unit is None:
            raise DefinitionError(
                f'time="{spec.time}" is an integer, which counts something since 1970',
                where=spec.where,
                remedy='Say what: time_unit="s", "ms" or "us".',
            )
    elif type_ != Scalar("datetime"):
        raise DefinitionError(
            f'time="{spec.time}" is {_shown(time[-1])}, which is not a time',
            where=spec.where,
            remedy="Name a field of type datetime, or an int together with time_unit.",
        )
    elif spec.time_unit is not None:
        raise DefinitionError(
            f'time="{spec.time}" is a datetime, which needs no time_unit', where=spec.where
        )


def _joined(path: list[Field] | None) -> str | None:
    return None if path is None else ".".join(f.name for f in path)


def _shown(field: Field) -> str:
    match field.type:
        case Scalar(name):
            return name
        case StructType():
            return "a struct"
        case ListType():
            return "a list"
    return sql_type(field.type)
