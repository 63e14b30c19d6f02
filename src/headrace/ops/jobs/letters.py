"""Dead letters: listed by reason, shown with their bytes, replayed after a fix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from headrace.engines.embedded.epochs.adopting import refuse_left
from headrace.engines.embedded.epochs.replay import replay_epochs
from headrace.engines.embedded.runner import JobRunner
from headrace.proof.corrections import delivered
from headrace.proof.refusals import resend
from headrace.values.schema import literal

_ROOM_SECONDS = 1.0


def listed(runner: JobRunner) -> pa.Table:
    """How many dead letters there are: topic, view, field, reason, letters, first and last arrival.

    Reasons are grouped by what stands before the value that caused them.
    """
    return _rows(
        runner,
        "select topic, view, field, regexp_replace(reason, ': .*', '') as reason, "
        "count(*) as letters, count(replayed) as replayed, min(arrival_time) as first_arrival, "
        "max(arrival_time) as last_arrival from meta.dead_letters group by 1, 2, 3, 4 "
        "order by letters desc, topic, reason",
    )


def shown(runner: JobRunner, request: Mapping[str, Any]) -> pa.Table:
    """Single dead letters, the newest first: `limit`, and where given `reason` (a part of it)."""
    where = "true"
    if request.get("reason"):
        where = f"contains(lower(reason), lower({literal(str(request['reason']))}))"
    return _rows(
        runner,
        'select topic, "partition", "offset", view, field, reason, '
        "coalesce(try(decode(value)), value::varchar) as value, value_bytes, arrival_time, "
        "replayed "
        f'from meta.dead_letters where {where} order by epoch desc, "partition", "offset" desc '
        f"limit {int(request.get('limit', 20))}",
    )


def replayed(runner: JobRunner) -> dict[str, Any]:
    """Judges every dead letter again by the present definition, and sends refused rows again.

    The job goes on meanwhile. Raises DestinationDown when a destination does not take what that
    gives; what was judged until then is committed.
    """
    refuse_left(runner.job, runner.engine.left, "its rows would lack what is accepted now")
    now_us = runner.clock.now_us()

    def alone(work: Callable[[], Any]) -> Any:
        _await_room(runner)
        return runner.call(work)

    judged = replay_epochs(runner.engine, now_us, runner.handed_over, alone)
    sent_again = resend(runner)
    if sent_again or judged.epochs:
        delivered(runner, runner.engine.ledger.epoch, [o.name for o in runner.job.outputs])
    return {
        "job": runner.job.id,
        "accepted": judged.accepted,
        "refused": judged.refused,
        "epoch": judged.epochs[-1] if judged.epochs else None,
        "sent_again": sent_again,
    }


def _await_room(runner: JobRunner) -> None:
    """Waits until no delivery has too much before it: what waits is held in memory."""
    for delivery in list(runner.deliveries):
        while not delivery.has_room(_ROOM_SECONDS):
            if delivery.outage.given_up:
                raise delivery.not_taken(
                    "What was accepted is committed, and the rest is as it was. Mend that, then "
                    "give the command again: headrace dead-letters replay APP"
                )


def _rows(runner: JobRunner, sql: str) -> pa.Table:
    cursor = runner.store.cursor()
    try:
        return cursor.sql(sql).to_arrow_table()
    finally:
        cursor.close()
