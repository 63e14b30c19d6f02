"""`run --simulate`: the app's generator writes beside the job that reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from headrace.app import App
from headrace.cli.asking import source_topic
from headrace.ops.ingest.generator import GeneratorFactory, Simulation
from headrace.ops.ingest.simulate import simulate
from headrace.values.clock import SystemClock
from headrace.values.errors import UsageError
from headrace.values.settings import Settings

LATE_EVERY = 50


def generator_of(app: App) -> GeneratorFactory:
    """The app's generator; UsageError when it has none."""
    if app.generator is None:
        raise UsageError(
            f"{app.name} has no generator",
            remedy="Set app.generator, or feed it: headrace ingest APP TOPIC FILE",
        )
    return app.generator


@contextmanager
def feeding(app: App, settings: Settings, rate: float) -> Iterator[None]:
    """Writes `rate` records a second, by the clock, while the context lasts; raises its error."""
    factory = generator_of(app)
    simulation = Simulation(
        count=None,
        rate=rate,
        seed=SystemClock().now_us() % 1_000_000,
        start_us=SystemClock().now_us(),
        late_every=LATE_EVERY,
        live=True,
    )
    stop = threading.Event()
    problems: list[BaseException] = []

    def feed() -> None:
        try:
            with source_topic(app, factory.topic, settings) as (topic, _):
                simulate(topic, factory, simulation, stop=stop)
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=feed, name="simulate")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if problems:
        raise problems[0]
