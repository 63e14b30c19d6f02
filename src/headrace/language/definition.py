"""The definition of an app: jobs with sources and destinations, before anything is bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack, cast

from headrace.language.checks import Duration, duration, whole
from headrace.language.describe import html_of, source_words
from headrace.language.events import Event, checks_of, schema_of
from headrace.language.location import caller
from headrace.language.names import Names, app_name, is_path, names, table_name, topic_name
from headrace.language.steps import Emit, Role, SourceSpec
from headrace.language.streams import Grouped, Stream
from headrace.language.views import View
from headrace.values.durations import duration_us
from headrace.values.errors import DefinitionError, did_you_mean

_PARTITIONS_MAX = 1024
# All years with four digits: no event is too far ahead.
_AHEAD_US_MAX = duration_us("3652058 days")


@dataclass(frozen=True)
class OutputSpec:
    """A destination, as it was called. `key` is None where the call named none."""

    name: str
    role: Role
    input: Stream | View
    where: str
    key: tuple[str, ...] | None = None
    emit: Emit = "changes"
    partition_by: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()
    score: str | None = None
    partitions: int = 3


Input = Stream | View


class SourceOptions(TypedDict, total=False):
    """What `source` also takes: `partitions` of a local topic (3), `idle_timeout` after which a
    silent partition holds nobody back (None: never), `ahead`, how far before its arrival an event
    may claim to be ("1 day"), and `value_bytes_max` of a record (1 MiB)."""

    partitions: int
    idle_timeout: Duration | None
    ahead: Duration
    value_bytes_max: int


_DEFAULTS: SourceOptions = {
    "partitions": 3,
    "idle_timeout": None,
    "ahead": "1 day",
    "value_bytes_max": 1 << 20,
}


class JobDefinition:
    """Sources and destinations with one state: an app has one of its own name, or several."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.sources: list[SourceSpec] = []
        self.outputs: list[OutputSpec] = []

    def source(
        self,
        event: type[Event],
        *,
        topic: str,
        key: str | None = None,
        time: str | None = None,
        time_unit: Literal["s", "ms", "us"] | None = None,
        lateness: Duration = "0",
        **options: Unpack[SourceOptions],
    ) -> Stream:
        """Reads a topic as events of a class.

        `key` and `time` are fields or paths; an integer `time` needs `time_unit`. `lateness` is
        how long windows wait for events out of order. For the rest see `SourceOptions`.
        """
        known = _options(options)
        idle = known["idle_timeout"]
        spec = SourceSpec(
            topic=topic_name(topic),
            schema=schema_of(event),
            checks=checks_of(event),
            key=_path(key, "key"),
            time=_path(time, "time"),
            time_unit=_time_unit(time_unit, time),
            lateness_us=duration(lateness, "lateness", zero=True),
            partitions=whole(known["partitions"], "partitions", most=_PARTITIONS_MAX),
            idle_timeout_us=None if idle is None else duration(idle, "idle_timeout"),
            ahead_us=duration(known["ahead"], "ahead", zero=True, most_us=_AHEAD_US_MAX),
            value_bytes_max=whole(known["value_bytes_max"], "value_bytes_max"),
            where=caller(),
        )
        self._check_source(spec)
        self.sources.append(spec)
        return Stream(spec, self)

    def table(self, name: str, view: Input, key: Names = None, emit: Emit = "changes") -> None:
        """A table by key: a stream's latest row per `key`, or a view's rows, also by less."""
        self._add(OutputSpec(name, "table", view, caller(), _key(key), _emit(emit)))

    def index(self, name: str, view: Input, key: Names = None, emit: Emit = "changes") -> None:
        """Documents for search, one per key."""
        self._add(OutputSpec(name, "index", view, caller(), _key(key), _emit(emit)))

    def ranking(
        self, name: str, view: Input, *, score: str, key: Names = None, emit: Emit = "changes"
    ) -> None:
        """Members by key, ranked by the number in the column `score`."""
        if not isinstance(score, str) or not score.isidentifier():
            raise DefinitionError(f"score is the name of a column, not {score!r}", where=caller())
        spec = OutputSpec(name, "ranking", view, caller(), _key(key), _emit(emit), score=score)
        self._add(spec)

    def wide_table(
        self,
        name: str,
        view: Input,
        *,
        partition_by: Names,
        cluster_by: Names = None,
        emit: Emit = "changes",
    ) -> None:
        """Wide rows: the key is `partition_by`, then `cluster_by` inside the partition."""
        partition, cluster = names(partition_by, "partition_by"), names(cluster_by, "cluster_by")
        key = names((*partition, *cluster), "partition_by and cluster_by")
        if not partition:
            raise DefinitionError("a wide table needs partition_by", where=caller())
        self._add(
            OutputSpec(
                name, "wide_table", view, caller(), key, _emit(emit), partition, cluster_by=cluster
            )
        )

    def lake(
        self, name: str, stream: Input, partition_by: Names = None, emit: Emit = "changes"
    ) -> None:
        """All rows, for ever. A view goes in with emit="final": windows as they close."""
        partition = names(partition_by, "partition_by")
        self._add(OutputSpec(name, "lake", stream, caller(), None, _emit(emit), partition))

    def topic(
        self,
        name: str,
        stream: Input,
        key: Names = None,
        partitions: int = 3,
        emit: Emit = "changes",
    ) -> None:
        """A topic of JSON records; without `key`, a stream keeps its source's, a view its own."""
        count = whole(partitions, "partitions", most=_PARTITIONS_MAX)
        spec = OutputSpec(name, "topic", stream, caller(), _key(key), _emit(emit), partitions=count)
        self._add(spec)

    def _add(self, spec: OutputSpec) -> None:
        topic_name(spec.name) if spec.role == "topic" else table_name(spec.name)
        self._check_input(spec.name, spec.input)
        self._check_output(spec)
        self.outputs.append(spec)

    def _check_input(self, name: str, input: object) -> None:
        if isinstance(input, Grouped):
            raise DefinitionError(
                f'"{name}" is given a window or a key without aggregates',
                where=caller(),
                remedy='Say what to compute: .agg(count="count(*)").',
            )
        if not isinstance(input, Stream | View):
            raise DefinitionError(
                f'"{name}" is given {input!r}, which is no stream and no view', where=caller()
            )
        if input.job is not self:
            raise DefinitionError(
                f'"{name}" is given a stream of another job ({getattr(input.job, "id", "?")})',
                where=caller(),
                remedy="Each job reads its own sources: call source(…) on this job too.",
            )

    def _check_source(self, spec: SourceSpec) -> None:
        for other in self.sources:
            if other.topic != spec.topic:
                continue
            if other.schema != spec.schema:
                raise DefinitionError(
                    f'topic "{spec.topic}" is read as {other.schema.name} and as '
                    f"{spec.schema.name}; a job reads a topic as one class",
                    where=caller(),
                    remedy="Declare one class, with X | None for what not every record has.",
                )
            raise DefinitionError(
                f'topic "{spec.topic}" is already a source of this job, at {other.where}',
                where=caller(),
                remedy="Use the stream that the first call returned; it can have many views.",
            )
        self._check_loop(spec.topic, [o.name for o in self.outputs if o.role == "topic"])

    def _check_output(self, spec: OutputSpec) -> None:
        if spec.role == "topic":
            self._check_loop(spec.name, [source.topic for source in self.sources])

    def _check_loop(self, topic: str, others: list[str]) -> None:
        if topic in others:
            raise DefinitionError(
                f'topic "{topic}" is both read and written by this job, which would never end',
                where=caller(),
                remedy="Write another topic, or read it in another job: app.job(…).",
            )

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        return html_of(self._lines())

    def _lines(self) -> list[str]:
        lines = [f"job {self.id}"]
        lines += [f"  source {source_words(source)}" for source in self.sources]
        for output in self.outputs:
            key = f" by {', '.join(output.key)}" if output.key else ""
            lines.append(f"  {output.role.replace('_', ' ')} {output.name}{key}")
        return lines


