"""The whole examination: the machine, what is embedded, and every system that is bound."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from headrace.engines.embedded.deliveries.targets import target_of
from headrace.ops.doctor.embedded import job_state, local_topics, readable
from headrace.ops.doctor.machine import machine
from headrace.ops.doctor.readers import left_readers
from headrace.ops.doctor.undeclared import undeclared
from headrace.plan.operators import TABLE_ROLES, Plan, Source
from headrace.storage.contract import Finding, System, Target, Topic
from headrace.storage.systems import Systems
from headrace.values.errors import HeadraceError, Unreachable
from headrace.values.settings import Settings


def examine(settings: Settings, plan: Plan | None = None) -> list[Finding]:
    """Everything that can be said before a run, with `plan` also what its jobs need.

    Changes nothing. What cannot be looked at is a finding, never an exception.
    """
    with Systems(settings) as systems:
        embedded = _embedded(systems, plan, settings)
        bound = _bound(systems, plan)
        wrong = any(f.level == "error" for f in bound)
        events = [] if wrong else _events(systems, plan)
        return [*machine(settings), *embedded, *bound, *events]


def _embedded(systems: Systems, plan: Plan | None, settings: Settings) -> list[Finding]:
    if plan is None:
        return []
    found = []
    if _local_topics(systems):
        declared = {name: n for job in plan.jobs for name, n in job.topics.items()}
        found += local_topics(systems.data, declared)
        own = {job.id: {source.topic for source in job.sources} for job in plan.jobs}
        retains = settings.retention_age is not None or settings.retention_bytes is not None
        found += left_readers(systems.data, declared, own, retains=retains)
    return [*found, *(f for job in plan.jobs for f in job_state(systems.data, job))]


def _events(systems: Systems, plan: Plan | None) -> list[Finding]:
    """What the newest records of each source have beside what its event class declares."""

    def opened(source: Source) -> Topic | None:
        if _local_topics(systems):
            return readable(systems.data, source.topic)
        return systems.topic(source.topic, source.partitions)

    sources = {s.topic: s for job in ([] if plan is None else plan.jobs) for s in job.sources}
    return [f for s in sources.values() for f in undeclared(s, partial(opened, s))]


def _local_topics(systems: Systems) -> bool:
    try:
        return systems.topics() is None
    except Exception:
        return False  # said of the system itself


def _bound(systems: Systems, plan: Plan | None) -> list[Finding]:
    """What each system says of itself and of all that it plays; once, whatever its roles."""
    found: list[Finding] = []
    roles: dict[int, tuple[System, list[str]]] = {}
    for role in ("topic", *TABLE_ROLES):
        try:
            system = systems.topics() if role == "topic" else systems.of(role)
        except Exception as error:
            found.append(_failed(f"system of {role}s", error))
            continue
        if system is not None:
            roles.setdefault(id(system), (system, []))[1].append(role)
    for system, played in roles.values():
        targets = _targets(plan, played)
        topics = {}
        if plan is not None and "topic" in played:
            topics = {s.topic: s.partitions for job in plan.jobs for s in job.sources}
        try:
            found += system.findings(targets, topics)
        except Exception as error:
            found.append(_failed(system.address, error))
    return found


def _targets(plan: Plan | None, roles: Sequence[str]) -> list[Target]:
    jobs = () if plan is None else plan.jobs
    return [target_of(job, o) for job in jobs for o in job.outputs if o.role in roles]


def _failed(subject: str, error: Exception) -> Finding:
    if isinstance(error, HeadraceError):
        silent = isinstance(error, Unreachable)
        return Finding("error", subject, error.what, error.remedy, unreachable=silent)
    # Whoever wrote the connector promised otherwise; its words may hold a password.
    text = f"cannot be used: {type(error).__name__} in its connector, or in its URL"
    return Finding("error", subject, text, "Check the URL in the profile, and the connector.")
