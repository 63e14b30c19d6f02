"""What a topic, a destination and a system must do. Engines know only this.

A topic is read as Arrow tables of records with the columns of `RECORDS`. A destination takes
deliveries, each numbered by (generation, epoch), in order; it keeps a `Mark` beside the rows, in
the same atomic step, so that after any crash it can say what it has. A system (Kafka, PostgreSQL)
makes both, shows what is there, and tells what is wrong with itself. `docs/connectors.md` is the
page for those who write one; `headrace.testing.conformance` tries any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import pyarrow as pa

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from headrace.storage.topics.producers import ProducerState
    from headrace.storage.topics.writer import Appended

RECORDS = pa.schema(
    [
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("arrival_time", pa.timestamp("us"), nullable=False),
    ]
)

LATEST_US = 253_402_300_799_999_999
"""The end of the year 9999, in microseconds since 1970: later than any clock."""


EPOCHS_MAX = 1 << 40
"""A generation has fewer epochs: `generation * EPOCHS_MAX + epoch` grows with both."""


@dataclass(frozen=True)
class Mark:
    """What a destination has of a job: everything up to (generation, epoch), inclusive.

    `offsets` are the end offsets by topic (the next offset to read, by partition),
    `watermarks_us` the sources' watermarks after the epoch (None: no watermark yet), `identities`
    those of the topics that the offsets are of (nothing in marks of before, and nowhere needed but
    where rows are only ever added).
    """

    job: str
    generation: int
    epoch: int
    offsets: Mapping[str, Sequence[int]] = field(default_factory=dict)
    watermarks_us: Mapping[str, int | None] = field(default_factory=dict)
    identities: Mapping[str, str] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """(generation, epoch) as one integer that grows with both."""
        return self.generation * EPOCHS_MAX + self.epoch

    def to_data(self) -> dict[str, Any]:
        """Its fields as JSON can keep them; `Mark(**data)` is the inverse."""
        return {
            "job": self.job,
            "generation": self.generation,
            "epoch": self.epoch,
            "offsets": {topic: list(ends) for topic, ends in self.offsets.items()},
            "watermarks_us": dict(self.watermarks_us),
            "identities": dict(self.identities),
        }

    def is_same_delivery(self, other: Mark) -> bool:
        """Whether both tell of one epoch: of that number, and with those records.

        Two processes that began with copies of one state may give a number to different records.
        """
        ends, others = (
            {topic: list(offsets) for topic, offsets in mark.offsets.items()}
            for mark in (self, other)
        )
        return self.number == other.number and ends == others


@dataclass(frozen=True)
class Fetched:
    """Records (columns as `RECORDS`), and the offsets behind them, by partition.

    `next_offsets` may lie beyond the last record: a log may have offsets without a record, where
    a transaction ended or was aborted.
    """

    records: pa.Table
    next_offsets: list[int]


class Topic(Protocol):
    """A partitioned log. `identity` changes when the topic is deleted and made again.

    The `arrival_time` of its records hangs on the log alone: read again, it is the same. Where
    `arrival_fixed`, the log itself noted it when it took the record. Elsewhere it is the record's
    own timestamp, which may lie in the future (without one `LATEST_US`): the job that reads it
    takes the lesser of that and the time of the epoch in which it is first read.
    """

    name: str
    identity: str
    partitions: int
    arrival_fixed: bool

    def begin_offsets(self) -> list[int]:
        """The first offset still there, by partition."""

    def end_offsets(self) -> list[int]:
        """The offset that the next record of each partition gets."""

    def offset_at(self, time_us: int) -> list[int]:
        """By partition the offset of the first record that arrived at `time_us` or later.

        Microseconds since 1970, by the time that the log itself keeps of its records; the end of
        a partition where nothing came since.
        """

    def grown(self) -> int | None:
        """How many partitions there are now, where that is more than `partitions`, else None.

        Asked in every epoch: what is known may be a second old. Only what can be read counts.
        """

    def grow(self) -> None:
        """Takes the new partitions in: from now on `partitions` counts them, behind the others.

        Until then nothing of them is seen: offsets are lists of the old length.
        """

    def fetch(
        self, start: Sequence[int], stop: Sequence[int] | None = None, *, records_max: int
    ) -> Fetched:
        """Records from `start` (inclusive) to `stop` (exclusive), about `records_max` of them.

        Where they are large, fewer: what is held in memory is bounded (values/weights.py).
        Within a partition in order of offset; none is left out between `start` and the offsets
        behind them, which are `start` when there is nothing now. The same range gives the same
        records in the same order, however it was cut. Raises TopicRefused when `start` is no
        longer there, Unreachable when the system does not answer.
        """

    def wait(self, offsets: Sequence[int], timeout_seconds: float) -> bool:
        """Blocks until a partition has a record at or after its offset; False on timeout."""

    def register_reader(self, reader: str, offsets: Sequence[int]) -> None:
        """Notes that `reader` needs what lies at or after `offsets`, where the log keeps such.

        They replace those of before, and may be lower: a job may go back.
        """

    def close(self) -> None:
        """Frees what reading and appending took; used again, it takes that again."""


@dataclass(frozen=True)
class Refusal:
    """A row that a destination refuses for good: the row as JSON, the destination's own words.

    `number` is that of the mark with which it was delivered.
    """

    number: int
    row: str
    reason: str


@dataclass(frozen=True)
class Claim:
    """Who has an output: the greatest incarnation that opened it, and the mark (None: no rows)."""

    incarnation: int
    mark: Mark | None


class Destination(Protocol):
    """Takes rows exactly once. One thread calls; `deliver` may block and may be retried.

    Call order: `look`, `open`, then `deliver` any number of times with growing marks, then
    `close`; after an error that may be retried, `deliver` is called again with the same rows and
    mark, and connects anew where it has to. `deliver` is atomic: after a crash the mark that
    `open` returns tells whether it happened.
    """

    def look(self, job: str) -> Claim | None:
        """What is there of the job; None where it has never opened the output.

        Changes nothing and takes nothing from whoever has the output: a start that the state does
        not entitle to it is refused on this alone. Raises as `open`.
        """

    def open(self, job: str, incarnation: int) -> Mark | None:
        """Connects, fences older incarnations, returns the last mark (None: nothing delivered).

        Raises Unreachable when trying again may help, StateRefused when a newer incarnation has
        opened it, another job owns it, or what is there does not fit.
        """

    def deliver(self, rows: pa.Table, mark: Mark) -> int:
        """Lands `rows` and `mark` in one step and returns how many rows landed.

        A mark that is there already adds nothing and counts as landed. Rows that were refused are
        kept by the destination in the same step. Raises as `open`.
        """

    def refusals(self, after: int) -> Sequence[Refusal]:
        """The rows refused with marks whose number is greater than `after`, in their order."""

    def close(self) -> None:
        """Frees what `open` took; never delivers anything."""


@runtime_checkable
class TableDestination(Destination, Protocol):
    """A destination that keeps rows by key, so that all of them can be given anew.

    `deliver` and `replace` raise DestinationBehind where the place has an older mark than it had:
    it was restored or failed over.
    """

    def replace(self, rows: pa.RecordBatchReader, mark: Mark) -> int:
        """Makes `rows` all that is there, with `mark`, in one step; how many landed.

        `rows` have the target's columns and one row per key; they may be more than memory holds.
        The mark may be the one that is there: then the rows are replaced all the same. Refusals
        from before are forgotten. Readers see the rows before or behind it. After an error that
        may be retried it is called again with a new reader. Raises as `deliver`, and StateRefused
        for a mark below the one that is there.
        """


@runtime_checkable
class TidyDestination(Destination, Protocol):
    """A destination with upkeep that may take long and that no delivery waits for."""

    def tidy(self, hurried: Callable[[], bool]) -> None:
        """Does what upkeep is due, of what was delivered; called behind each delivery.

        Readers see the same rows before, meanwhile and behind it, and so does the next start where
        the process dies in its midst. It asks `hurried` every now and then, and ends soon once that
        is true (somebody waits): what was not done is due the next time. What fails and may pass is
        left for another time as well.
        """


@dataclass(frozen=True)
class Target:
    """What a destination is made for: an output of a job, with the columns of its rows.

    `columns` are (name, DuckDB type) in order. Rows for tables and the like have `_op` before
    them: `u` (upsert by `key`) or `d` (delete); at most one row per key of the view. Where `order`
    is not empty, `key` is smaller than the view's: a delete removes only a row that is equal in
    `key` and `order`, and an upsert replaces only a row that is not greater in `order` (null is the
    lowest, text goes by its bytes). A delivery's rows stand in any order: its deletes are applied
    before its upserts. Rows for topics are `key` and `value`, both binary and nullable.
    `required` names columns that are never null, as far as that is known.
    """

    job: str
    name: str
    role: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    partitions: int = 1
    required: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One line of `headrace doctor`: what was looked at, how it is, and the command that mends it.

    `subject` names the system or what it holds ("topic user_activity"). `unreachable` goes with an
    error and tells that nothing answered, so that what is there is not known: `headrace doctor`
    then exits with 4, trying again may help, and not with 5, somebody has to mend what is there.
    """

    level: Literal["ok", "warning", "error"]
    subject: str
    text: str
    remedy: str | None = None
    unreachable: bool = False


