"""`run --simulate`: the app's generator writes beside the job that reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial

from headrace.app import App
from headrace.cli.asking import source_of, source_topic
from headrace.ops.ingest.generator import GeneratorFactory, Simulation
from headrace.ops.ingest.simulate import simulate
from headrace.values.clock import SystemClock
from headrace.values.errors import DefinitionError, UsageError
from headrace.values.settings import Settings

LATE_EVERY = 50
Feed = Callable[[threading.Event], AbstractContextManager[None]]


def generator_of(app: App) -> GeneratorFactory:
    """The app's generator; UsageError when it has none, or one that names no topic."""
    if app.generator is None:
        raise UsageError(
            f"{app.name} has no generator",
            remedy="Set app.generator, or feed it: headrace ingest APP TOPIC FILE",
        )
    if not isinstance(getattr(app.generator, "topic", None), str):
        raise DefinitionError(
            f"The generator of {app.name} does not say which topic it writes",
            remedy='Give its class the name of the topic: topic = "…"',
        )
    return app.generator


def feeding(app: App, settings: Settings, rate: float) -> Feed:
    """What writes `rate` records a second, by the clock, beside a run.

    It is given the event that ends the run, and sets it where it cannot go on; its error is raised
    when the context ends. UsageError at once, before anything runs, where that cannot be.
    """
    factory = generator_of(app)
    source_of(app, factory.topic)
    simulation = Simulation(
        count=None,
        rate=rate,
        seed=SystemClock().now_us() % 1_000_000,
        start_us=0,
        late_every=LATE_EVERY,
        live=True,
    )
    return partial(_feeding, app, settings, factory, simulation)


@contextmanager
def _feeding(
    app: App,
    settings: Settings,
    factory: GeneratorFactory,
    simulation: Simulation,
    end_run: threading.Event,
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
            end_run.set()

    thread = threading.Thread(target=feed, name="simulate")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if problems:
        raise problems[0]
