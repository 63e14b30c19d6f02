"""Asks a job, whoever owns it: the process that runs it, or this one for a moment."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.ops.jobs.opened import opened
from headrace.ops.owner import Reply, perform
from headrace.plan.operators import Job, Plan
from headrace.proof.report import Verification, verification_from
from headrace.storage.layout import DataDirectory
from headrace.values.errors import UsageError, did_you_mean
from headrace.values.settings import Settings
from headrace.values.telemetry import Listener, log_event

Tell = Callable[[Mapping[str, Any]], None]


def ask(
    job: Job,
    settings: Settings,
    name: str,
    request: Mapping[str, Any] | None = None,
    progress: Tell | None = None,
    listener: Listener = log_event,
) -> Reply:
    """Has the request `name` answered by the owner of `job`.

    Where that is this process, `listener` is told what the job tells. UsageError where there is no
    data directory.
    """
    return perform(
        existing_data(settings).job(job.id),
        name,
        name,
        request or {},
        lambda: opened(job, settings, listener),
        progress or (lambda content: None),
    )


def existing_data(settings: Settings) -> DataDirectory:
    """The data directory of jobs that are to be asked or changed.

    Raises UsageError where there is none: an empty one, made in passing, would prove, answer and
    begin anew as if it were the one that was meant.
    """
    if not Path(settings.data).is_dir():
        raise UsageError(
            f"there is no data directory {settings.data}",
            remedy="Name the one that the app ran in with --data DIR, or begin: headrace run APP",
        )
    return DataDirectory(settings.data)


def jobs_of(plan: Plan, only: str | None) -> tuple[Job, ...]:
    """All jobs of an app, or the one called `only` ("matches" or "esports.matches")."""
    if only is None:
        return plan.jobs
    found = [j for j in plan.jobs if only in (j.id, _short(j))]
    if not found:
        names = [_short(j) for j in plan.jobs]
        raise UsageError(f"{plan.app} has no job {only!r}", remedy=did_you_mean(only, names))
    return tuple(found)


def _short(job: Job) -> str:
    return job.id.rpartition(".")[2]


def job_asked(plan: Plan, sql: str, only: str | None = None) -> Job:
    """The job that answers a SELECT: with several, the one that `only` names or `sql` reads."""
    jobs = jobs_of(plan, only)
    if len(jobs) == 1:
        return jobs[0]
    words = set(re.findall(r"[\w.-]+", sql))
    words |= {word.rpartition(".")[2] for word in words}
    named = [j for j in jobs if any(o.name in words for o in j.outputs)]
    if len(named) != 1:
        raise UsageError(
            f"{plan.app} has several jobs, and the query does not name what only one serves",
            remedy=f"Say which to ask, --job NAME: {', '.join(_short(j) for j in jobs)}.",
        )
    return named[0]


def ask_query(
    plan: Plan,
    settings: Settings,
    sql: str,
    only: str | None = None,
    listener: Listener = log_event,
) -> pa.Table:
    """The rows of a SELECT, of `job_asked`."""
    job = job_asked(plan, sql, only)
    table = ask(job, settings, "query", {"sql": sql}, listener=listener).table
    assert table is not None
    return table


def ask_verify(
    plan: Plan, settings: Settings, only: str | None = None, progress: Tell | None = None
) -> tuple[Verification, ...]:
    """The proof of every job."""
    return tuple(
        verification_from(ask(job, settings, "verify", {}, progress).header)
        for job in jobs_of(plan, only)
    )
