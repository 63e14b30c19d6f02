"""The plan: frozen data that every engine, `plan`, `check` and `verify` read.

One builder makes it from a definition (`plan/build.py`); nothing in it can run by itself. All
SQL in it was parsed and bound by DuckDB when the app was loaded, names its columns bare (no
table prefix), and is never parsed by us again. Durations and times are microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headrace.language.steps import Role
from headrace.plan.html import html_table
from headrace.values.schema import Schema

# Roles that keep one row per key; the others are appended to.
TABLE_ROLES = ("table", "index", "ranking", "wide_table")


@dataclass(frozen=True)
class Expression:
    """One bound SQL expression.

    `text` is what the user wrote, `sql` its canonical form, `type` the DuckDB type of its value,
    `columns` the top-level columns it reads, `can_fail` whether a row may make it raise (a cast,
    an overflow): only those pay for being caught. `changes_with_run` marks `processing_time()`.
    """

    text: str
    sql: str
    type: str
    columns: tuple[str, ...] = ()
    can_fail: bool = False
    changes_with_run: bool = False


@dataclass(frozen=True)
class Named:
    """An expression with the name of the column that it makes."""

    name: str
    expression: Expression


@dataclass(frozen=True)
class Check:
    """A declared check of an event class; a record for which it is false is dead-lettered."""

    name: str
    condition: Expression


@dataclass(frozen=True)
class Source:
    """A topic read as events of one class. `topic` is its name everywhere.

    `time` is the path of the event time inside the event (None: the stream has no time);
    `time_unit` is set when that field is an integer. `key` is the path of the topic's key.
    """

    topic: str
    schema: Schema
    key: str | None
    time: str | None
    time_unit: Literal["s", "ms", "us"] | None
    lateness_us: int
    partitions: int
    idle_timeout_us: int | None
    ahead_us_max: int
    value_bytes_max: int
    checks: tuple[Check, ...] = ()


# --- steps: rows to rows, in the order written -------------------------------------------------


@dataclass(frozen=True)
class Filter:
    """Keeps rows for which `condition` is true; others are `filtered` (null counts as false)."""

    condition: Expression
    reason: str | None = None


@dataclass(frozen=True)
class Project:
    """Replaces the row's columns by `columns`, all of them, in order.

    `keeps` is true for `with_columns` that only adds: all columns from before are among
    `columns` unchanged, and `added` names the new ones. `select` has `keeps=False`.
    """

    columns: tuple[Named, ...]
    keeps: bool
    added: tuple[str, ...] = ()


@dataclass(frozen=True)
class Explode:
    """One row per element of a list; the row keeps its columns and gains `name` (the element)."""

    values: Expression
    name: str


@dataclass(frozen=True)
class Dedupe:
    """Drops rows whose `by` their partition had at or above their watermark less `within_us`.

    `within_us=None` remembers for ever.
    """

    by: tuple[Expression, ...]
    within_us: int | None


Step = Filter | Project | Explode | Dedupe

# --- windows -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tumble:
    size_us: int
    offset_us: int = 0


@dataclass(frozen=True)
class Slide:
    """Windows of `size_us` every `every_us` (never greater); panes are their common divisor."""

    size_us: int
    every_us: int
    offset_us: int = 0


@dataclass(frozen=True)
class SessionGap:
    gap_us: int


@dataclass(frozen=True)
class SessionMarks:
    starts: Expression
    ends: Expression | None
    timeout_us: int


Window = Tumble | Slide | SessionGap | SessionMarks

# --- views, streams, outputs -------------------------------------------------------------------


@dataclass(frozen=True)
class AggregateCall:
    """One aggregate inside an `agg` expression; results refer to it by `id` (a0, a1, …).

    `function` is canonical (see language/aggregates.py), `arguments` are row expressions,
    `constants` are literal arguments such as a quantile's fraction, as SQL. `type` is the type
    of the value that results see (DuckDB's own: a sum of integers is HUGEINT; the result over
    it is cast to BIGINT). The value of `last_row` is a struct of its arguments: x0, x1, ….
    """

    id: str
    function: str
    arguments: tuple[Expression, ...]
    type: str
    distinct: bool = False
    filter: Expression | None = None
    constants: tuple[str, ...] = ()


@dataclass(frozen=True)
class Top:
    """The first `count` rows by `by` descending in each window and each group of `per`."""

    count: int
    by: str
    per: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """A column of a result: name and DuckDB type; `key` columns identify the row."""

    name: str
    type: str
    key: bool = False


@dataclass(frozen=True)
class View:
    """A keyed aggregate of one source, with state.

    `results` are expressions over the ids of `aggregates` (and nothing else). `columns` is the
    row as served: window or session columns and keys, then results, then `rank` for `top`; its
    key columns are the row's key: keys + window_start, or keys + session_start_time, or keys.
    `latest` marks a stream into a table: aggregates is one `last_row`, results its columns.
    """

    name: str
    topic: str
    steps: tuple[Step, ...]
    window: Window | None
    keys: tuple[Named, ...]
    aggregates: tuple[AggregateCall, ...]
    results: tuple[Named, ...]
    having: Expression | None
    top: Top | None
    columns: tuple[Column, ...]
    fingerprint: str
    latest: bool = False

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The names of the columns that identify a row."""
        return tuple(c.name for c in self.columns if c.key)