@dataclass(frozen=True)
class Kept:
    """What a topic still has of all that was written to it, and who writes there.

    `begins` are the first offsets that are there, by partition. With `compacts` only the last
    record of each key is sure to be there. `others` names who is known to write to it beside a job.
    """

    begins: tuple[int, ...]
    compacts: bool = False
    others: tuple[str, ...] = ()


class Snapshot(Protocol):
    """What readers of a system see at one moment; used by one thread."""

    def rows(self, target: Target) -> pa.RecordBatchReader:
        """The rows of a table, with `columns`; of a topic its records, as `RECORDS`."""

    def close(self) -> None:
        """Lets go of the moment."""


class TopicSnapshot(Snapshot, Protocol):
    """A snapshot of a system that holds topics."""

    def kept(self, target: Target) -> Kept:
        """How far back the topic reaches now, and who else is known to write to it."""


class System(Protocol):
    """A system that plays roles, made from the URL in the profile; safe to use from any thread.

    Nothing is connected before it is needed. Secrets never appear in `address` nor in an error.
    """

    address: str

    def destination(self, target: Target) -> Destination:
        """The destination for an output, not yet open."""

    def snapshot(self, targets: Sequence[Target]) -> Snapshot:
        """A view of `targets` as they are now; later deliveries do not show in it."""

    def findings(self, targets: Sequence[Target], topics: Mapping[str, int]) -> Sequence[Finding]:
        """What `headrace doctor` says: reachable, version, rights, what is there; never raises.

        `topics` are the topics that are read, with their declared partitions.
        """

    def close(self) -> None:
        """Closes its connections."""


