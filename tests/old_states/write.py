"""Writes the data directory that is kept: `python -m tests.old_states.write`.

To be run for every format of the state, and when the state of a view takes another form. What was
written before stays, under a name of its own: `format-N.tar.xz` is what the present version writes.
"""

from __future__ import annotations

import json
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from headrace.ops.ingest.keys import KeyReader
from headrace.ops.jobs.ask import ask
from headrace.storage.layout import DataDirectory
from headrace.storage.state.schema import FORMAT
from headrace.storage.topics.log import LocalTopic
from headrace.testing.records import append
from headrace.values.settings import load_settings
from tests.old_states.shop import app

KEPT = Path(__file__).parent / "kept"
START = datetime(2026, 1, 5)
TABLES = tuple(o.name for o in app.plan.jobs[0].outputs if o.role not in ("lake", "topic"))


def main() -> None:
    KEPT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "data"
        give(data, orders(seed=1, count=250))
        app.run(until="caught-up", data=data)
        # Corrections and their regions belong to what a directory may hold.
        ask(app.plan.jobs[0], load_settings(overrides={"data": data}), "recompute", {})
        give(data, orders(seed=2, count=150, after=timedelta(minutes=20)))
        app.run(until="caught-up", data=data)
        assert all(proof.holds for proof in app.verify(data=data))
        text = json.dumps(served(data), default=str, indent=1, sort_keys=True)
        (data / "served.json").write_text(text)
        path = KEPT / f"format-{FORMAT}.tar.xz"
        with tarfile.open(path, "w:xz") as archive:
            archive.add(data, "data", filter=_plain)
    print(f"{path}: {path.stat().st_size:,} bytes")


def orders(seed: int, count: int, after: timedelta = timedelta()) -> Iterator[bytes]:
    """Orders of a few customers, some late, twice or malformed."""
    chance = Random(seed)
    for number in range(count):
        at = START + after + timedelta(seconds=5 * number - chance.choice((0, 0, 0, 2, 150)))
        price = chance.choice(("1.10", "0", "99999.99"))
        order = {
            "made": at.isoformat() + "Z",
            "customer": f"c{chance.randrange(12)}",
            "kind": chance.choice(("open", "buy", "buy", "close")),
            "amount": chance.randrange(-5, 100),
            "weight": chance.choice((None, 0.5, 1.25)),
            "items": [{"article": f"a{n}", "price": price} for n in range(chance.randrange(3))],
        }
        text = json.dumps(order).encode()
        yield text if number % 40 else text[:-3]
        if number % 30 == 0:
            yield text


def give(data: Path, values: Iterator[bytes]) -> None:
    """Appends records to the topic of the app."""
    source = app.plan.jobs[0].sources[0]
    topic = LocalTopic.ensure(DataDirectory(data).topics, source.topic, source.partitions)
    append(topic, KeyReader(str(source.key)), list(values), None)


def served(data: Path) -> dict[str, Sequence[Any]]:
    """What stands in every table, lake and topic, and how much of it in the latter two."""
    found: dict[str, Sequence[Any]] = {
        name: app.query(f"from {name} order by all", data=data).to_pylist() for name in TABLES
    }
    for name in ("lake.orders", "lake.final_minutes", "topic.copies", "topic.visit_changes"):
        counted = app.query(f"select count(*) as records from {name}", data=data)
        found[name] = counted.to_pylist()
        found[f"rows of {name}"] = app.query(f"from {name} order by all", data=data).to_pylist()
    return found


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Nothing of who wrote it, and no sockets or locks."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry if entry.isfile() or entry.isdir() else None


if __name__ == "__main__":
    main()
