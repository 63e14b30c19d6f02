"""What a run made of the events it read, from its own sums and from its tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.fed import LOSSES
from headrace.ops.jobs.running import RunningApp
from headrace.values.settings import Settings

VIEWS = "select coalesce(sum(view_count), 0)::bigint as n from page_view_counts"
# What takes every event as a row of its own.
_OF_EVENTS = ("lake", "topic")


def asker(running: RunningApp, settings: Settings, sql: str) -> Callable[[], int]:
    """Asks for the number `n` as whoever reads the results does: the app, or PostgreSQL."""
    if settings.tables is None:
        return lambda: int(running.query(sql)["n"][0].as_py())
    import psycopg

    connection = psycopg.connect(settings.tables, autocommit=True)
    return lambda: int(connection.execute(sql).fetchone()[0])


def made(running: RunningApp, counted: int, *, delivered: bool = True) -> dict[str, Any]:
    """Records read, those that were lost by how, and what was `counted`.

    `landed`: rows of the lake and of the topic, where all is `delivered`.
    """
    (status,) = running.status()
    found: dict[str, Any] = {"counted": counted, "read": 0} | dict.fromkeys(LOSSES, 0)
    for part in (*status["sources"], *status["views"], *status["destinations"]):
        for kind in ("read", *LOSSES):
            found[kind] += part.get(kind, 0)
    outputs = [of for of in status["destinations"] if of["role"] in _OF_EVENTS and delivered]
    return found | {"landed": {of["name"]: of["landed"] for of in outputs}}
