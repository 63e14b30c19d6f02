"""What earlier generations of a job's state gave to a destination that keeps every row.

A reset forgets how far the state was, not what lakes and topics hold. So it leaves behind which
records the generation read, and when a destination is opened by a later one, its mark says how much
of that it was given. Records inside of these ranges are never delivered to it again, but for those
that were dead letters then: of these it was given nothing. Nor was it given those that the
generation accepted by a replay behind the mark.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

from headrace.storage.contract import Mark
from headrace.storage.state.store import StateStore

Offsets = NDArray[np.int64]

KEPT_TABLES = (
    "earlier",
    "delivered",
    "delivered_upto",
    "delivered_closed",
    "earlier_regions",
    "earlier_letters",
    "earlier_replays",
    "earlier_tails",
)
"""Tables of the schema `meta` that a reset leaves as they are."""
CORRECTED = "corrected"
"""The fact with the views, as JSON, that earlier generations recomputed nobody knows how far.

Earlier versions left it behind in place of `meta.earlier_regions`.
"""

_GIVEN = ("meta.delivered", "meta.delivered_upto", "meta.delivered_closed")
"""What outputs were given by earlier generations: the ranges, and of their marks the epochs and the
watermarks, up to which final rows were given.
"""


@dataclass(frozen=True)
class Range:
    """Offsets of a partition of the topic's generation `identity`; the end is exclusive."""

    identity: str
    partition: int
    start: int
    end: int


def keep_what_was_read(connection: duckdb.DuckDBPyConnection, generation: int) -> None:
    """Notes what this generation of the state read and recomputed, before a reset forgets it."""
    connection.execute(
        "insert into meta.earlier_regions select ?, * from meta.regions", [generation]
    )
    connection.execute(
        "insert into meta.earlier_letters "
        'select ?, topic, topic_generation, "partition", "offset" from meta.dead_letters '
        "where view is null and replayed is null",
        [generation],
    )
    connection.execute(
        "insert into meta.earlier_replays "
        'select ?, d.topic, topic_generation, "partition", "offset", r.epoch '
        "from meta.dead_letters d join meta.replays r on r.replay = replayed and r.topic = d.topic "
        "where view is null",
        [generation],
    )
    connection.execute(
        "insert into meta.earlier_tails select ?, t.topic, s.identity, t.tail from "
        "(select epoch, unnest(tails) as t from meta.epochs) e "
        "asof join meta.sources s on t.topic = s.topic and e.epoch >= s.since_epoch",
        [generation],
    )
    connection.execute(
        "insert into meta.earlier select ?, topic, identity, since_epoch, "
        '"partition", min(start_offset), max(end_offset) from ('
        "select *, sum(apart::int) over (partition by topic, identity, "
        '"partition" order by start_offset, end_offset) as run from ('
        "select r.*, s.since_epoch, start_offset > coalesce(max(end_offset) over "
        '(partition by r.topic, r.identity, r."partition" order by start_offset, end_offset '
        "rows between unbounded preceding and 1 preceding), -1) as apart "
        "from meta.reads r join meta.sources s on s.topic = r.topic and s.number = r.number "
        "where end_offset > start_offset)) "
        'group by topic, identity, since_epoch, "partition", run',
        [generation],
    )


def corrected_views(store: StateStore) -> list[str]:
    """The views that this or an earlier generation recomputed."""
    before = json.loads(store.fact(CORRECTED) or "[]")
    sql = "select view from meta.regions union select view from meta.earlier_regions"
    return sorted({*before, *(view for (view,) in store.rows(sql))})


def note_delivered(store: StateStore, output: str, topic: str, mark: Mark, identity: str) -> None:
    """Notes how much of what its generation read the destination had at `mark`.

    Where nothing is known of that generation, all that lies before the mark, of the topic that it
    names, else of `identity`. What later generations gave is gone: a destination with this mark was
    put back as it once was.
    """
    ends = list(mark.offsets.get(topic, ()))
    given = _given(store, topic, mark, ends)
    if not given and not _known(store, mark.generation):
        identity = mark.identities.get(topic) or identity
        given = [Range(identity, p, 0, end) for p, end in enumerate(ends)]
    with store.transaction() as connection:
        for table in _GIVEN:
            # It stands where it was taken away once.
            connection.execute(
                f"update {table} set output = ? where starts_with(output, ?) "
                "and try_cast(split_part(output, ':', 2) as bigint) > ?",
                [output, _away(output, ""), mark.generation],
            )
            connection.execute(
                f"delete from {table} where output = ? and generation >= ? and topic = ?",
                [output, mark.generation, topic],
            )
        for one in given:
            connection.execute(
                "insert into meta.delivered values (?, ?, ?, ?, ?, ?, ?)",
                [output, mark.generation, topic, one.identity, one.partition, one.start, one.end],
            )
        connection.execute(
            "insert into meta.delivered_upto values (?, ?, ?, ?)",
            [output, mark.generation, topic, mark.epoch],
        )
        connection.execute(
            "insert into meta.delivered_closed values (?, ?, ?, ?)",
            [output, mark.generation, topic, mark.watermarks_us.get(topic)],
        )


