"""`headrace simulate`: an app's own generator writes into its topic."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from headrace.cli.asking import settings_for, source_topic
from headrace.cli.feeding import generator_of
from headrace.cli.interrupts import stop_on_signals
from headrace.cli.loading import load_app
from headrace.cli.options import (
    AppName,
    CreateTopics,
    DataDirectory,
    Debug,
    Json,
    Profile,
    examples,
)
from headrace.cli.progress import progress_bars
from headrace.cli.session import session
from headrace.ops.ingest.generator import Simulation
from headrace.ops.ingest.simulate import SimulateReport, simulate
from headrace.values.clock import SystemClock, instant_us

EXAMPLES = examples(
    "headrace simulate activity --count 1000000 --seed 7 --late-every 50",
    "headrace simulate activity --rate 10000",
)
START = datetime(2026, 1, 5)


def command(
    app: AppName,
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            metavar="N",
            help="As many records, at once.  [default: without end, paced by the clock]",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        float, typer.Option("--rate", metavar="N", help="Records a second, of their own time.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same records.")] = 1,
    start: Annotated[
        datetime | None,
        typer.Option(
            "--start",
            metavar="TIME",
            help="Time of the first event, UTC.  [default: 2026-01-05, or now without --count]",
            show_default=False,
        ),
    ] = None,
    late_every: Annotated[
        int, typer.Option("--late-every", metavar="N", help="Every N-th record is late; 0: none.")
    ] = 50,
    malformed_every: Annotated[
        int,
        typer.Option("--malformed-every", metavar="N", help="Every N-th is malformed; 0: none."),
    ] = 0,
    create_topics: CreateTopics = False,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Writes made-up records into the app's topic, and says what must come of them."""
    loaded = load_app(app)
    factory = generator_of(loaded)
    simulation = _simulation(count, rate, seed, start, late_every, malformed_every)
    settings = settings_for(profile, data)
    with (
        source_topic(loaded, factory.topic, settings, create=create_topics) as (topic, _),
        progress_bars("records") as bar,
        stop_on_signals() as stop,
    ):
        report = simulate(
            topic,
            factory,
            simulation,
            stop=stop,
            progress=lambda done: bar(f"simulate {topic.name}", done, count),
        )
    session.show(report.to_json(), _text(report))


def _simulation(
    count: int | None,
    rate: float,
    seed: int,
    start: datetime | None,
    late_every: int,
    malformed_every: int,
) -> Simulation:
    live = count is None
    first = SystemClock().now_us() if live else instant_us(START)
    return Simulation(
        count=count,
        rate=rate,
        seed=seed,
        start_us=first if start is None else instant_us(start),
        late_every=late_every,
        malformed_every=malformed_every,
        live=live,
    )


def _text(report: SimulateReport) -> str:
    there = f", {report.already_there:,} were already there" if report.already_there else ""
    rate = report.added / report.seconds if report.seconds else 0
    lines = [
        f"{report.added:,} records added to topic {report.topic}{there} "
        f"({report.seconds:.1f} s, {rate:,.0f} records/s)"
    ]
    if report.outcome:
        whose = "" if report.alone else " (of these records; the topic has others too)"
        lines.append(f"what must come of them{whose}:")
        lines += _outcome(report.outcome)
    return "\n".join(lines)


def _outcome(outcome: dict[str, object]) -> list[str]:
    lines = []
    for name, value in outcome.items():
        if isinstance(value, dict):
            inner = ", ".join(f"{k} {v:,}" for k, v in value.items())
            lines.append(f"  {name}: {inner}")
        else:
            lines.append(f"  {name}: {value:,}")
    return lines
