"""Records of topics as they ought to be: rows as JSON, keys as text, and their order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from headrace.plan.operators import Column
from tests.reference.compare import Between, same_row
from tests.reference.events import Values


def json_of(value: Any) -> Any:
    """What Python's JSON reads where a value was written."""
    if isinstance(value, Mapping):
        return {name: json_of(v) for name, v in value.items()}
    if isinstance(value, list):
        return [json_of(v) for v in value]
    if isinstance(value, datetime):
        return _moment(value, "T") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def row_key(row: Values, key: Sequence[Column]) -> str:
    """The key of a record: a single value's text, else (several, none, null) a JSON object."""
    if len(key) == 1 and row[key[0].name] is not None:
        return _text(row[key[0].name], key[0].type)
    return canonical(json.dumps({c.name: json_of(row[c.name]) for c in key}))


def canonical(key: str) -> str:
    """The same text for the same JSON object; any other text as it is."""
    if not key.startswith("{"):
        return key
    return json.dumps(json.loads(key), sort_keys=True)


def compacted(records: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """(key, value) in order: the last value of each key, unless that is a delete."""
    return {key: value for key, value in dict(records).items() if value is not None}


def merged(found: Sequence[Any], parts: Sequence[Sequence[Any]]) -> bool:
    """Whether `found` holds all of `parts`, each in its order, in any way between each other."""
    reached = {tuple(0 for _ in parts)}
    for value in found:
        reached = {
            (*at[:i], at[i] + 1, *at[i + 1 :])
            for at in reached
            for i, part in enumerate(parts)
            if at[i] < len(part) and same_row(value, part[at[i]])
        }
    return tuple(len(part) for part in parts) in reached


def _text(value: Any, type_: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return _moment(value, " ")
    if isinstance(value, Decimal):
        scale = int(type_.rpartition(",")[2].rstrip(")"))
        return str(value.quantize(Decimal(1).scaleb(-scale)))
    assert isinstance(value, str | int | float | date) and not isinstance(value, Between)
    return str(value)


def _moment(value: datetime, between: str) -> str:
    text = value.isoformat(sep=between)
    return text.rstrip("0") if "." in text else text
