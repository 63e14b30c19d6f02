"""An app with a topic of changes, in a process of its own that tests may kill.

`python -m tests.faults.begun_anew DATA SYSTEM STEPS COUNTS PIECE`: `SYSTEM` holds the topics
(`embedded`, or an address), `STEPS` and `COUNTS` are their names, `PIECE` says how many rows are
taken back in one delivery.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

import headrace as hr
from headrace.engines.embedded.deliveries import withdrawing
from headrace.ops.jobs.ask import ask_query, ask_verify
from headrace.ops.jobs.running import run_app
from headrace.ops.jobs.states import reset
from headrace.plan.operators import Plan
from headrace.storage.systems import Systems
from headrace.values.settings import Settings, load_settings
from tests import children

USERS = [f"u{n:02}" for n in range(10)]
EMBEDDED = "embedded"


class Step(hr.Event):
    at: datetime
    who: str


def plan_of(steps: str, counts: str) -> Plan:
    app = hr.App("anew")
    source = app.source(Step, topic=steps, key="who", time="at", partitions=1)
    app.topic(counts, source.by("who").agg(n="count(*)"), partitions=2)
    return app.plan


def settings_of(data: str | Path, system: str) -> Settings:
    more = {} if system == EMBEDDED else {"topics": system}
    return load_settings(overrides={"data": Path(data), **more})


class BegunAnew:
    """The app in `data` before the first run of a new generation: it has told `USERS`."""

    def __init__(
        self, data: Path, system: str = EMBEDDED, steps: str = "steps", counts: str = "counts"
    ) -> None:
        self.arguments = data, system, steps, counts
        self.steps, self.counts = steps, counts
        self.plan, self.settings = plan_of(steps, counts), settings_of(data, system)
        with Systems(self.settings) as systems:
            systems.create_topics(self.plan.jobs[0])
        for second in range(2):
            self.send(second, USERS)
            assert self.run() == 0
        reset(self.plan.jobs[0].id, self.settings)

    def send(self, second: int, users: Iterable[str]) -> None:
        at = f"2026-01-01T00:00:{second:02}Z"
        values = [json.dumps({"at": at, "who": user}).encode() for user in users]
        with Systems(self.settings) as systems:
            systems.topic(self.steps, 1).append_numbered(
                pa.array(values, pa.binary()), producer="sent", first_sequence=second * 1000
            )

    def run(self, kill_at: str = "", piece: int = 3) -> int:
        """Catches up; the exit code (-9: killed)."""
        module = "tests.faults.begun_anew"
        process = children.start(module, *self.arguments, piece, kill_at=kill_at)
        return children.finished(process)[0]

    def counted(self) -> dict[str, int]:
        """What the destination was sent, what landed there and what it refused."""
        (row,) = self._asked(
            "select sent, landed, refused from conservation where kind = 'destination'"
        )
        return row

    def told(self) -> dict[tuple[int, str], list[str | None]]:
        """By partition and key the values of the topic of changes, in order."""
        found: dict[tuple[int, str], list[str | None]] = {}
        for row in self._asked(
            f'select "partition", key, value from topic."{self.counts}" '
            'order by "partition", "offset"'
        ):
            found.setdefault((row["partition"], row["key"]), []).append(row["value"])
        return found

    def holds(self) -> bool:
        (found,) = ask_verify(self.plan, self.settings)
        return found.holds and all(c.compared for c in found.checked)

    def _asked(self, sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = ask_query(self.plan, self.settings, sql).to_pylist()
        return rows


def check_told(told: dict[tuple[int, str], list[str | None]]) -> None:
    """Each user twice in the first generation, then taken back, then told once."""
    values = {user: [f'{{"who":"{user}","n":{n}}}' for n in (1, 2)] for user in USERS}
    assert len(told) == len(USERS)
    assert {who: all_ for (_, who), all_ in told.items()} == {
        who: [one, two, None, two] for who, (one, two) in values.items()
    }


if __name__ == "__main__":
    data, system, steps, counts, piece = sys.argv[1:]
    withdrawing.PIECE_RECORDS = int(piece)
    run_app(plan_of(steps, counts), settings_of(data, system), until="caught-up")
