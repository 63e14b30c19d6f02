"""The first table of the page: every goal, what this run reached, and why one is missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks import faithful, goals
from benchmarks.batch_report import SCRIPTS, WAYS
from benchmarks.cells import middle, peak
from benchmarks.connected import KAFKA
from benchmarks.limits import limit
from benchmarks.live import ASKED_OFTEN_MS, live_runs
from benchmarks.long_report import TENTHS, tenths
from benchmarks.peer_report import OURS, beginning, from_its_beginning, measured
from benchmarks.peers.known import PEERS
from benchmarks.runs import Run, Runs, largest
from benchmarks.sizes import Sizes

Reached = tuple[str, bool | None]
_MB = 1.048576
_NOT_MEASURED = "not measured in this run"


@dataclass(frozen=True)
class Row:
    """A goal, and of a run what was reached and whether that is enough; None: not measured.

    Whether it is enough is None where it cannot be judged. `limit` is the name of the text that
    says what stands in the way.
    """

    what: str
    wanted: str
    reached: Callable[[Runs, Sizes], Reached | None]
    limit: str


def all_goals(runs: Runs, sizes: Sizes) -> Iterator[str]:
    """The section as lines of Markdown."""
    yield "## The goals"
    yield ""
    yield "On two cores; medians where a thing was measured several times."
    yield ""
    yield "| what | goal | reached | |"
    yield "|---|---|---|---|"
    numbers = {name: number for number, name in enumerate(missed(runs, sizes), 1)}
    for row in _rows(sizes):
        text, holds = row.reached(runs, sizes) or (_NOT_MEASURED, None)
        verdict = "met" if holds else "–"
        if holds is False:
            verdict = f"missed ({numbers[row.limit]})"
        yield f"| {row.what} | {row.wanted} | {text} | {verdict} |"
    yield ""
    if numbers:
        yield "What stands in the way (*Where the time goes* has the profile of each):"
        yield ""
        yield from (f"{number}. {limit(name, runs, sizes)}" for name, number in numbers.items())
        yield ""


def missed(runs: Runs, sizes: Sizes) -> list[str]:
    """The limits of the goals that are missed, in the order of the table."""
    found = [(row.limit, row.reached(runs, sizes)) for row in _rows(sizes)]
    return list(dict.fromkeys(name for name, of in found if of is not None and of[1] is False))


def _rows(sizes: Sizes) -> Iterator[Row]:
    yield _rate("`activity`, five outputs, catching up from the log", "five outputs", "five")
    yield from _peers("five")
    for name, times in goals.BATCHES.items():
        for way in WAYS:
            yield _batch(way, name, times)
    yield _rate("from a raw NDJSON file to the five outputs", "both", "both")
    yield Row(
        "one tumbling count alone, from the log",
        f"{goals.COUNT_RATE / 1e6:g} M events/s",
        lambda runs, sizes: _reached_rate(runs, f"one count {sizes.peer_count}", goals.COUNT_RATE),
        "count",
    )
    yield from _peers("count")
    yield _rate("`ingest` of NDJSON, durable", "ingest", "ingest")
    yield Row(
        "from Kafka on the same cores, five outputs",
        f"{goals.KAFKA_RATE / 1e6:g} M events/s",
        lambda runs, sizes: _reached_rate(runs, KAFKA, goals.KAFKA_RATE),
        "kafka",
    )
    for rate, wanted in goals.LIVE_MS.items():
        yield _live(rate, wanted)
    yield _seconds("`headrace run`, start to first row", "first result", goals.FIRST_SECONDS)
    yield _seconds("`import headrace`, with Python itself", "import", goals.IMPORT_SECONDS)
    yield Row(
        f"memory, {goals.MANY:,} events, five outputs", f"{goals.FIVE_MB:,} MB", _memory, "memory"
    )
    yield Row(
        f"{goals.KEYS:,} keys of state, all changing",
        f"{goals.KEYS_RATE / 1e6:g} M events/s in {goals.KEYS_MB:,} MB",
        _keys,
        "keys",
    )
    yield Row(
        "300 million events, with retention, four outputs (`BENCH_LONG`): the last tenth "
        "against the second",
        f"memory, log and rate within {goals.LEVEL:.0%}",
        _long,
        "long",
    )
    for command in ("recompute", "verify"):
        yield _proof(command)


def _rate(what: str, name: str, limit: str) -> Row:
    wanted = goals.RATES[name]

    def reached(runs: Runs, sizes: Sizes) -> Reached | None:
        return _reached_rate(runs, f"{name} {largest(runs, sizes.events, name)}", wanted)

    return Row(what, f"{wanted / 1e6:g} M events/s", reached, limit)


def _reached_rate(runs: Runs, name: str, wanted: float) -> Reached | None:
    if name not in runs:
        return None
    rate = middle(runs[name], "events_per_second")
    return f"{rate / 1e6:.2f} M", rate >= wanted


def _peers(pipeline: str) -> Iterator[Row]:
    """Each peer that has a goal: Headrace from its log, and from where the peer begins."""
    for name, times in goals.PEERS[pipeline].items():
        for alike in (False, True):
            yield _peer(pipeline, name, times, alike=alike)


def _peer(pipeline: str, name: str, times: float, *, alike: bool) -> Row:
    def reached(runs: Runs, sizes: Sizes) -> Reached | None:
        theirs = measured(runs, pipeline).get(name)
        if theirs is None:
            return None
        if faithful.faults(name, theirs):
            return "its rows are not ours", None
        if alike:
            ours = from_its_beginning(runs, pipeline, name)
        else:
            ours = runs.get(f"{OURS[pipeline]} {theirs[0]['events']}", [])
        return _ratio(ours, theirs, times) if ours else None

    outputs = "five outputs" if pipeline == "five" else "one count"
    way = f"from {beginning(name)}" if alike else "from the log"
    what = f"{outputs}, against {PEERS[name].title}, warm: {way}"
    return Row(what, f"{times:g} ×", reached, pipeline)


def _batch(way: str, name: str, times: float) -> Row:
    def reached(runs: Runs, sizes: Sizes) -> Reached | None:
        count = largest(runs, sizes.events, way, name)
        ours, theirs = runs.get(f"{way} {count}"), runs.get(f"{name} {count}")
        if ours is None or theirs is None:
            return None
        if not faithful.compared(runs, f"{name} {count}"):
            return "its rows are not ours", None
        return _ratio(ours, theirs, times)

    what = f"against DuckDB, {SCRIPTS[name]}: {WAYS[way]}"
    return Row(what, f"{times:g} ×", reached, "batch")


def _ratio(ours: list[Run], theirs: list[Run], times: float) -> Reached:
    ratio = middle(ours, "events_per_second") / middle(theirs, "events_per_second")
    return f"{ratio:.2f} ×", ratio >= times


def _live(rate: int, wanted: tuple[float | None, float]) -> Row:
    def reached(runs: Runs, sizes: Sizes) -> Reached | None:
        plain = [of for of in live_runs(sizes) if of.pause_ms == ASKED_OFTEN_MS and not of.preload]
        names = [of.name for of in plain if of.rate == rate and of.name in runs]
        if not names:
            return None
        run = runs[names[0]][0]
        found = list(zip((run["p50_ms"], run["p99_ms"]), wanted, strict=True))
        text = ", ".join(f"{of} {ms:.0f} ms" for of, (ms, _) in zip(_PARTS, found, strict=True))
        return text, all(most is None or ms <= most for ms, most in found)

    told = [f"{of} {most:g} ms" for of, most in zip(_PARTS, wanted, strict=True) if most]
    return Row(f"live at {rate:,} events/s: event to visible row", ", ".join(told), reached, "live")


_PARTS = ("p50", "p99")


def _seconds(what: str, name: str, most: float) -> Row:
    def reached(runs: Runs, sizes: Sizes) -> Reached | None:
        if name not in runs:
            return None
        seconds = middle(runs[name], "seconds")
        return f"{seconds:.2f} s", seconds <= most

    return Row(what, f"{most:g} s", reached, "start")


def _memory(runs: Runs, sizes: Sizes) -> Reached | None:
    found = runs.get(f"five outputs {goals.MANY}")
    if found is None:
        return None
    size = peak(found, "peak_mib") * _MB
    return f"{size:,.0f} MB", size <= goals.FIVE_MB


def _keys(runs: Runs, sizes: Sizes) -> Reached | None:
    found = runs.get(f"curve keys {goals.KEYS}")
    if found is None:
        return None
    rates = middle(found, "events_per_second"), median(map(_second_half_rate, found))
    size = peak(found, "peak_mib") * _MB
    holds = rates[1] >= goals.KEYS_RATE and size <= goals.KEYS_MB
    text = "{:.2f} M, {:.2f} M of the second half, in {:,.0f} MB"
    return text.format(*(rate / 1e6 for rate in rates), size), holds


def _second_half_rate(run: Run) -> float:
    """When all keys are there, and each record changes one; all of a run that was one epoch."""
    half = run["report"]["second_half"]
    if not half["records"]:
        return float(run["events_per_second"])
    return float(half["records"] / half["seconds"])


def _long(runs: Runs, sizes: Sizes) -> Reached | None:
    if "long" not in runs:
        return None
    of = tenths(runs["long"][0]["report"]["looks"])
    if len(of) < TENTHS:
        # Over sooner than somebody looked.
        return None
    first, last = of[1], of[-1]
    change = {key: last[key] / first[key] - 1 for key in ("rate", "resident_mib", "log_mib")}
    text = "rate {rate:+.0%}, memory {resident_mib:+.0%}, log {log_mib:+.0%}".format(**change)
    holds = change["rate"] >= -goals.LEVEL
    holds = holds and max(change["resident_mib"], change["log_mib"]) <= goals.LEVEL
    return f"{text} ({sizes.long_events / 1e6:g} M)", holds


def _proof(command: str) -> Row:
    def reached(runs: Runs, sizes: Sizes) -> Reached | None:
        found = runs.get(f"{command} {goals.MANY}")
        if found is None:
            return None
        seconds = middle(found, "wall_seconds")
        return f"{seconds:.1f} s", seconds <= goals.PROOF_SECONDS

    return Row(
        f"`{command}` of {goals.MANY:,} events", f"{goals.PROOF_SECONDS:g} s", reached, command
    )