class Definition(JobDefinition):
    """An app: the job of its own name, and the jobs that `job` adds beside it."""

    def __init__(self, name: str) -> None:
        super().__init__(app_name(name))
        self.name = name
        self._others: dict[str, _NamedJob] = {}

    def job(self, name: str) -> JobDefinition:
        """The job called `name`, made at the first call: sources and destinations of its own."""
        app_name(name)
        if name not in self._others:
            self._others[name] = _NamedJob(self, name)
        return self._others[name]

    @property
    def jobs(self) -> tuple[JobDefinition, ...]:
        """The jobs that `job` made; before them the app's own, if it reads or writes anything."""
        own = [self] if self.sources or self.outputs else []
        return (*own, *self._others.values())

    def _check_output(self, spec: OutputSpec) -> None:
        super()._check_output(spec)
        self.check_name(spec)

    def check_name(self, spec: OutputSpec) -> None:
        """Refuses a second destination of one name: sums, marks and SQL know them by name."""
        for job in (self, *self._others.values()):
            for other in job.outputs:
                if other.name == spec.name:
                    raise DefinitionError(
                        f'two destinations are called "{spec.name}"; the first is at {other.where}',
                        where=caller(),
                        remedy="Each destination of an app, of any role, has a name of its own.",
                    )

    def _lines(self) -> list[str]:
        own = super()._lines()[1:] if self.sources or self.outputs else []
        others = [line for job in self._others.values() for line in job._lines()]
        return [f"app {self.name}", *own, *(f"  {line}" for line in others)]


class _NamedJob(JobDefinition):
    def __init__(self, app: Definition, name: str) -> None:
        super().__init__(f"{app.name}.{name}")
        self._app = app

    def _check_output(self, spec: OutputSpec) -> None:
        super()._check_output(spec)
        self._app.check_name(spec)


def _options(given: SourceOptions) -> SourceOptions:
    for name in given:
        if name not in _DEFAULTS:
            known = ("topic", "key", "time", "time_unit", "lateness", *_DEFAULTS)
            raise DefinitionError(
                f"source(…) takes no {name}=", where=caller(), remedy=did_you_mean(name, known)
            )
    return {**_DEFAULTS, **given}


def _key(key: Names) -> tuple[str, ...] | None:
    return None if key is None else names(key, "key")


def _emit(emit: str) -> Emit:
    if emit not in ("changes", "final"):
        raise DefinitionError(
            f"emit={emit!r} is not known",
            where=caller(),
            remedy=did_you_mean(str(emit), ("changes", "final")),
        )
    return cast(Emit, emit)


def _path(path: str | None, what: str) -> str | None:
    if path is not None and (not isinstance(path, str) or not is_path(path)):
        raise DefinitionError(
            f"{what} is a field or a path such as info.gameCreation, not {path!r}", where=caller()
        )
    return path


def _time_unit(unit: str | None, time: str | None) -> Literal["s", "ms", "us"] | None:
    if unit not in (None, "s", "ms", "us"):
        raise DefinitionError(
            f"time_unit={unit!r} is not known",
            where=caller(),
            remedy='Integer times count seconds "s", milliseconds "ms" or microseconds "us".',
        )
    if unit is not None and time is None:
        raise DefinitionError("time_unit stands without time", where=caller())
    return cast(Literal["s", "ms", "us"] | None, unit)