class Log(Topic, Protocol):
    """A topic that whoever ingests may append to, each row once; two of one producer at once, too.

    A topic made again knows nothing of the producers from before.
    """

    def append_numbered(
        self,
        values: pa.Array | pa.ChunkedArray,
        keys: pa.Array | pa.ChunkedArray | None = None,
        *,
        producer: str,
        first_sequence: int,
        partition: npt.NDArray[np.integer] | None = None,
        note: Mapping[str, Any] | None = None,
    ) -> Appended:
        """Appends rows whose numbers begin at `first_sequence`; those appended before are skipped.

        All of them or none, also after a crash. A row goes to its `partition`, else where its key
        puts it, else to (its number) % partitions: the same input gives the same log, however it
        is cut and repeated. Numbers may be left out.

        `note` (as JSON can keep it) is kept with the producer's last number, instead of the one
        from before, and given back by `producers`; where nothing is new it stays as it was.
        Without rows the note alone is kept, if `first_sequence` is above the last number.
        """

    def producer(self, producer: str) -> ProducerState | None:
        """The last append of `producer`; None if it has appended nothing."""

    def producers(self) -> Mapping[str, ProducerState]:
        """The last append of every producer."""


class TopicSystem(System, Protocol):
    """A system that holds topics."""

    def topic(self, name: str, partitions: int) -> Log:
        """The topic `name`; TopicRefused when it is missing or has fewer partitions.

        It may have more, where it has grown since it was declared.
        """

    def create_topic(self, name: str, partitions: int) -> bool:
        """Makes the topic unless it is there; whether it was made."""

    def snapshot(self, targets: Sequence[Target]) -> TopicSnapshot:
        """As `System.snapshot`; it also tells what its topics keep."""