def set_aside(store: StateStore, output: str, generation: int) -> None:
    """Counts no more what earlier generations gave to an `output` that was taken away since.

    Unless it is put back one day: then its mark is of one before `generation`, the present one.
    """
    if store.rows("select 1 from meta.delivered where output = ? limit 1", [output]):
        with store.transaction() as connection:
            for table in _GIVEN:
                connection.execute(
                    f"update {table} set output = ? where output = ?",
                    [_away(output, generation), output],
                )


def _away(output: str, generation: int | str) -> str:
    """What the output that was taken away before this generation is called; no other one is."""
    return f"{output}:{generation}"


def delivered(store: StateStore, output: str, topic: str) -> tuple[Range, ...]:
    """The records of `topic` that `output` has from earlier generations of the state."""
    rows = store.rows(
        'select distinct identity, "partition", start_offset, end_offset from meta.delivered '
        "where output = ? and topic = ? order by all",
        [output, topic],
    )
    return tuple(Range(*row) for row in rows)


def closed_before(store: StateStore, output: str, topic: str) -> int | None:
    """The watermark up to which earlier generations gave `output` final rows; None: to none."""
    sql = "select max(watermark_us) from meta.delivered_closed where output = ? and topic = ?"
    ((closed_us,),) = store.rows(sql, [output, topic])
    return None if closed_us is None else int(closed_us)


def refused_before(store: StateStore, output: str, topic: str) -> dict[tuple[str, int], Offsets]:
    """Offsets, by generation and partition of `topic`, of what was a dead letter until now.

    Each generation whose records `output` has refused them, or replayed them behind its mark.
    """
    same = " and ".join(f"{{0}}.{c} = l.{c}" for c in ("topic", "identity", '"partition"'))
    letters = (
        "with letters as (from meta.earlier_letters union all "
        "select r.* exclude (epoch) from meta.earlier_replays r join meta.delivered_upto u "
        "on u.output = $output and u.generation = r.generation and u.topic = r.topic "
        "and u.epoch < r.epoch) "
    )
    accepted = (
        'select l.identity, l."partition", l."offset" from letters l '
        f"join meta.delivered d on {same.format('d')} "
        'and l."offset" >= d.start_offset and l."offset" < d.end_offset '
        f"anti join letters m on {same.format('m')} "
        'and m."offset" = l."offset" and m.generation = d.generation where d.output = $output'
    )
    sql = (
        f'{letters} select identity, "partition", list(distinct "offset") from letters '
        f'anti join ({accepted}) using (identity, "partition", "offset") '
        "where topic = $topic group by 1, 2"
    )
    rows = store.connection.execute(sql, {"output": output, "topic": topic}).fetchall()
    return {(identity, p): np.array(offsets, np.int64) for identity, p, offsets in rows}


def _given(store: StateStore, topic: str, mark: Mark, ends: list[int]) -> list[Range]:
    """What the mark's generation read up to the mark: the last identity of then ends at it.

    A state that is older than the mark (a copy put back) knows only the beginning of that.
    """
    rows = store.rows(
        'select identity, since_epoch, "partition", start_offset, end_offset from meta.earlier '
        "where generation = ? and topic = ? and since_epoch <= ? order by since_epoch",
        [mark.generation, topic, mark.epoch],
    )
    last = rows[-1][0] if rows else None
    reached = dict.fromkeys(range(len(ends)), 0)
    found = []
    for identity, _, partition, start, end in rows:
        if identity == last:
            reached[partition] = max(reached.get(partition, 0), end)
            end = min(end, ends[partition] if partition < len(ends) else 0)
        if end > start:
            found.append(Range(identity, partition, start, end))
    if last is not None:
        beyond = [(p, reached[p], end) for p, end in enumerate(ends) if end > reached[p]]
        found += [Range(last, partition, start, end) for partition, start, end in beyond]
    return found


def _known(store: StateStore, generation: int) -> bool:
    return bool(store.rows("select 1 from meta.earlier where generation = ? limit 1", [generation]))
