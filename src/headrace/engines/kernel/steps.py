"""A view's steps as SQL: every row stays, with a verdict, until somebody asks for those applied.

The chain ends where a `Dedupe` stands (it needs all rows before it and a memory) and begins
again behind it, so a list of steps becomes one or more chained SELECTs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from headrace.engines.kernel import verdicts
from headrace.plan.operators import Explode, Expression, Filter, Named, Project, Step
from headrace.values.schema import quote

OWN = (
    "_row",
    "_pos",
    "_partition",
    "_offset",
    "_replay",
    "_time",
    "_seen",
    "_closed",
    "_processing_time",
)
"""Columns that every step passes on: identity, time, and the watermarks of a row.

`_seen` is the watermark that the record sees, `_closed` that or the source's, if greater.
"""

_ELEMENTS_MAX = 1 << 31
"""No list has more elements, no record gives more rows; two such numbers have room in 63 bits."""


@dataclass
class Failures:
    """Expressions that may fail, by the index that their verdict carries."""

    texts: list[str] = field(default_factory=list)

    def add(self, expression: Expression) -> int:
        self.texts.append(expression.text)
        return len(self.texts) - 1


@dataclass(frozen=True)
class Select:
    """Rows as one SELECT that takes in further steps while it can.

    `named` are (SQL, name) of the user columns; `plain` says that they are those of `source`,
    unchanged, so that what a step reads stands there too. `decided` are the WHENs of the verdict,
    `filters` (step, condition) of those that filter; None where it cannot be told any more.
    A SELECT inside a SELECT for every step would be the same, but planned several times longer.
    """

    source: str
    named: tuple[tuple[str, str], ...]
    own: tuple[str, ...] = OWN
    plain: bool = True
    decided: tuple[str, ...] = ("when _verdict <> 0 then _verdict",)
    more: str = ""
    filters: tuple[tuple[int, str], ...] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for _, name in self.named)

    def sql(self) -> str:
        """The SELECT."""
        verdict = f"case {' '.join(self.decided)} else 0 end" if self.decided else "0"
        return f"select {self._chosen}, {verdict} as _verdict{self.more} from {self.source}"

    def kept_sql(self) -> str:
        """The SELECT of the rows that no filter leaves out, if nothing else decides about them."""
        where = " and ".join(f"({condition})" for _, condition in self.filters or ()) or "true"
        return f"select {self._chosen}, 0 as _verdict{self.more} from {self.source} where {where}"

    @property
    def _chosen(self) -> str:
        named = "".join(f", {sql} as {quote(name)}" for sql, name in self.named)
        return ", ".join(self.own) + named

    def with_verdict(self, when: str, more: str = "") -> Select:
        """One more verdict, of what stands in the source; `more` are further columns."""
        return replace(self, decided=(*self.decided, when), more=self.more + more)


def begin(events: str, columns: Sequence[str]) -> Select:
    """Rows of `events` before the first step: nothing has been decided yet."""
    own = tuple("0::bigint as _pos" if c == "_pos" else c for c in OWN)
    return Select(events, _plain(columns), own, decided=(), filters=())


def again(sql: str, columns: Sequence[str]) -> Select:
    """Rows of a SELECT that has everything, for the next step."""
    return Select(f"({sql})", _plain(columns))


def _plain(columns: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple((quote(c), c) for c in columns)


def apply_step(
    step: Step, index: int, rows: Select, failures: Failures, exploded: int = 0
) -> Select:
    """`rows` behind one step, with so many `exploded` before it. Not for Dedupe."""
    if isinstance(step, Filter):
        return _filter(step, index, rows, failures)
    if isinstance(step, Project):
        return project(step.columns, rows, failures)
    assert isinstance(step, Explode)
    sql = _explode(step, index, rows.sql(), rows.columns, failures, exploded)
    return again(sql, columns_after(step, rows.columns))


def columns_after(step: Step, columns: Sequence[str]) -> tuple[str, ...]:
    """The user columns that a row has behind `step`."""
    if isinstance(step, Project):
        return tuple(c.name for c in step.columns)
    if isinstance(step, Explode):
        return (*(c for c in columns if c != step.name), step.name)
    return tuple(columns)


def _filter(step: Filter, index: int, rows: Select, failures: Failures) -> Select:
    """A row on which the condition is false or null is filtered; one on which it raises, failed."""
    condition = step.condition
    out = verdicts.code(verdicts.FILTERED, index)
    if not condition.can_fail:
        rows = rows if rows.plain else again(rows.sql(), rows.columns)
        if rows.filters is not None:
            rows = replace(rows, filters=(*rows.filters, (index, condition.sql)))
        return rows.with_verdict(f"when ({condition.sql}) is not true then {out}")
    failed = verdicts.code(verdicts.FAILED, failures.add(condition))
    new = (
        f"case when _verdict <> 0 then _verdict when _tried is null then {failed} "
        "when _tried.v then 0 " + f"else {out} end"
    )
    tried = f"case when _verdict = 0 then try(struct_pack(v := ({condition.sql}))) end as _tried"
    sql = (
        f"select * exclude (_tried) replace (({new}) as _verdict) from "
        f"(select *, {tried} from ({rows.sql()}))"
    )
    return again(sql, rows.columns)


def project(columns: Sequence[Named], rows: Select, failures: Failures) -> Select:
    """`rows` with `columns` in place of their user columns; a row that one fails on is failed."""
    if not any(c.expression.can_fail for c in columns):
        rows = rows if rows.plain else again(rows.sql(), rows.columns)
        named = tuple((f"({c.expression.sql})", c.name) for c in columns)
        return replace(rows, named=named, plain=False)
    sql = _risky_project(columns, rows.sql(), failures)
    return again(sql, tuple(c.name for c in columns))


def _risky_project(columns: Sequence[Named], rows: str, failures: Failures) -> str:
    own = ", ".join(OWN)
    safe = [c for c in columns if not c.expression.can_fail]
    risky = [(c, failures.add(c.expression)) for c in columns if c.expression.can_fail]
    tried = "".join(
        f", case when _verdict = 0 then try(struct_pack(v := ({c.expression.sql}))) end as _t{i}"
        for c, i in risky
    )
    made = "".join(f", ({c.expression.sql}) as {quote(c.name)}" for c in safe)
    failed = " ".join(
        f"when _t{i} is null then {verdicts.code(verdicts.FAILED, i)}" for _, i in risky
    )
    places = {c.name: f"_t{i}.v as {quote(c.name)}" for c, i in risky}
    named = "".join(f", {places.get(c.name, quote(c.name))}" for c in columns)
    verdict = f"case when _verdict <> 0 then _verdict {failed} else 0 end as _verdict"
    return (
        f"select {own}{named}, {verdict} from (select {own}{made}{tried}, _verdict from ({rows}))"
    )


def _explode(
    step: Explode,
    index: int,
    rows: str,
    columns: Sequence[str],
    failures: Failures,
    exploded: int,
) -> str:
    """One row per element; a row whose list is empty or null stays as one, filtered."""
    if exploded > 1:
        rows = _renumbered(rows)
    failed = verdicts.code(verdicts.FAILED, failures.add(step.values))
    empty = verdicts.code(verdicts.FILTERED, index)
    own = ", ".join(c for c in OWN if c != "_pos")
    kept = "".join(f", {quote(c)}" for c in columns if c != step.name)
    listed = f"case when _verdict = 0 then try(struct_pack(v := ({step.values.sql}))) end as _l"
    verdict = (
        f"case when _verdict <> 0 then _verdict when _l is null then {failed} "
        f"when coalesce(len(_l.v), 0) = 0 then {empty} else 0 end"
    )
    count = "greatest(1, coalesce(len(_l.v), 0))"
    inner = f"select *, {listed} from ({rows})"
    spread = (
        f"select * exclude (_verdict), ({verdict}) as _verdict, unnest(range({count})) as _i "
        f"from ({inner})"
    )
    # Exploding twice must keep positions unique and in order.
    pos = f"_pos * {_ELEMENTS_MAX} + _i as _pos" if exploded else "_i as _pos"
    element = f"case when _verdict = 0 then _l.v[_i + 1] end as {quote(step.name)}"
    return f"select {own}, {pos}{kept}, {element}, _verdict from ({spread})"


def _renumbered(rows: str) -> str:
    """`rows` with the positions of each record counted from 0, in the order that they had.

    Behind two lists they may be so great that there is no room for those of a third.
    """
    nth = "row_number() over (partition by _row order by _pos) - 1"
    return f"select * replace ({nth} as _pos) from ({rows})"
