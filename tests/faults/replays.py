"""An app with many dead letters, which a process that tests may kill judges again, piece by piece.

`python -m tests.faults.replays DATA`: as `headrace dead-letters replay`, by a definition that
accepts most of them.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

import headrace as hr
from headrace.engines.embedded.epochs import replay
from headrace.ops.jobs.ask import ask, ask_query, ask_verify
from headrace.ops.jobs.running import run_app
from headrace.plan.operators import Plan
from headrace.storage.systems import Systems
from headrace.values.settings import Settings, load_settings

LETTERS, ACCEPTED = 40, [n for n in range(40) if n % 4]


class Strict(hr.Event):
    checks = {"small": "n < 0"}
    at: datetime
    n: int


class Loose(hr.Event):
    checks = {"some": "n % 4 <> 0"}
    at: datetime
    n: int


def plan_of(event: type[hr.Event]) -> Plan:
    app = hr.App("letters")
    things = app.source(event, topic="things", time="at", partitions=1)
    app.table("totals", things.agg(n="count(*)", total="sum(n)"))
    app.lake("everything", things)
    app.topic("copies", things)
    return app.plan


def settings_of(data: str | Path) -> Settings:
    return load_settings(overrides={"data": Path(data)})


class Letters:
    """The app in `data`, whose records are all refused so far."""

    def __init__(self, data: Path) -> None:
        self.settings, self.plan = settings_of(data), plan_of(Loose)
        with Systems(self.settings) as systems:
            systems.create_topics(self.plan.jobs[0])
            values = [
                json.dumps({"at": f"2026-01-01T00:00:{n:02}Z", "n": n}).encode()
                for n in range(LETTERS)
            ]
            systems.topic("things", 1).append_numbered(
                pa.array(values, pa.binary()), producer="sent", first_sequence=0
            )
        run_app(plan_of(Strict), self.settings, until="caught-up")

    def judged(self) -> int:
        """How many letters are accepted by now."""
        return len(self._asked("select 1 as one from dead_letters where replayed is not null"))

    def given(self) -> dict[str, list[Any]]:
        """What the outputs have."""
        lake = self._asked("select n from lake.everything order by n")
        topic = self._asked("select value from topic.copies")
        return {
            "totals": self._asked("from totals"),
            "everything": [row["n"] for row in lake],
            "copies": sorted(json.loads(row["value"])["n"] for row in topic),
        }

    def holds(self) -> bool:
        (found,) = ask_verify(self.plan, self.settings)
        return found.holds

    def _asked(self, sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = ask_query(self.plan, self.settings, sql).to_pylist()
        return rows


if __name__ == "__main__":
    replay.PIECE_WEIGHT = 7
    ask(plan_of(Loose).jobs[0], settings_of(sys.argv[1]), "letters-replay")
