"""What a batch query reads, up to where, and how its SELECTs are put together.

`events` has the event's columns and `_topic_generation`, `_partition`, `_offset`, `_replay`
(null at first reading), `_epoch`, `_time`, one row per accepted event. `epochs` has `epoch` and
`watermark_start`, the source's watermark when the epoch began (null: none yet).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

OWN = ("_topic_generation", "_partition", "_offset", "_replay", "_epoch", "_time")
"""Columns beside the event's own that every query needs."""

RECORD = "_topic_generation, _partition, _offset"
"""Columns that identify a record of a topic."""


@dataclass(frozen=True)
class Relations:
    """Names (or parenthesised SELECTs) of the relations that a query reads.

    `watermarked` is the result of `watermarks.watermarked`, where somebody has kept it: its sort
    is what costs most, and all views of a source need the same. So with `segments`, the results of
    `segments_on_time` by the names of views of sessions. `generations` are the identities of the
    topic in the order in which they were read, where there is more than one.
    """

    events: str = "events"
    epochs: str = "epochs_of_source"
    watermarked: str | None = None
    generations: tuple[str, ...] = ()
    segments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Region:
    """One recompute: windows and sessions that end in (`from_us`, `bound_us`], of all events.

    `offsets` are the ends, exclusive, by (topic generation, partition), up to which it read;
    replayed records, whose offsets are old, count when their epoch is at most `epoch`.
    """

    from_us: int | None
    bound_us: int
    offsets: Mapping[tuple[str, int], int]
    epoch: int


@dataclass(frozen=True)
class AsOf:
    """A committed end: the epoch, the source's watermark after it, recomputes in their order."""

    until: int
    watermark_us: int | None
    regions: Sequence[Region] = ()


@dataclass(frozen=True)
class Part:
    """A SELECT that later ones read by `name`; each anew if it is `repeated`.

    One that is `apart` is done with before anything that reads it begins, where memory counts.
    """

    name: str
    select: str
    repeated: bool = False
    apart: bool = False

    @property
    def sql(self) -> str:
        return f"{self.name} as {'not materialized ' if self.repeated else ''}({self.select})"


@dataclass(frozen=True)
class Query:
    """A SELECT with the parts before it, each of which may read those before it."""

    parts: tuple[Part, ...]
    select: str

    @property
    def sql(self) -> str:
        """All of it as one SELECT."""
        if not self.parts:
            return self.select
        return f"with {', '.join(part.sql for part in self.parts)} {self.select}"


@dataclass
class Chain:
    """SELECTs that grow one on the other; `name` is the last one's."""

    parts: list[Part] = field(default_factory=list)
    name: str = ""

    def add(self, select: str, *, apart: bool = False) -> str:
        """Appends a SELECT and returns the name by which later ones read it."""
        self.name = f"_r{len(self.parts)}"
        self.parts.append(Part(self.name, select, apart=apart))
        return self.name

    def repeat(self) -> None:
        """Lets each reader of what was added so far compute it anew, so that nothing is kept.

        A relation with several readers is else kept in memory, with all rows and columns.
        """
        self.parts = [replace(part, repeated=True) for part in self.parts]

    def ending(self, select: str) -> Query:
        """The whole query, with `select` at its end."""
        return Query(tuple(self.parts), select)


def timestamp(us: int) -> str:
    """A time in microseconds since 1970 as SQL."""
    return f"make_timestamp({us}::bigint)"


def interval(us: int) -> str:
    """A duration in microseconds as SQL."""
    return f"to_microseconds({us}::bigint)"


def was_read(region: Region) -> str:
    """Condition: the recompute read this event."""
    first = [
        f"(_topic_generation = '{_escaped(generation)}' and _partition = {partition}"
        f" and _offset < {offset})"
        for (generation, partition), offset in sorted(region.offsets.items())
    ]
    firsts = " or ".join(first) or "false"
    return f"(case when _replay is null then {firsts} else _epoch <= {region.epoch} end)"


def ends_within(region: Region, end: str) -> str:
    """Condition: the time `end` lies in the region."""
    above = "" if region.from_us is None else f"{end} > {timestamp(region.from_us)} and "
    return f"({above}{end} <= {timestamp(region.bound_us)})"


def _escaped(text: str) -> str:
    return text.replace("'", "''")
