"""A plan as data for JSON, and back: exact, with the version of the layout.

Every dataclass becomes an object with its class under "is"; tuples become arrays. A plan of
another version is refused, never guessed.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

from headrace.plan import operators
from headrace.values import schema
from headrace.values.errors import StateRefused

VERSION = 1

_CLASSES: dict[str, type[Any]] = {
    f"{prefix}{name}": cls
    for module, prefix in ((operators, ""), (schema, "schema."))
    for name, cls in vars(module).items()
    if isinstance(cls, type) and is_dataclass(cls) and cls.__module__ == module.__name__
}
_NAMES = {cls: name for name, cls in _CLASSES.items()}


def plan_to_text(plan: operators.Plan) -> str:
    """The plan as JSON text."""
    return json.dumps({"version": VERSION, "plan": to_data(plan)}, ensure_ascii=False)


def plan_from_text(text: str) -> operators.Plan:
    """The plan that `plan_to_text` wrote; StateRefused for another version."""
    data = json.loads(text)
    if data.get("version") != VERSION:
        raise StateRefused(
            f"a stored plan has version {data.get('version')}; this Headrace reads {VERSION}",
            remedy="Use the Headrace that wrote it, or rebuild the state.",
        )
    plan = from_data(data["plan"])
    assert isinstance(plan, operators.Plan)
    return plan


def to_data(value: Any) -> Any:
    """Dataclasses of the plan and the schema as dicts, lists and plain values."""
    if is_dataclass(value) and not isinstance(value, type):
        made = {f.name: to_data(getattr(value, f.name)) for f in fields(value)}
        return {"is": _NAMES[type(value)], **made}
    if isinstance(value, tuple):
        return [to_data(item) for item in value]
    return value


def from_data(data: Any) -> Any:
    """What `to_data` was given."""
    if isinstance(data, dict):
        parts = {key: from_data(value) for key, value in data.items() if key != "is"}
        return _CLASSES[data["is"]](**parts)
    if isinstance(data, list):
        return tuple(from_data(item) for item in data)
    return data
