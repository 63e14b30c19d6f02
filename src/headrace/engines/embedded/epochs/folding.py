"""Neighbouring epochs made into one, once every destination has passed them.

A job writes twenty epochs a second while live; of most of them nothing is needed any more but
which records were read, and the source's watermark at their start, which decides what is late.
That watermark decides nothing where it lies at or below what every record of the epoch saw in its
own partition, which the epoch notes (`raised` is false). Such an epoch may join the one before
it: for its records the greater of both is what they saw, with either watermark. So the history
looks as if it had been read in larger epochs, and its result is the same, record by record.

The time of joined epochs is that of the last. Where a record was refused because its time lies too
far ahead of its epoch's, a later time might accept it: no epoch joins such a one.
"""

from __future__ import annotations

from typing import Any

from headrace.engines.kernel.decode import TOO_FAR_AHEAD
from headrace.storage.state.store import StateStore

RECORDS_MAX = 250_000
"""Epochs are joined up to this size, that of an epoch while catching up."""

_ROWS_MAX = 500
_COLUMNS = (
    "generation, first_epoch, epoch, kind, epoch_us(epoch_time) as time_us, records, emitted, "
    "fingerprint, sources, tails"
)
_Epoch = dict[str, Any]


def fold(store: StateStore, upto: int, start: int = 0, records_max: int = RECORDS_MAX) -> int:
    """Joins epochs from `start` up to `upto` where that changes nothing; in a transaction.

    Returns where to start the next time.
    """
    relation = store.connection.execute(
        f"select {_COLUMNS} from meta.epochs where epoch between ? and ? order by epoch limit ?",
        [start, upto, _ROWS_MAX],
    )
    names = [d[0] for d in relation.description]
    epochs = [dict(zip(names, row, strict=True)) for row in relation.fetchall()]
    runs: list[list[_Epoch]] = []
    apart = _timed(store, start, upto) | _noted(store)
    for epoch in epochs:
        if runs and runs[-1][-1]["epoch"] not in apart and _joins(runs[-1], epoch, records_max):
            runs[-1].append(epoch)
        else:
            runs.append([epoch])
    for run in runs:
        if len(run) > 1:
            _replace(store, run)
    _forget_tails(store, upto)
    return int(runs[-1][-1]["epoch"]) if runs else start


def _timed(store: StateStore, start: int, upto: int) -> set[int]:
    """The epochs whose own time was the arrival of a record that came too far ahead of it."""
    rows = store.rows(
        "select distinct d.epoch from meta.dead_letters d join meta.epochs e on e.epoch = d.epoch "
        "where d.epoch between ? and ? and d.view is null and d.reason = ? "
        "and d.arrival_time = e.epoch_time",
        [start, upto, TOO_FAR_AHEAD],
    )
    return {epoch for (epoch,) in rows}


def _noted(store: StateStore) -> set[int]:
    """The epochs up to which outputs were given all, and streams counted that are out of the app.

    What they were given behind that, or read, is counted when they are put back.
    """
    sql = "select value from meta.counters where counter = 'epoch'"
    return {epoch for (epoch,) in store.rows(sql)}


def _joins(run: list[_Epoch], epoch: _Epoch, records_max: int) -> bool:
    """Whether `epoch` can be read as a part of `run`, which stands right before it."""
    first, last = run[0], run[-1]
    same = all(first[c] == epoch[c] for c in ("generation", "kind", "fingerprint"))
    if not same or epoch["kind"] != "live" or last["epoch"] + 1 != epoch["first_epoch"]:
        return False
    if sum(e["records"] for e in run) + epoch["records"] > records_max:
        return False
    begun = {s["topic"]: s for s in first["sources"]}
    ended = {s["topic"]: s for s in last["sources"]}
    if begun.keys() != {s["topic"] for s in epoch["sources"]}:
        return False
    return all(
        ended[s["topic"]]["end_offsets"] == s["start_offsets"]
        and (not s["raised"] or s["before_us"] == begun[s["topic"]]["before_us"])
        for s in epoch["sources"]
    )


def _replace(store: StateStore, run: list[_Epoch]) -> None:
    first, last = run[0], run[-1]
    raised = {s["topic"] for e in run for s in e["sources"] if s["raised"]}
    ended = {s["topic"]: s for s in last["sources"]}
    sources = [
        {
            **begun,
            "raised": begun["topic"] in raised,
            **{
                c: ended[begun["topic"]][c]
                for c in ("after_us", "end_offsets", "greatest_after_us")
            },
        }
        for begun in first["sources"]
    ]
    store.connection.execute(
        "delete from meta.epochs where epoch between ? and ?", [first["epoch"], last["epoch"]]
    )
    store.connection.execute(
        "update meta.late set epoch = ? where epoch between ? and ?",
        [last["epoch"], first["epoch"], last["epoch"]],
    )
    store.connection.execute(
        "insert into meta.epochs values (?, ?, ?, ?, make_timestamp(?), ?, ?, ?, ?, ?)",
        [
            first["generation"],
            first["first_epoch"],
            last["epoch"],
            first["kind"],
            last["time_us"],
            sum(e["records"] for e in run),
            any(e["emitted"] for e in run),
            first["fingerprint"],
            sources,
            last["tails"],
        ],
    )


def _forget_tails(store: StateStore, upto: int) -> None:
    """Of epochs that every destination has, what the last one read last is enough."""
    store.connection.execute(
        "update meta.epochs set tails = null where tails is not null and epoch < "
        "(select max(epoch) from meta.epochs where epoch <= ? and tails is not null)",
        [upto],
    )
