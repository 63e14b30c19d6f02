"""Fingerprints: whether state that was kept still belongs to a view.

A view's covers what its rows depend on: expressions in canonical form, keys, window, the event
time and lateness, and the types of the paths it reads. Not: how the user wrote them, columns of
the event that it does not read (an added field), the values of a Literal, reasons of filters,
names of views. A column that nothing reads still counts when it may fail, since it then decides
which rows do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from headrace.plan.operators import (
    Dedupe,
    Explode,
    Expression,
    Filter,
    Job,
    Project,
    SessionMarks,
    Source,
    Step,
    Stream,
    View,
    has_dedupe,
)
from headrace.plan.parse import Text, Tree, children, parse
from headrace.plan.rewrite import lambda_parameters
from headrace.plan.rows import Path, path_of
from headrace.plan.serial import to_data
from headrace.values.schema import ListType, StructType, Type, quote, sql_type

_ELEMENT = "[]"
# Aggregates whose state has taken another form since it first was kept, with the form's number.
_STATE_FORMS = {"approx_quantile": 2}


def with_view_fingerprint(source: Source, view: View) -> View:
    """`view` with the fingerprint of what its rows depend on."""
    reads = [k.expression for k in view.keys]
    for call in view.aggregates:
        reads += [*call.arguments, *([call.filter] if call.filter else [])]
    if isinstance(view.window, SessionMarks):
        reads += [view.window.starts, *([view.window.ends] if view.window.ends else [])]
    uses = _uses(view.steps, reads)
    parts = [
        *_source_parts(source),
        uses.parts,
        _types(source, uses.paths),
        _bare(to_data(replace(view, name="", steps=(), columns=(), fingerprint=""))),
        *({c.id: _STATE_FORMS[c.function]} for c in view.aggregates if c.function in _STATE_FORMS),
    ]
    return replace(view, fingerprint=_digest(parts))


def with_stream_fingerprint(source: Source, stream: Stream) -> Stream:
    """`stream` with the fingerprint of what its rows depend on, but for columns passed on."""
    uses = _uses(stream.steps, _carried(stream))
    parts = [*_source_parts(source), uses.parts, _types(source, uses.paths), stream.whole]
    return replace(stream, fingerprint=_digest(parts))


def delivered_fingerprint(source: Source, stream: Stream) -> str:
    """What the rows depend on that a lake or topic keeps of `stream`.

    Unlike the stream's own, it is the same when only the event time or the lateness changes, unless
    duplicates hang on them; it covers which columns of the event are left out.
    """
    uses = _uses(stream.steps, _carried(stream))
    parts = _source_parts(source) if has_dedupe(stream) else [source.topic]
    columns = [c.name for c in stream.columns]
    if {f.name for f in source.schema.fields} <= set(columns):
        columns = []
    return _digest([*parts, uses.parts, _types(source, uses.paths), columns])


def _carried(stream: Stream) -> list[Expression]:
    """The added columns, as what reads them."""
    return [Expression(n, quote(n), "", (n,)) for n in sorted(a.name for a in stream.added)]


def with_job_fingerprint(job: Job) -> Job:
    """`job` with the fingerprint of everything in it but texts."""
    return replace(job, fingerprint=_digest([_bare(to_data(replace(job, fingerprint="")))]))


@dataclass
class _Uses:
    """What a chain of steps adds to a fingerprint, and the paths of the event that it reads."""

    paths: set[Path] = field(default_factory=set)
    parts: list[Any] = field(default_factory=list)

    def read(self, expressions: Iterable[Expression]) -> None:
        for expression in expressions:
            self.paths |= _paths(expression.sql)

    def take(self, name: str) -> set[Path]:
        """Removes and returns the paths that begin with the column `name`."""
        taken = {path for path in self.paths if path[0] == name}
        self.paths -= taken
        return taken


def _uses(steps: tuple[Step, ...], last: list[Expression]) -> _Uses:
    uses = _Uses()
    uses.read(last)
    for step in reversed(steps):
        match step:
            case Filter(condition):
                uses.parts.append(["where", condition.sql])
                uses.read([condition])
            case Dedupe(by, within_us):
                uses.parts.append(["dedupe", [e.sql for e in by], within_us])
                uses.read(by)
            case Explode(values, name):
                uses.parts.append(["explode", values.sql, name])
                _explode(uses, values, name)
            case Project():
                _project(uses, step)
    return uses


def _explode(uses: _Uses, values: Expression, name: str) -> None:
    path, elements = _path(values.sql), uses.take(name)
    if path is None:
        uses.read([values])
        return
    uses.paths |= {(*path, _ELEMENT, *element[1:]) for element in elements}
    if not elements:
        uses.paths.add((*path, _ELEMENT, _ELEMENT))  # only how many there are


def _project(uses: _Uses, step: Project) -> None:
    wanted = {named.name: uses.take(named.name) for named in step.columns}
    for named in step.columns:
        expression, paths = named.expression, wanted[named.name]
        path = _path(expression.sql)
        if path is not None:
            uses.paths |= {(*path, *inner[1:]) for inner in paths}
        if (paths and path != (named.name,)) or expression.can_fail:
            uses.parts.append(["column", named.name, expression.sql])
        if path is None and (paths or expression.can_fail):
            uses.read([expression])


def _source_parts(source: Source) -> list[Any]:
    return [source.topic, source.time, source.time_unit, source.lateness_us]


def _types(source: Source, paths: set[Path]) -> list[list[str]]:
    whole = StructType(source.schema.fields)
    return sorted([".".join(path), _type(whole, path)] for path in paths)


def _type(type_: Type, path: Path) -> str:
    for part in path:
        if isinstance(type_, StructType):
            found = next((f.type for f in type_.fields if f.name == part), None)
            if found is None:
                return "unknown"
            type_ = found
        elif isinstance(type_, ListType) and part == _ELEMENT:
            type_ = type_.item
        else:
            return "a list"
    return sql_type(type_)


@lru_cache(maxsize=4096)
def _paths(sql: str) -> frozenset[Path]:
    return frozenset(_paths_in(parse(Text(sql, "")), frozenset()))


@lru_cache(maxsize=4096)
def _path(sql: str) -> Path | None:
    return path_of(parse(Text(sql, "")))


def _paths_in(tree: Tree, parameters: frozenset[str]) -> set[Path]:
    path = path_of(tree)
    if path is not None:
        return set() if path[0].lower() in parameters else {path}
    if tree["class"] == "LAMBDA":
        return _paths_in(tree["expr"], parameters | lambda_parameters(tree))
    return {path for child in children(tree) for path in _paths_in(child, parameters)}


def _bare(data: Any) -> Any:
    """Data of a plan without the users' own words and what the binder concluded."""
    if isinstance(data, dict):
        left_out = (
            ("text", "columns", "can_fail") if data.get("is") == "Expression" else ("reason",)
        )
        return {key: _bare(value) for key, value in data.items() if key not in left_out}
    return [_bare(item) for item in data] if isinstance(data, list) else data


def _digest(parts: list[Any]) -> str:
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
