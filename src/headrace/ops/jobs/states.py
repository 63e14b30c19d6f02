"""A job's state: what there is, and beginning anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headrace.engines.embedded.deliveries.claims import STARTS_PER_GENERATION
from headrace.engines.embedded.deliveries.coverage import (
    CORRECTED,
    KEPT_TABLES,
    corrected_views,
    keep_what_was_read,
)
from headrace.engines.embedded.epochs.definitions import FEEDS_FACT
from headrace.engines.embedded.epochs.ledger import begin_at
from headrace.engines.embedded.epochs.seeking import Start, first_offsets
from headrace.engines.embedded.epochs.sources import Position
from headrace.engines.embedded.epochs.tails import tail_before
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import Job
from headrace.storage.layout import DataDirectory
from headrace.storage.state.damage import put_aside
from headrace.storage.state.store import ENGINE_VERSION, FILE_NAME, StateStore, state_in_words
from headrace.storage.systems import Systems
from headrace.values.clock import SystemClock
from headrace.values.errors import StateDamaged, UsageError
from headrace.values.settings import Settings

Begins = dict[str, tuple[str, Position]]
"""By topic its identity and where it is read first."""


def listed(runner: JobRunner) -> dict[str, Any]:
    """JSON-able: generation, epoch, size of the file, and by view its tables with their rows."""

    def work() -> dict[str, Any]:
        views = [
            {
                "view": name,
                "tables": [
                    {"table": t, "rows": runner.store.rows(f"select count(*) from {t}")[0][0]}
                    for t in view.tables()
                ],
            }
            for name, view in runner.engine.views.items()
        ]
        ledger = runner.engine.ledger
        return {
            "job": runner.job.id,
            "generation": ledger.generation,
            "epoch": ledger.epoch,
            "file": str(runner.store.path),
            "bytes": runner.store.path.stat().st_size,
            "views": views,
        }

    return runner.call(work)


def begins(job: Job, settings: Settings, start: Start) -> Begins:
    """Where a new generation of the state begins that is to read its topics from `start`.

    UsageError for what is not there, TopicRefused and Unreachable as the topics have them.
    """
    if start.of_one_topic and len(job.sources) > 1:
        names = ", ".join(s.topic for s in job.sources)
        raise UsageError(
            f"job {job.id} reads several topics ({names}), and an offset is of one",
            remedy="Give earliest, latest or a time; then headrace state seek APP TOPIC for one.",
        )
    found: Begins = {}
    with Systems(settings) as systems:
        for source in job.sources:
            topic = systems.topic(source.topic, source.partitions)
            offsets = first_offsets(start, topic)
            position = Position(offsets, tail=tail_before(topic, offsets))
            found[source.topic] = topic.identity, position
    return found


def what_a_reset_loses(job_id: str, settings: Settings) -> dict[str, Any]:
    """What stands in the state now, for whoever is about to reset it.

    `damaged` is null, or says why nothing of it can be read.
    """
    lost: dict[str, Any] = {"job": job_id, "damaged": None, "generation": None, "tables": []}
    lost |= {"dead_letters": None, "recomputed": []}
    try:
        with _store(job_id, settings) as store:
            return lost | _held(store)
    except StateDamaged as error:
        return lost | {"damaged": error.what}


def _held(store: StateStore) -> dict[str, Any]:
    names = [
        row[0]
        for row in store.rows(
            "select table_name from information_schema.tables "
            "where table_schema = 'main' and table_type = 'BASE TABLE'"
        )
    ]
    return {
        "generation": int(store.fact("generation") or 1),
        "tables": [
            {"table": n, "rows": store.rows(f'select count(*) from main."{n}"')[0][0]}
            for n in names
        ],
        "dead_letters": store.rows("select count(*) from meta.dead_letters")[0][0],
        "recomputed": corrected_views(store),
    }


def reset(job_id: str, settings: Settings, at: Begins | None = None) -> int:
    """Forgets views, tables, offsets and sums, and begins a greater generation; returns it.

    Lakes and topics keep what they have; the new generation goes on behind it. `at` says where
    its first read begins; by default where each topic does when it is read. A state that cannot be
    read is put aside: what destinations hold tells how far it was.
    """
    try:
        return _reset(job_id, settings, at)
    except StateDamaged:
        put_aside(DataDirectory(settings.data).job(job_id) / FILE_NAME)
        return _reset(job_id, settings, at)


def _reset(job_id: str, settings: Settings, at: Begins | None) -> int:
    with _store(job_id, settings) as store:
        known = [store.fact(name) for name in ("generation", "generation_elsewhere")]
        generation = max(int(number or 1) for number in known) + 1
        facts = {"duckdb": ENGINE_VERSION, "format": store.fact("format")}
        # Whoever resets has the say from now on, also where an older start delivered.
        starts = (generation - 1) * STARTS_PER_GENERATION
        facts["incarnation"] = str(max(int(store.fact("incarnation") or 0), starts))
        base = max(int(store.fact(name) or 0) for name in ("epoch_base", "epoch_elsewhere"))
        last = store.rows("select coalesce(max(epoch), 0) from meta.epochs")[0][0]
        facts["epoch_base"] = str(max(base, last))
        facts[CORRECTED] = store.fact(CORRECTED) or "[]"
        fed = "select name, value from meta.facts where starts_with(name, ?)"
        facts |= dict(store.rows(fed, [FEEDS_FACT]))
        with store.transaction() as connection:
            keep_what_was_read(connection, int(store.fact("generation") or 1))
            connection.execute(
                "create or replace temp table kept_counters as select * from meta.counters "
                "where kind = 'destination' and name not in (select table_name from "
                "information_schema.tables where table_schema = 'main')"
            )
            for schema in ("main", "state", "meta"):
                for (name,) in connection.execute(
                    "select table_name from information_schema.tables "
                    f"where table_schema = '{schema}' and table_type = 'BASE TABLE'"
                ).fetchall():
                    if schema == "meta" and name in KEPT_TABLES:
                        continue
                    if schema == "meta":
                        connection.execute(f'delete from meta."{name}"')
                    else:
                        connection.execute(f'drop table {schema}."{name}"')
            for name, value in facts.items():
                store.set_fact(name, str(value))
            store.set_fact("generation", str(generation))
            if at is not None:
                epoch = int(facts["epoch_base"] or 0) + 1
                begin_at(connection, generation, epoch, SystemClock().now_us(), at)
            # What lakes and topics hold stays there, and so does its count.
            connection.execute("insert into meta.counters select * from kept_counters")
        return generation


@contextmanager
def _store(job_id: str, settings: Settings) -> Iterator[StateStore]:
    """The state, to be emptied; StateDamaged also where only what a reset keeps cannot be read."""
    directory = DataDirectory(settings.data).job(job_id)
    with (
        state_in_words(directory / FILE_NAME),
        StateStore(
            directory, threads=settings.threads, memory_limit=settings.memory_limit, emptied=True
        ) as store,
    ):
        for name in ("facts", "counters", *KEPT_TABLES):
            store.rows(f"select max(hash(t)) from meta.{name} t")
        yield store
