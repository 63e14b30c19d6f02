"""What a job writes down about itself in each epoch: offsets, watermarks, sums, dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import xxhash

from headrace.engines.embedded.sources import Position, SourceEpoch
from headrace.engines.kernel.watermark import NEVER_US
from headrace.plan.operators import Job, Source
from headrace.storage.state.store import StateStore
from headrace.values.oversize import KEPT_BYTES, oversize_of

if TYPE_CHECKING:
    from headrace.engines.embedded.engine import Committed


class Ledger:
    """Reads and writes the `meta` tables of a job; writes stand inside the epoch's transaction."""

    def __init__(self, store: StateStore, job: Job) -> None:
        self.store, self.job = store, job
        self.generation = int(store.fact("generation") or 1)
        row = store.rows(
            "select epoch, epoch_us(epoch_time) from meta.epochs order by epoch desc limit 1"
        )
        # Epochs go on counting through generations: lakes keep the numbers of earlier ones.
        self.epoch, self.time_us = row[0] if row else (int(store.fact("epoch_base") or 0), 0)
        self.keeps_verdicts = any(o.role == "lake" for o in job.outputs)

    def advanced(self, epoch: int, time_us: int) -> None:
        """An epoch is committed."""
        self.epoch, self.time_us = epoch, time_us

    def identity(self, topic: str) -> str | None:
        """The identity of the topic that was read, None if it never was."""
        rows = self.store.rows("select identity from meta.sources where topic = ?", [topic])
        return rows[0][0] if rows else None

    def begin(self, identities: dict[str, str]) -> None:
        """Notes which topics are read, once."""
        for topic, identity in identities.items():
            if self.identity(topic) is None:
                self.store.connection.execute(
                    "insert into meta.sources values (?, ?)", [topic, identity]
                )
        if self.store.fact("generation") is None:
            self.store.set_fact("generation", str(self.generation))

    def position(self, source: Source) -> Position | None:
        """How far a source was read; None if never."""
        rows = self.store.rows(
            "select next_offset, greatest_us from meta.partitions where topic = ? "
            'order by "partition"',
            [source.topic],
        )
        if not rows:
            return None
        watermark = self.store.rows(
            "select after_us from meta.watermarks where topic = ? order by epoch desc limit 1",
            [source.topic],
        )
        greatest = {p: g for p, (_, g) in enumerate(rows) if g is not None}
        after = watermark[0][0] if watermark and watermark[0][0] is not None else NEVER_US
        return Position([o for o, _ in rows], greatest, after)

    def write(
        self, committed: Committed, emitted: bool, counts: list[tuple[str, str, str, int]]
    ) -> None:
        """The record of an epoch: enough to compute its effects again from the log."""
        connection, epoch = self.store.connection, committed.epoch
        connection.execute(
            "insert into meta.epochs values (?, ?, ?, make_timestamp(?), ?, ?, ?)",
            [
                committed.generation,
                epoch,
                committed.kind,
                committed.time_us,
                committed.records,
                emitted,
                self.job.fingerprint,
            ],
        )
        if committed.kind == "live":
            for topic, part in committed.sources.items():
                self._ranges(epoch, topic, part)
        if self.keeps_verdicts:
            for kind in ("late", "duplicate"):
                for reader, rows in getattr(committed, kind).items():
                    connection.execute(
                        "insert into meta.verdicts values (?, ?, ?, ?)",
                        [epoch, reader, kind, rows.astype(np.int64).tobytes()],
                    )
        for output, table in committed.changes.items():
            self.outbox(epoch, output, table)
        merged: dict[tuple[str, str, str], int] = {}
        for kind, name, counter, by in counts:
            merged[kind, name, counter] = merged.get((kind, name, counter), 0) + by
        self.store.count((*key, by) for key, by in merged.items())

    def outbox(self, epoch: int, output: str, table: pa.Table) -> None:
        """Keeps the rows of a view until `output` has them; the log alone does not give them."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        self.store.connection.execute(
            "insert into meta.outbox values (?, ?, ?, null, ?)",
            [epoch, output, 0, sink.getvalue().to_pybytes()],
        )

    def _ranges(self, epoch: int, topic: str, part: SourceEpoch) -> None:
        connection = self.store.connection
        before, after = part.before, part.after
        rows = [
            (
                epoch,
                topic,
                p,
                before.offsets[p],
                after.offsets[p],
                before.greatest_us.get(p),
                p in part.exempt,
            )
            for p in range(len(after.offsets))
        ]
        connection.executemany("insert into meta.ranges values (?, ?, ?, ?, ?, ?, ?)", rows)
        connection.execute(
            "insert into meta.watermarks values (?, ?, ?, ?)",
            [epoch, topic, _known(before.watermark_us), _known(after.watermark_us)],
        )
        connection.execute("delete from meta.partitions where topic = ?", [topic])
        connection.executemany(
            "insert into meta.partitions values (?, ?, ?, ?)",
            [
                (topic, p, offset, after.greatest_us.get(p))
                for p, offset in enumerate(after.offsets)
            ],
        )

    def dead_letters(self, part: SourceEpoch, epoch: int) -> None:
        """Keeps the records that were refused, with their bytes and why."""
        rows = part.dead.column("_row").to_pylist()
        reasons = part.dead.column("_reason").to_pylist()
        fields = part.dead.column("_field").to_pylist()
        letters = [(r, None, f, w) for r, f, w in zip(rows, fields, reasons, strict=True)]
        self._letters(part, epoch, letters)

    def replayed(self, part: SourceEpoch, number: int, epoch: int) -> None:
        """Notes which dead letters a replay accepted; they stay listed, with its number."""
        connection = self.store.connection
        topic = part.source.topic
        connection.execute("insert into meta.replays values (?, ?, ?)", [number, topic, epoch])
        connection.register("_accepted", part.events.select(["_partition", "_offset"]))
        connection.execute(
            "update meta.dead_letters d set replayed = ? from _accepted a where d.topic = ? "
            'and d.view is null and d."partition" = a._partition and d."offset" = a._offset',
            [number, topic],
        )
        connection.unregister("_accepted")

    def failed_rows(
        self, part: SourceEpoch, view: str, failed: list[tuple[int, str]], epoch: int
    ) -> None:
        """Keeps the records on which an expression of `view` failed, with the expression."""
        letters = [(row, view, None, f"the expression fails: {text}") for row, text in failed]
        self._letters(part, epoch, letters)

    def _letters(
        self,
        part: SourceEpoch,
        epoch: int,
        letters: Sequence[tuple[int, str | None, str | None, str]],
    ) -> None:
        if not letters:
            return
        taken = part.records.take(pa.array([r for r, *_ in letters], pa.int64()))
        rows = []
        for (_, view, field, reason), record in zip(letters, taken.to_pylist(), strict=True):
            value, why, size, digest = _kept(record["value"], reason)
            rows.append(
                {
                    "topic": part.source.topic,
                    "topic_generation": part.identity,
                    "partition": record["partition"],
                    "offset": record["offset"],
                    "view": view,
                    "field": field,
                    "reason": why,
                    "value": value,
                    "value_bytes": size,
                    "value_digest": digest,
                    "arrival_time": record["arrival_time"],
                    "epoch": epoch,
                    "replayed": None,
                }
            )
        connection = self.store.connection
        connection.register("_letters", pa.Table.from_pylist(rows, schema=_LETTERS))
        connection.execute("insert into meta.dead_letters select * from _letters")
        connection.unregister("_letters")


_LETTERS = pa.schema(
    [
        ("topic", pa.string()),
        ("topic_generation", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("view", pa.string()),
        ("field", pa.string()),
        ("reason", pa.string()),
        ("value", pa.binary()),
        ("value_bytes", pa.int64()),
        ("value_digest", pa.string()),
        ("arrival_time", pa.timestamp("us")),
        ("epoch", pa.int64()),
        ("replayed", pa.int64()),
    ]
)


def _kept(value: bytes | None, reason: str) -> tuple[bytes | None, str, int, str | None]:
    """(bytes kept, reason, whole length, digest) of a record that was refused."""
    if value is None:
        return None, reason, 0, None
    cut = oversize_of(value)
    if cut is not None:
        why = f"is longer than the limit: {cut.bytes} bytes"
        return value[:KEPT_BYTES], why, cut.bytes, cut.digest
    if len(value) <= KEPT_BYTES:
        return value, reason, len(value), None
    return value[:KEPT_BYTES], reason, len(value), xxhash.xxh3_128_hexdigest(value)


def _known(watermark_us: int) -> int | None:
    return None if watermark_us == NEVER_US else watermark_us
