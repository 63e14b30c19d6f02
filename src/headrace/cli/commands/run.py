"""`headrace run`: the app, live."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from headrace.app import App
from headrace.cli.asking import create_topics as make_topics
from headrace.cli.asking import settings_for
from headrace.cli.feeding import Feed, feeding
from headrace.cli.interrupts import stop_on_signals
from headrace.cli.live import Watch
from headrace.cli.loading import load_app
from headrace.cli.options import (
    AppName,
    CreateTopics,
    DataDirectory,
    Debug,
    JobName,
    Json,
    Profile,
    ProfileStages,
    examples,
)
from headrace.cli.rebuilding import rebuilt, rebuilt_text
from headrace.cli.session import session
from headrace.ops.jobs.ask import jobs_of
from headrace.ops.jobs.running import Until, start_app
from headrace.ops.owner import Holder
from headrace.storage.systems import Systems
from headrace.values.errors import UsageError
from headrace.values.settings import Settings

EXAMPLES = examples(
    "headrace run activity --simulate 10000",
    "headrace run my_app.py --until caught-up",
    "headrace run my_app.py --job matches --data d",
)


def command(
    app: AppName,
    until: Annotated[
        Until | None,
        typer.Option(
            "--until",
            help="End when all that is there now is read and delivered.",
            show_default=False,
        ),
    ] = None,
    simulate: Annotated[
        float | None,
        typer.Option(
            "--simulate",
            metavar="RATE",
            help="Feed itself: so many made-up records a second.",
            show_default=False,
        ),
    ] = None,
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="First compute new and changed views from all events."),
    ] = False,
    profile_stages: ProfileStages = False,
    create_topics: CreateTopics = False,
    job: JobName = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Runs an app live, until Ctrl-C or until it has caught up.

    The first Ctrl-C finishes the epoch in flight; a second one ends at once. Nothing is lost.
    """
    if simulate is not None and until is not None:
        raise UsageError(
            "what feeds itself never catches up", remedy="Give --simulate or --until, not both."
        )
    loaded = load_app(app)
    settings = settings_for(profile, data)
    feed = None if simulate is None else feeding(loaded, settings, simulate)
    if create_topics:
        with Systems(settings) as systems:
            make_topics(loaded, systems)
    if rebuild:
        for one in jobs_of(loaded.plan, job):
            session.note(rebuilt_text(rebuilt(one, settings)))
    watch = Watch(stages=profile_stages)
    found, seconds = _live(loaded, settings, until, job, feed, watch)
    session.show({"seconds": seconds, "jobs": found}, watch.summary(found))


def _live(
    app: App,
    settings: Settings,
    until: Until | None,
    job: str | None,
    feed: Feed | None,
    watch: Watch,
) -> tuple[list[dict[str, Any]], float]:
    """Runs until it is over; gives the last status of each job, and the seconds."""
    begun = time.monotonic()
    with (
        stop_on_signals() as stop,
        watch,
        start_app(
            app.plan,
            settings,
            until=until,
            only=job,
            listener=watch.tell,
            on_wait=_waiting,
            stop=stop,
        ) as running,
    ):
        with nullcontext() if feed is None else feed(stop):
            while not running.wait(0.1):
                watch.look(running)
        found = running.status()
    return found, time.monotonic() - begun


def _waiting(holder: Holder) -> None:
    session.note(f"waiting for {holder}")
