"""The event time of a source as SQL over its event's columns."""

from __future__ import annotations

from headrace.plan.operators import Source
from headrace.values.schema import Scalar, StructType, Type, quote

_SCALE = {"s": 1_000_000, "ms": 1_000, "us": 1}


def time_sql(source: Source) -> str:
    """A TIMESTAMP (UTC): the field or path declared as time; null where the source has none."""
    if source.time is None:
        return "null::timestamp"
    names = source.time.split(".")
    path = ".".join(quote(n) for n in names)
    if source.time_unit is None or _type(source, names) == Scalar("datetime"):
        return path
    return f"try(make_timestamp({path} * {_SCALE[source.time_unit]}))"


def _type(source: Source, names: list[str]) -> Type:
    type_: Type = source.schema.field(names[0]).type
    for name in names[1:]:
        assert isinstance(type_, StructType)
        type_ = next(f.type for f in type_.fields if f.name == name)
    return type_
