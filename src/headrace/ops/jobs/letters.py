"""Dead letters: listed by reason, shown with their bytes, replayed after a fix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from headrace.engines.embedded.epochs.adopting import refuse_left
from headrace.engines.embedded.epochs.replay import replay_epochs
from headrace.engines.embedded.runner import JobRunner
from headrace.proof.corrections import delivered
from headrace.proof.refusals import resend
from headrace.values.schema import literal


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

    Raises DestinationDown when a destination does not take what that gives; it is committed then.
    """

    refuse_left(runner.job, runner.engine.left, "its rows would lack what is accepted now")

    def work() -> dict[str, Any]:
        now_us = runner.clock.now_us()
        epochs, refused = replay_epochs(runner.engine, now_us, runner.handed_over)
        return {
            "job": runner.job.id,
            "accepted": sum(len(s.events) for e in epochs for s in e.sources.values()),
            "refused": refused,
            "epoch": epochs[-1].epoch if epochs else None,
        }

    judged = runner.call(work)
    sent_again = resend(runner)
    if sent_again or judged["epoch"] is not None:
        delivered(runner, runner.engine.ledger.epoch, [o.name for o in runner.job.outputs])
    return judged | {"sent_again": sent_again}


def _rows(runner: JobRunner, sql: str) -> pa.Table:
    cursor = runner.store.cursor()
    try:
        return cursor.sql(sql).to_arrow_table()
    finally:
        cursor.close()
