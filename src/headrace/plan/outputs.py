"""Outputs: which destination takes which rows, by which key."""

from __future__ import annotations

from headrace.language.definition import OutputSpec
from headrace.plan.operators import Column, Output, SessionGap, Stream, View
from headrace.plan.rows import Rows
from headrace.values.errors import DefinitionError, did_you_mean

_STARTS = ("window_start", "session_start_time")


def stream_output(spec: OutputSpec, stream: Stream, rows: Rows) -> Output:
    """A stream on its way to a lake or a topic."""
    if spec.emit == "final":
        raise _refused(
            spec, 'emit="final" is for windows and sessions; a stream has none that could close'
        )
    key: tuple[str, ...] = ()
    if spec.role == "topic":
        key = _topic_key(spec, rows)
    return _output(spec, stream.name, key, partition_by=_partition(spec, stream.columns))


def view_output(spec: OutputSpec, view: View, full: tuple[str, ...] | None = None) -> Output:
    """A view on its way to any destination; `full` is the row's key if not all key columns."""
    row_key = view.key_columns if full is None else full
    if spec.emit == "final" and not any(name in _STARTS for name in row_key):
        raise _refused(
            spec,
            'emit="final" waits for a window or a session to close, and this view has none',
            remedy='Leave it out: emit="changes" is what running totals do.',
        )
    if spec.role == "lake":
        return _lake(spec, view)
    key = row_key if spec.key is None else _columns(spec, spec.key, view.columns, "key")
    order = _order(spec, view, key, row_key) if set(key) != set(row_key) else ()
    score = None if spec.score is None else _score(spec, view)
    wide = {} if spec.role != "wide_table" else _wide(spec, view)
    return _output(spec, view.name, key, order=order, score=score, **wide)


def _lake(spec: OutputSpec, view: View) -> Output:
    if spec.emit != "final":
        raise _refused(
            spec,
            "a lake only grows, so changes of a view cannot go into it",
            remedy='Write lake(…, emit="final") for each window\'s row once, when it closes, or '
            "table(…).",
        )
    return _output(spec, view.name, (), partition_by=_partition(spec, view.columns))


def _order(
    spec: OutputSpec, view: View, key: tuple[str, ...], row_key: tuple[str, ...]
) -> tuple[str, ...]:
    """The columns by which a smaller key keeps its greatest row."""
    beyond = [name for name in key if name not in row_key]
    if beyond:
        raise _refused(
            spec,
            f"key {', '.join(beyond)} does not identify a row of the view",
            remedy=f"Rows are identified by {', '.join(row_key) or 'nothing: there is one'}; "
            "take all or some of these.",
        )
    start = next((name for name in row_key if name in _STARTS), None)
    if start is None:
        raise _refused(
            spec,
            f"key {', '.join(key)} leaves out {', '.join(n for n in row_key if n not in key)}, "
            "and running totals have no start by which the latest row could be kept",
            remedy=f"Take the whole key ({', '.join(row_key)}), or by({', '.join(key)}).",
        )
    if view.having is not None or view.top is not None:
        step = "top(…)" if view.top is not None else "where(…) on the result"
        raise _refused(
            spec,
            f"a smaller key cannot stand with {step}, which withdraws rows without a successor",
            remedy=f"Take the whole key: {', '.join(row_key)}.",
        )
    others = [n for n in row_key if n != start and n not in key]
    if isinstance(view.window, SessionGap) and others:
        raise _refused(
            spec,
            f"a smaller key that leaves out {', '.join(others)} cannot stand with "
            "session(gap=…): an event that joins two sessions withdraws the later one, and the row "
            "before it is no longer held",
            remedy=f"Leave out nothing but the start: key={_names(row_key, start)}; or take the "
            f"whole key: {', '.join(row_key)}.",
        )
    return (start, *others)


def _names(row_key: tuple[str, ...], start: str) -> str:
    """The columns but the start, as `key` is written."""
    names = tuple(n for n in row_key if n != start)
    return f'"{names[0]}"' if len(names) == 1 else str(names).replace("'", '"')


def _topic_key(spec: OutputSpec, rows: Rows) -> tuple[str, ...]:
    """The columns whose values key the records: those named, else those of the source's key."""
    columns = tuple(Column(name, type_) for name, type_ in rows.columns)
    if spec.key is not None:
        return _columns(spec, spec.key, columns, "key")
    if rows.source.key is None:
        return ()
    path = tuple(rows.source.key.split("."))
    found = next((n for n, _ in rows.columns if rows.origins.get(n) == path), None)
    if found is None:
        raise _refused(
            spec,
            f"the key of topic {rows.source.topic}, {rows.source.key}, is no column of the row",
            remedy=f'Add it: with_columns({path[-1]}="{rows.source.key}"), or name another: '
            "key=… (key=() for records without one).",
        )
    return (found,)


def _score(spec: OutputSpec, view: View) -> str:
    (name,) = _columns(spec, (spec.score or "",), view.columns, "score")
    type_ = next(c.type for c in view.columns if c.name == name)
    numbers = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE")
    if type_ not in numbers and not type_.startswith("DECIMAL"):
        raise _refused(spec, f"score {name} is {type_}; a ranking is by a number")
    return name


def _wide(spec: OutputSpec, view: View) -> dict[str, tuple[str, ...]]:
    return {
        "partition_by": _columns(spec, spec.partition_by, view.columns, "partition_by"),
        "cluster_by": _columns(spec, spec.cluster_by, view.columns, "cluster_by"),
    }


def _partition(spec: OutputSpec, columns: tuple[Column, ...]) -> tuple[str, ...]:
    names = _columns(spec, spec.partition_by, columns, "partition_by")
    for column in columns:
        if column.name in names and (
            "(" in column.type.removeprefix("DECIMAL(") or "[" in column.type
        ):
            raise _refused(spec, f"partition_by {column.name} is {column.type}, not one value")
        if column.name in names and column.type.startswith(("DECIMAL(", "DOUBLE", "FLOAT")):
            raise _refused(
                spec,
                f"partition_by {column.name} is {column.type}, of which a path would not be exact",
                remedy="Partition by a date, a text, a whole number, a time or a truth value.",
            )
    return names


def _columns(
    spec: OutputSpec, names: tuple[str, ...], columns: tuple[Column, ...], what: str
) -> tuple[str, ...]:
    """`names` as the columns are written; DefinitionError for one that is not there."""
    valid = [c.name for c in columns]
    found = []
    for name in names:
        match = next((v for v in valid if v.lower() == name.lower()), None)
        if match is None:
            raise _refused(
                spec, f'{what}: there is no column "{name}"', remedy=did_you_mean(name, valid)
            )
        found.append(match)
    return tuple(found)


def _output(
    spec: OutputSpec,
    input: str,
    key: tuple[str, ...],
    *,
    order: tuple[str, ...] = (),
    partition_by: tuple[str, ...] = (),
    cluster_by: tuple[str, ...] = (),
    score: str | None = None,
) -> Output:
    return Output(
        name=spec.name,
        role=spec.role,
        input=input,
        key=key,
        order=order,
        emit=spec.emit,
        partition_by=partition_by,
        cluster_by=cluster_by,
        score=score,
        partitions=spec.partitions,
    )


def _refused(spec: OutputSpec, what: str, *, remedy: str | None = None) -> DefinitionError:
    role = spec.role.replace("_", " ")
    return DefinitionError(f"{role} {spec.name}: {what}", where=spec.where, remedy=remedy)
