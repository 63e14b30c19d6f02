"""What each engine can do, as data: a plan that asks for more is refused when it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from headrace.language.aggregates import AGGREGATES
from headrace.language.steps import Role
from headrace.plan.operators import (
    Dedupe,
    Explode,
    Filter,
    Job,
    Plan,
    Project,
    SessionGap,
    SessionMarks,
    Slide,
    Stream,
    Tumble,
    View,
)
from headrace.values.errors import DefinitionError, did_you_mean

_ALL_AGGREGATES = frozenset({a.canonical for a in AGGREGATES.values()} - {"count_if"})


@dataclass(frozen=True)
class Capabilities:
    """The roles, operators and aggregate functions that an engine has."""

    roles: frozenset[str]
    operators: frozenset[type]
    aggregates: frozenset[str]


ENGINES: dict[str, Capabilities] = {
    "embedded": Capabilities(
        roles=frozenset(get_args(Role)),
        operators=frozenset(
            (Filter, Project, Explode, Dedupe, Tumble, Slide, SessionGap, SessionMarks)
        ),
        aggregates=_ALL_AGGREGATES | {"last_row"},
    )
}


def check_engine(plan: Plan, engine: str) -> None:
    """Raises DefinitionError when `engine` is not known or lacks what the plan asks for."""
    known = ENGINES.get(engine)
    if known is None:
        raise DefinitionError(
            f'no engine is called "{engine}"', remedy=did_you_mean(engine, ENGINES)
        )
    missing = [words for job in plan.jobs for words in _missing(job, known)]
    if missing:
        raise DefinitionError(
            f"engine {engine} cannot do what {plan.app} asks for: {'; '.join(missing)}",
            remedy="Run it on another engine: "
            + ", ".join(name for name in ENGINES if name != engine),
        )


def _missing(job: Job, known: Capabilities) -> list[str]:
    found = [f"role {o.role} of {o.name}" for o in job.outputs if o.role not in known.roles]
    inputs: tuple[View | Stream, ...] = (*job.views, *job.streams)
    for made in inputs:
        for step in made.steps:
            if type(step) not in known.operators:
                found.append(f"{type(step).__name__.lower()} in {made.name}")
    for view in job.views:
        if view.window is not None and type(view.window) not in known.operators:
            found.append(f"{type(view.window).__name__.lower()} in {view.name}")
        unknown = {c.function for c in view.aggregates} - known.aggregates
        found += [f"{function}(…) in {view.name}" for function in sorted(unknown)]
    return found
