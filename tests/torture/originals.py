"""What is mutated: recorded data where it is (beside the project), else what the simulator makes.

Every kind has an app that reads it, so that mutated records can be judged and run.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import headrace as hr
from headrace.cli.loading import load_app
from headrace.ops.ingest.generator import Partitions, Simulation
from headrace.plan.operators import Source
from tests.engines.kernel.test_decode import TOKENS, Wide

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
_LINES_MAX = 40_000


@dataclass(frozen=True)
class Kind:
    """Records of one shape: `app` reads them, `make` gives about so many of them."""

    name: str
    app: Callable[[], hr.App]
    make: Callable[[Random, int], list[bytes]]
    recorded: bool

    def source(self) -> Source:
        """The source that judges them."""
        return self.app().plan.jobs[0].sources[0]


def kinds() -> list[Kind]:
    """All kinds that can be had here."""
    return [
        Kind("activity", lambda: load_app("activity"), _simulated, False),
        Kind("wide", _wide_app, _wide, False),
        *(
            Kind(name, app, _lines(DATA / file), True)
            for name, file, app in _RECORDED
            if (DATA / file).exists()
        ),
    ]


def files() -> dict[str, tuple[str, bytes]]:
    """Recorded files that are not JSON lines, unpacked: (app, content) by format."""
    found = {}
    for format_, app, file, size in _FILES:
        if (DATA / file).exists():
            with gzip.open(DATA / file) as packed:
                content = packed.read(size)
            found[format_] = app, content[: content.rfind(b"\n") + 1]
    return found


class Channel(hr.Event):
    last_seen_at: datetime
    observed_at: datetime
    channel_id: int
    owner_user_id: str
    channel_name: str
    country: str | None
    viewer_count: int
    n_features: int


class Creator(hr.Event):
    observed_at: datetime
    endpoint: str
    rank: int
    user_id: str
    handle: str
    verified: bool | None
    followers: int
    likes: int | None


def _channels() -> hr.App:
    app = hr.App("channels")
    seen = app.source(Channel, topic="channels", key="owner_user_id", time="last_seen_at")
    watched = seen.tumble("10 minutes").by("country")
    app.table("watched", watched.agg(viewers="max(viewer_count)", channels="count(*)"))
    app.lake("channels", seen)
    return app


def _creators() -> hr.App:
    app = hr.App("creators")
    seen = app.source(Creator, topic="creators", key="user_id", time="observed_at")
    app.table("latest", seen.select("user_id", "handle", "followers"), key="user_id")
    app.table("ranks", seen.slide("2 days", every="1 day").by("rank").agg(likes="max(likes)"))
    return app


def _wide_app() -> hr.App:
    app = hr.App("wide")
    stream = app.source(Wide, topic="wide")
    totals = stream.by("one", "yes").agg(n="count(*)", high="max(whole)", days="count(day)")
    app.table("totals", totals)
    app.lake("wide", stream)
    return app


def _example(name: str) -> Callable[[], hr.App]:
    return lambda: load_app(str(ROOT / "examples" / f"{name}.py"))


_RECORDED: Sequence[tuple[str, str, Callable[[], hr.App]]] = (
    ("edits", "activity/wikipedia_edits.jsonl.gz", _example("wikipedia")),
    ("clicks", "activity/link_clicks.jsonl.gz", _example("clicks")),
    ("channels", "kol/live_channels.jsonl.gz", _channels),
    ("creators", "kol/creators.jsonl.gz", _creators),
    ("matches", "lol/matches.jsonl.gz", _example("matches")),
)
_FILES = (
    ("csv", "retail", "activity/retail_transactions.csv.gz", 1 << 20),
    ("combined", "activity", "activity/apache_access.log.gz", 1 << 20),
)


def _lines(path: Path) -> Callable[[Random, int], list[bytes]]:
    def lines(chance: Random, count: int) -> list[bytes]:
        """Some of the first lines of the file, in order; from its beginning again at its end."""
        with gzip.open(path) as packed:
            found = [line.rstrip(b"\n") for line in itertools.islice(packed, _LINES_MAX)]
        begin = chance.randrange(len(found))
        return list(itertools.islice(itertools.cycle(found), begin, begin + count))

    return lines


def _simulated(chance: Random, count: int) -> list[bytes]:
    app = load_app("activity")
    assert app.generator is not None
    simulation = Simulation(
        count=count,
        rate=count / 9_000,
        seed=chance.getrandbits(30),
        start_us=1_767_571_200_000_000,
        late_every=50,
    )
    batches = app.generator(simulation, Partitions(3)).batches()
    return [value for batch in batches for value in batch.values.to_pylist()]


def _wide(chance: Random, count: int) -> list[bytes]:
    """Objects of every kind of field, each written in one of the accepted ways."""
    made = []
    for _ in range(count):
        names = chance.sample(list(TOKENS), chance.randint(3, len(TOKENS)))
        members = (f"{json.dumps(name)}: {chance.choice(TOKENS[name][0])}" for name in names)
        made.append(f"{{{', '.join(members)}}}".encode())
    return made


def written_as_csv(chance: Random, records: Sequence[bytes]) -> bytes:
    """`records` as CSV, for where there is no recorded file."""
    rows: list[dict[str, Any]] = [json.loads(record) for record in records]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=chance.choice(",;\t"))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