@dataclass(frozen=True)
class Stream:
    """Rows without aggregates, on their way to a lake or a topic.

    `columns` are the event's columns after the steps. `whole` says that no row of the source is
    left out and no column of the event is missing or changed (so the lake can stand for the log,
    and a topic may carry the record's own text); `added` are the columns beyond the event's.
    """

    name: str
    topic: str
    steps: tuple[Step, ...]
    columns: tuple[Column, ...]
    added: tuple[Named, ...]
    whole: bool
    fingerprint: str


def has_dedupe(reader: View | Stream) -> bool:
    """Whether one of the reader's steps leaves out duplicates."""
    return any(isinstance(step, Dedupe) for step in reader.steps)


@dataclass(frozen=True)
class Output:
    """A destination: `input` is the name of a view or a stream of the same job.

    `key` are the columns that identify a row there (a table's may be smaller than its view's;
    empty for a lake and for a topic without key). `order` are the columns by which a smaller key
    keeps its greatest row: window or session start, then the remaining key columns.
    `partitions` and `key` serve topics, `partition_by` lakes, `cluster_by` wide tables.
    """

    name: str
    role: Role
    input: str
    key: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    emit: Literal["changes", "final"] = "changes"
    partition_by: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()
    score: str | None = None
    partitions: int = 3


@dataclass(frozen=True)
class Job:
    """Sources and outputs with one state, one lock and epochs of their own.

    `id` is the app's name, or "app.job". A view that several outputs use stands once, under the
    name of the first of them.
    """

    id: str
    sources: tuple[Source, ...]
    views: tuple[View, ...]
    streams: tuple[Stream, ...]
    outputs: tuple[Output, ...]
    fingerprint: str

    @property
    def topics(self) -> dict[str, int]:
        """The topics that the job reads and writes, with their declared partitions."""
        written = {o.name: o.partitions for o in self.outputs if o.role == "topic"}
        return {s.topic: s.partitions for s in self.sources} | written

    def source(self, topic: str) -> Source:
        return next(s for s in self.sources if s.topic == topic)

    def input_of(self, output: Output) -> View | Stream:
        inputs: tuple[View | Stream, ...] = (*self.views, *self.streams)
        return next(i for i in inputs if i.name == output.input)

    def readers_of(self, topic: str) -> tuple[View | Stream, ...]:
        """Views, then streams, that read `topic`."""
        readers: tuple[View | Stream, ...] = (*self.views, *self.streams)
        return tuple(r for r in readers if r.topic == topic)


@dataclass(frozen=True)
class Plan:
    app: str
    jobs: tuple[Job, ...]

    def _repr_html_(self) -> str:
        rows = [
            (job.id, output.role.replace("_", " "), output.name, ", ".join(output.key), columns)
            for job in self.jobs
            for output in job.outputs
            for columns in [", ".join(c.name for c in job.input_of(output).columns)]
        ]
        return html_table(f"Plan of {self.app}", ("job", "role", "name", "key", "columns"), rows)
