"""Asks a job, whoever owns it: the process that runs it, or this one for a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from headrace.ops.jobs.opened import opened
from headrace.ops.owner import Reply, perform
from headrace.plan.operators import Job, Plan
from headrace.proof.report import Verification, verification_from
from headrace.storage.layout import DataDirectory
from headrace.values.errors import UsageError, did_you_mean
from headrace.values.settings import Settings

Tell = Callable[[Mapping[str, Any]], None]


def ask(
    job: Job,
    settings: Settings,
    name: str,
    request: Mapping[str, Any] | None = None,
    progress: Tell | None = None,
) -> Reply:
    """Has the request `name` answered by the owner of `job`."""
    return perform(
        DataDirectory(settings.data).job(job.id),
        name,
        name,
        request or {},
        lambda: opened(job, settings),
        progress or (lambda content: None),
    )


def jobs_of(plan: Plan, only: str | None) -> tuple[Job, ...]:
    """All jobs of an app, or the one called `only` ("matches" or "esports.matches")."""
    if only is None:
        return plan.jobs
    found = [j for j in plan.jobs if only in (j.id, j.id.rpartition(".")[2])]
    if not found:
        names = [j.id.rpartition(".")[2] for j in plan.jobs]
        raise UsageError(f"{plan.app} has no job {only!r}", remedy=did_you_mean(only, names))
    return tuple(found)


def ask_query(plan: Plan, settings: Settings, sql: str, only: str | None = None) -> pa.Table:
    """The rows of a SELECT; with several jobs, of the one that `only` names or `sql` reads."""
    jobs = jobs_of(plan, only)
    job = jobs[0]
    if len(jobs) > 1:
        named = [j for j in jobs if any(o.name in sql for o in j.outputs)]
        if len(named) != 1:
            raise UsageError(f"{plan.app} has several jobs", remedy="Say which to ask: --job NAME.")
        job = named[0]
    table = ask(job, settings, "query", {"sql": sql}).table
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
