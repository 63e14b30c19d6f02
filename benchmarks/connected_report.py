"""The part of the page that tells of Kafka and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cells import cell, met, middle, peak
from benchmarks.connected import BOTH, CLIENT, KAFKA, LIVE, UPSERTS
from benchmarks.goals import KAFKA_RATE, POSTGRESQL_MS, POSTGRESQL_RATE, UPSERTS_RATE
from benchmarks.measurements import NOT_CONNECTED
from benchmarks.runs import Run, Runs
from benchmarks.sizes import LIVE_PACE, Sizes

_WORDS = """\
Broker and database are real ones on the same cores, with the settings of `benchmarks/servers.py`;
what they use is in the column "others". The stream `enriched_activity` goes to Kafka in both. The
client alone is `benchmarks/peers/kafka_client.py`: it reads the same topic and looks at nothing.
"""
_ROWS = (
    (CLIENT, "peer: the Python client reads, alone", None),
    (KAFKA, "five outputs, from Kafka into embedded tables and lake", KAFKA_RATE),
    (BOTH, "five outputs, from Kafka into PostgreSQL and lake", POSTGRESQL_RATE),
)


def connected(runs: Runs, sizes: Sizes) -> Iterator[str]:
    """The section as lines of Markdown."""
    if not any(name in runs for name in (NOT_CONNECTED, CLIENT, UPSERTS, LIVE)):
        return
    yield "## Kafka and PostgreSQL"
    yield ""
    if NOT_CONNECTED in runs:
        yield f"Not measured: {runs[NOT_CONNECTED][0]['why']}."
        yield ""
        return
    yield _WORDS
    yield from _throughput(runs, sizes)
    if UPSERTS in runs:
        yield from _upserts(runs, sizes)
    if LIVE in runs:
        yield from _live(runs[LIVE][0], sizes)


def _throughput(runs: Runs, sizes: Sizes) -> Iterator[str]:
    yield "| what | events | events/s | goal | CPU µs/event | peak MiB | others |"
    yield "|---|---|---|---|---|---|---|"
    rows = [row for row in _ROWS if row[0] in runs]
    for name, label, goal in rows:
        found = runs[name]
        reached = middle(found, "events_per_second")
        cells = [
            label,
            f"{sizes.connected_events:,}",
            cell(found, "events_per_second", lambda v: f"{v / 1e6:.2f} M", best=max),
            "–" if goal is None else met(reached >= goal, f"≥ {goal / 1e6:g} M"),
            cell(found, "cpu_us_per_event", lambda v: f"{v:.2f}"),
            f"{peak(found, 'peak_mib'):,.0f}",
            f"{middle(found, 'other_cores'):.1f}",
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    for name, label, _ in rows:
        if name != CLIENT and CLIENT in runs:
            client = middle(runs[CLIENT], "events_per_second")
            share = middle(runs[name], "events_per_second") / client
            yield f"- {label}: {share:.2f}× the client alone, by the medians."
    yield ""


def _upserts(runs: Runs, sizes: Sizes) -> Iterator[str]:
    found = runs[UPSERTS][0]
    yield f"Deliveries of 100,000 changed rows into a table of {sizes.upserted_rows:,} rows:"
    yield ""
    yield "| keys | rows/s | goal |"
    yield "|---|---|---|"
    for name, label in (("recent", "of the last windows"), ("anywhere", "anywhere in the table")):
        goal = met(found[name] >= UPSERTS_RATE, f"≥ {UPSERTS_RATE:,}")
        yield f"| {label} | {found[name]:,.0f} | {goal} |"
    yield ""


def _live(run: Run, sizes: Sizes) -> Iterator[str]:
    yield (
        f"Live at {sizes.connected_rate:,} events/s, from when an event is due, through Kafka, to "
        "the row that a reader of PostgreSQL sees: "
        f"p50 {run['p50_ms']:.0f} ms, p99 {run['p99_ms']:.0f} ms "
        f"({met(run['p99_ms'] < POSTGRESQL_MS, f'< {POSTGRESQL_MS}')}), longest "
        f"{run['max_ms']:.0f} ms. The append itself takes {run['append_p50_ms']:.0f} ms "
        f"(p99 {run['append_p99_ms']:.0f}), an epoch {run['epoch_p50_ms']:.0f} ms. The events' own "
        f"time passes {LIVE_PACE} times as fast."
    )
    yield ""
