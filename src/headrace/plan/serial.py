"""A plan as data for JSON, exact, with the version of the layout.

Every dataclass becomes an object with its class under "is"; tuples become arrays.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from headrace.plan import operators
from headrace.values import schema

VERSION = 1

_NAMES: dict[type[Any], str] = {
    cls: f"{prefix}{name}"
    for module, prefix in ((operators, ""), (schema, "schema."))
    for name, cls in vars(module).items()
    if isinstance(cls, type) and is_dataclass(cls) and cls.__module__ == module.__name__
}


def to_data(value: Any) -> Any:
    """Dataclasses of the plan and the schema as dicts, lists and plain values."""
    if is_dataclass(value) and not isinstance(value, type):
        made = {f.name: to_data(getattr(value, f.name)) for f in fields(value)}
        return {"is": _NAMES[type(value)], **made}
    if isinstance(value, tuple):
        return [to_data(item) for item in value]
    return value
