"""Asks the jobs of an app, whoever owns them, with progress on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headrace.app import App
from headrace.cli.progress import progress_bars
from headrace.cli.session import session
from headrace.cli.tables import plural
from headrace.cli.telling import tell
from headrace.language.steps import SourceSpec
from headrace.ops.jobs.ask import ask, jobs_of
from headrace.ops.owner import Reply
from headrace.plan.operators import Job
from headrace.storage.contract import Log
from headrace.storage.layout import can_be_named
from headrace.storage.systems import Systems
from headrace.values.errors import UsageError, did_you_mean
from headrace.values.settings import Settings, load_settings


def settings_for(profile: str | None, data: Path | None) -> Settings:
    """The settings of a command, from its options; UsageError where no data can be kept there."""
    settings = load_settings(profile=profile, overrides={"data": data})
    if not can_be_named(settings.data):
        raise UsageError(
            f"the data directory {str(settings.data)!r} cannot be written as UTF-8 here",
            remedy="Choose another with --data DIR, or a locale of UTF-8: LC_ALL=C.UTF-8",
        )
    if settings.data.is_file():
        raise UsageError(
            f"{settings.data} is a file, not a directory",
            remedy="Name the data directory with --data DIR; a run makes it where it is missing.",
        )
    return settings


def ask_jobs(
    app: App,
    settings: Settings,
    name: str,
    request: Mapping[str, Any] | None = None,
    only: str | None = None,
) -> list[tuple[Job, Reply]]:
    """The replies of all jobs of `app`, or of `only` that one, to the request `name`."""
    replies = []
    with progress_bars() as bar:
        for job in jobs_of(app.plan, only):

            def show(content: Mapping[str, Any], job: Job = job) -> None:
                bar(f"{name} {job.id}: {content['what']}", content["done"], content["of"])

            replies.append((job, ask(job, settings, name, request, show, tell)))
    return replies


def one_job(app: App, only: str | None) -> Job:
    """The job that `--job` names, which may be left out where there is but one."""
    jobs = jobs_of(app.plan, only)
    if len(jobs) > 1:
        names = ", ".join(job.id.rpartition(".")[2] for job in jobs)
        raise UsageError(f"{app.name} has several jobs: {names}", remedy="Choose one: --job NAME.")
    return jobs[0]


@contextmanager
def source_topic(
    app: App, topic: str, settings: Settings, *, create: bool = False
) -> Iterator[tuple[Log, SourceSpec]]:
    """The topic of a source, and how the app reads it; `create` makes what is missing."""
    spec = source_of(app, topic)
    with Systems(settings) as systems:
        if create:
            create_topics(app, systems)
        yield systems.topic_to_append(topic, spec.partitions), spec


def source_of(app: App, topic: str) -> SourceSpec:
    """How the app reads `topic`; UsageError where it does not."""
    specs = {spec.topic: spec for job in app.jobs for spec in job.sources}
    if topic not in specs:
        raise UsageError(
            f"{app.name} has no source that reads topic {topic!r}",
            remedy=did_you_mean(topic, specs),
        )
    return specs[topic]


def create_topics(app: App, systems: Systems) -> None:
    """Makes the topics of an app where they are missing, and says so."""
    for job in app.plan.jobs:
        for name in systems.create_topics(job):
            session.note(f"made topic {name} with {plural(job.topics[name], 'partition')}")
