"""`run --simulate`: the app's generator writes beside the job that reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

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


def feeding(app: App, settings: Settings, rate: float) -> AbstractContextManager[None]:
    """Writes `rate` records a second, by the clock, while the context lasts; raises its error.

    UsageError at once, before the context is entered, where that cannot be.
    """
    factory = generator_of(app)
    simulation = Simulation(
        count=None,
        rate=rate,
        seed=SystemClock().now_us() % 1_000_000,
        start_us=0,
        late_every=LATE_EVERY,
        live=True,
    )
    return _feeding(app, settings, factory, simulation)


@contextmanager
def _feeding(
    app: App, settings: Settings, factory: GeneratorFactory, simulation: Simulation
) -> Iterator[None]:
    from_now = replace(simulation, start_us=SystemClock().now_us())
    stop = threading.Event()
    problems: list[BaseException] = []

    def feed() -> None:
        try:
            with source_topic(app, factory.topic, settings) as (topic, _):
                simulate(topic, factory, from_now, stop=stop)
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
