"""Fields that records have and their event class does not declare: every view ignores them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from headrace.plan.operators import Source
from headrace.storage.contract import Finding, Topic
from headrace.values.errors import HeadraceError, near_name
from headrace.values.schema import Field, ListType, StructType, Type

SAMPLE = 1_000
_NAMED_MAX = 5


def undeclared(source: Source, opened: Callable[[], Topic | None]) -> Iterator[Finding]:
    """How many of the newest records have such fields: an estimate from about `SAMPLE` of them.

    Says nothing of a topic that is not there or cannot be read; others do.
    """
    try:
        topic = opened()
        values = [] if topic is None else _newest(topic)
    except (HeadraceError, OSError):
        return
    found: Counter[str] = Counter()
    near: dict[str, str] = {}
    for value in values:
        paths = dict(_paths(_object(value), source.schema.fields))
        found.update(paths.keys())
        near |= {path: name for path, name in paths.items() if name is not None}
    if found:
        yield _finding(source, len(values), found, near)


def _newest(topic: Topic) -> list[bytes]:
    each = -(-SAMPLE // topic.partitions)
    stop = topic.end_offsets()
    begin = topic.begin_offsets()
    start = [max(b, e - each) for b, e in zip(begin, stop, strict=True)]
    values: list[bytes] = []
    while len(values) < SAMPLE:
        fetched = topic.fetch(start, stop, records_max=SAMPLE)
        if fetched.next_offsets == start:
            break
        start = fetched.next_offsets
        values += [v for v in fetched.records.column("value").to_pylist() if v is not None]
    return values


def _object(value: bytes) -> dict[str, Any]:
    """The record as an object; empty where it is none: that is a dead letter, told elsewhere."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _paths(
    value: dict[str, Any], fields: tuple[Field, ...], inside: str = ""
) -> Iterator[tuple[str, str | None]]:
    """The path of each member that `fields` do not declare, and a declared name that is near.

    A declared one that the record has, too, is not what was meant.
    """
    types = {field.name: field.type for field in fields}
    for name, member in value.items():
        if name in types:
            for item, within in _structs(member, types[name]):
                yield from _paths(item, within.fields, f"{inside}{name}.")
        else:
            yield inside + name, near_name(name, [known for known in types if known not in value])


def _structs(member: Any, type_: Type) -> Iterator[tuple[dict[str, Any], StructType]]:
    """The objects in a member that are declared as such, also in lists."""
    if isinstance(type_, ListType) and isinstance(member, list):
        for item in member:
            yield from _structs(item, type_.item)
    elif isinstance(type_, StructType) and isinstance(member, dict):
        yield member, type_


def _finding(source: Source, count: int, found: Counter[str], near: dict[str, str]) -> Finding:
    often = sorted(found.items(), key=lambda of: (-of[1], of[0]))
    told = [f"{_shown(path)} ({_share(n, count)})" for path, n in often[:_NAMED_MAX]]
    more = f" and {len(found) - _NAMED_MAX} more" if len(found) > _NAMED_MAX else ""
    text = (
        f"the newest {count:,} records of {source.topic} also have {', '.join(told)}{more}: "
        "not declared, so no view sees them; the log keeps them"
    )
    subject = f"event {source.schema.name}"
    meant = next((path for path, _ in often if path in near), None)
    if meant is None:
        return Finding("ok", subject, text)
    remedy = (
        f'Did you mean "{_shown(meant)}" where {source.schema.name} declares "{near[meant]}"? '
        "Declare it as the records write it."
    )
    return Finding("warning", subject, text, remedy)


def _share(number: int, count: int) -> str:
    return f"{number / count:.0%}" if number * 100 >= count else "< 1%"


def _shown(path: str) -> str:
    """A name that comes from outside, in a line of the terminal."""
    return json.dumps(path[:40])[1:-1]
