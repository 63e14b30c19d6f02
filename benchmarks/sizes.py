"""How much is measured, and where: environment variables with their defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# The variable of what is measured only where that is asked for, beside all the rest.
LONG = "LONG"
APP = "benchmarks/activity_five.py"
TOPIC = "user_activity"
# Seconds of event time that pass in one second of a live run: a minute, and the windows that end
# with it, every five.
LIVE_PACE = 12


@dataclass(frozen=True)
class Sizes:
    """How much of each.

    `events`: the sizes of the log. Sizes up to `repeated_max` are measured `repeats` times, larger
    ones `many_repeats` times; the scripts and NDJSON stop at `files_max`. `live_preload`: events in
    the state when the second latency measurement begins, `fast_rate`: events a second of the third.
    `connected_…` is with Kafka and PostgreSQL, `upserted_rows` the size of the table there that is
    changed. `peers` are those that are measured (none: all), with `peer_five` and `peer_count`
    events for the two pipelines, and with the `slow_…` ones where a peer is slow; none may take
    longer than `peer_seconds_max`. `curve_…` are the points of the curves of events and of keys,
    `curve_base` how many events the others have; each is measured `curve_repeats` times.
    `long_events` go through one job with retention; none: not measured.
    """

    events: tuple[int, ...]
    repeats: int
    many_repeats: int
    repeated_max: int
    files_max: int
    live_rate: int
    fast_rate: int
    live_seconds: float
    live_preload: int
    connected_events: int
    connected_repeats: int
    connected_rate: int
    upserted_rows: int
    peers: tuple[str, ...]
    peer_five: int
    peer_count: int
    slow_five: int
    slow_count: int
    peer_seconds_max: float
    curve_events: tuple[int, ...]
    curve_keys: tuple[int, ...]
    curve_base: int
    curve_repeats: int
    long_events: int
    directory: Path

    def repeats_of(self, count: int) -> int:
        """How often so many events are measured."""
        return self.repeats if count <= self.repeated_max else self.many_repeats

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"directory": str(self.directory)}


def sizes_from(data: Mapping[str, Any]) -> Sizes:
    """The inverse of `Sizes.to_json`, also after it was written and read."""
    lists = {key: tuple(of) for key, of in data.items() if isinstance(of, list | tuple)}
    return Sizes(**{**data, **lists, "directory": Path(data["directory"])})


def sizes_from_environment(variables: Mapping[str, str] = os.environ) -> Sizes:
    """Reads BENCH_EVENTS (a list: 1000000,10000000), BENCH_REPEATS and so on."""

    def text(name: str, default: str) -> str:
        return variables.get(f"BENCH_{name}") or default

    def numbers(name: str, default: str) -> tuple[int, ...]:
        return tuple(int(n) for n in text(name, default).split(","))

    return Sizes(
        events=numbers("EVENTS", "1000000,10000000"),
        repeats=int(text("REPEATS", "3")),
        many_repeats=int(text("MANY_REPEATS", "3")),
        repeated_max=int(text("REPEATED_MAX", "1000000")),
        files_max=int(text("FILES_MAX", "10000000")),
        live_rate=int(text("LIVE_RATE", "10000")),
        fast_rate=int(text("FAST_RATE", "100000")),
        live_seconds=float(text("LIVE_SECONDS", "25")),
        live_preload=int(text("LIVE_PRELOAD", "1000000")),
        connected_events=int(text("CONNECTED_EVENTS", "8000000")),
        connected_repeats=int(text("CONNECTED_REPEATS", "2")),
        connected_rate=int(text("CONNECTED_RATE", "5000")),
        upserted_rows=int(text("UPSERTED_ROWS", "5000000")),
        peers=tuple(name for name in text("PEERS", "").split(",") if name),
        peer_five=int(text("PEER_FIVE", "1000000")),
        peer_count=int(text("PEER_COUNT", "2000000")),
        slow_five=int(text("SLOW_FIVE", "200000")),
        slow_count=int(text("SLOW_COUNT", "500000")),
        peer_seconds_max=float(text("PEER_SECONDS_MAX", "240")),
        curve_events=numbers("CURVE_EVENTS", "1000000,10000000,100000000"),
        curve_keys=numbers("CURVE_KEYS", "1000,10000,100000,1000000,10000000"),
        curve_base=int(text("CURVE_BASE", "1000000")),
        curve_repeats=int(text("CURVE_REPEATS", "3")),
        long_events=int(text(LONG, "0")),
        # It is emptied: whatever else lies in the named directory stays.
        directory=Path(text("DIR", str(ROOT / "build"))) / "headrace-bench",
    )


def changed(sizes: Sizes) -> dict[str, Any]:
    """What differs from the defaults, by variable; where it is measured does not count."""
    defaults = sizes_from_environment({}).to_json()
    return {
        f"BENCH_{_VARIABLES.get(key, key.upper())}": value
        for key, value in sizes.to_json().items()
        if key != "directory" and value != defaults[key]
    }


# Variables that are called otherwise than the field.
_VARIABLES = {"long_events": LONG}
