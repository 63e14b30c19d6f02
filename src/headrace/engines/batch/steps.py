"""A reader's steps as written: which rows come through, and what became of the others.

Every step is a SELECT that gives each row a `_verdict` (null: it goes on) and one that keeps
those without. An expression that may raise is tried inside a struct, so that a failure (no
struct) and a null (a struct of null) stay apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from headrace.engines.batch.relations import OWN, Chain, Relations, interval
from headrace.engines.batch.watermarks import (
    LOG_ORDER,
    PARTITION,
    watermarked,
    without_watermarks,
)
from headrace.plan.operators import Dedupe, Explode, Expression, Filter, Project, Source, Step
from headrace.values.schema import literal, quote


@dataclass
class Rows:
    """Rows on their way: the chain so far, their columns, and where others were left behind.

    `positions` are the columns that hold a row's place inside exploded lists, `dropped` the
    relations with a `_verdict` and the step that each belongs to, `generations` as in Relations.
    """

    chain: Chain
    columns: list[str]
    positions: list[str] = field(default_factory=list)
    dropped: list[tuple[str, Step | None]] = field(default_factory=list)
    generations: tuple[str, ...] = ()

    @property
    def own(self) -> list[str]:
        """Columns that are not the user's."""
        return [*OWN, "_seen", "_closed", *self.positions]

    @property
    def order(self) -> list[str]:
        """The order of semantics; the topic is one, its generations stand as they were read."""
        listed = ", ".join(literal(g) for g in self.generations)
        nth = [f"list_position([{listed}], _topic_generation)"] if listed else []
        return ["_time", *nth, "_partition", "_offset", *self.positions]

    def judge(self, select: str, step: Step | None = None, temporary: str = "") -> None:
        """Goes on with the rows of `select` that have no `_verdict`, less `temporary` columns."""
        judged = self.chain.add(select)
        self.dropped.append((judged, step))
        gone = ", ".join(["_verdict", *([temporary] if temporary else [])])
        self.chain.add(f"select * exclude ({gone}) from {judged} where _verdict is null")


def stepped(
    steps: Sequence[Step], source: Source, until: int, relations: Relations, timed: bool
) -> Rows:
    """The rows of `source` behind `steps`; `timed` says that `_closed` is asked for later."""
    timed = timed or any(isinstance(s, Dedupe) for s in steps)
    read = watermarked if timed else without_watermarks
    columns = [f.name for f in source.schema.fields]
    rows = Rows(Chain(), columns, generations=relations.generations)
    rows.chain.add(read(source, until, relations))
    for step in steps:
        match step:
            case Filter():
                _filter(rows, step)
            case Project():
                _project(rows, step)
            case Explode():
                _explode(rows, step)
            case Dedupe():
                _dedupe(rows, step)
    return rows


def tried(expression: Expression) -> str:
    """A struct with the expression's value as `v`, or null where it raises."""
    return f"try({{'v': {plain(expression)}}})"


def plain(expression: Expression) -> str:
    """The expression's SQL; one that changes from run to run is null here."""
    if expression.changes_with_run:
        return f"null::{expression.type}"
    return f"({expression.sql})"


def with_values(rows: Rows, named: Sequence[tuple[str, Expression]], kept: str) -> None:
    """Replaces the columns by `kept` and the values of `named`; rows that one fails on go."""
    risky = [f"_t{i}" for i, (_, e) in enumerate(named) if e.can_fail]
    before = rows.chain.name
    inner = [tried(e) + f" as _t{i}" for i, (_, e) in enumerate(named) if e.can_fail]
    if inner:
        before = rows.chain.add(f"select *, {', '.join(inner)} from {before}")
    values = [
        f"_t{i}.v as {quote(name)}" if e.can_fail else f"{plain(e)} as {quote(name)}"
        for i, (name, e) in enumerate(named)
    ]
    select = ", ".join([kept, *values])
    if not risky:
        rows.chain.add(f"select {select} from {before}")
        return
    failed = " or ".join(f"{t} is null" for t in risky)
    verdict = f"case when {failed} then 'failed' end as _verdict"
    rows.judge(f"select {select}, {verdict} from {before}")


def _filter(rows: Rows, step: Filter) -> None:
    condition, before = step.condition, rows.chain.name
    if not condition.can_fail:
        verdict = f"case when ({condition.sql}) then null else 'filtered' end as _verdict"
        rows.judge(f"select *, {verdict} from {before}", step)
        return
    judged = f"select *, {tried(condition)} as _t from {before}"
    verdict = "case when _t is null then 'failed' when _t.v then null else 'filtered' end"
    rows.judge(f"select *, {verdict} as _verdict from ({judged})", step, "_t")


def _project(rows: Rows, step: Project) -> None:
    with_values(rows, [(c.name, c.expression) for c in step.columns], ", ".join(rows.own))
    rows.columns = [c.name for c in step.columns]


def _explode(rows: Rows, step: Explode) -> None:
    judged = f"select *, {tried(step.values)} as _l from {rows.chain.name}"
    verdict = (
        "case when _l is null then 'failed' when coalesce(len(_l.v), 0) = 0 then 'filtered' end"
    )
    rows.judge(f"select *, {verdict} as _verdict from ({judged})", step)
    position = f"_position_{len(rows.positions)}"
    kept = [*rows.own, *(quote(c) for c in rows.columns if c != step.name)]
    rows.chain.add(
        f"select {', '.join(kept)}, unnest(_l.v) as {quote(step.name)},"
        f" generate_subscripts(_l.v, 1) as {position} from {rows.chain.name}"
    )
    rows.positions.append(position)
    rows.columns = [c for c in rows.columns if c != step.name] + [step.name]


def _dedupe(rows: Rows, step: Dedupe) -> None:
    """A duplicate has an equal row before it whose time its watermark, less `within`, allows."""
    by = [(f"_by{i}", e) for i, e in enumerate(step.by)]
    with_values(rows, by, "*")
    names = ", ".join(name for name, _ in by)
    order = ", ".join([LOG_ORDER, *rows.positions])
    window = f"(partition by {PARTITION}, {names} order by {order} {{frame}})"
    before = window.format(frame="rows between unbounded preceding and 1 preceding")
    looked = (
        f"select *, count(*) over {before} as _earlier, max(_time) over {before} as _latest"
        f" from {rows.chain.name}"
    )
    near = "_earlier > 0"
    if step.within_us is not None:
        near += f" and (_seen is null or _latest >= _seen - {interval(step.within_us)})"
    verdict = f"case when {near} then 'duplicate' end as _verdict"
    rows.judge(f"select *, {verdict} from ({looked})", step, f"_earlier, _latest, {names}")
