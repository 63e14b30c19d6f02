"""What a recompute has to write: where the rows of an output are apart from the batch's."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from headrace.engines.batch.compare import compare_sql
from headrace.engines.batch.kept import keep
from headrace.engines.batch.relations import AsOf, Region
from headrace.engines.batch.tolerance import tolerance
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import Output, Slide, Tumble, View
from headrace.proof.earlier import AHEAD, NOTE, ahead, left_behind, only_adds
from headrace.proof.events import Events
from headrace.proof.expected import expected_rows, row_key
from headrace.proof.fixed import Fixed
from headrace.proof.report import Corrected
from headrace.proof.served import Shown, shown
from headrace.values.schema import quote

_WANTED, _BEFORE = "_proof_expected", "_proof_before"
_APART, _CHANGED, _DIFFERS = "_proof_apart", "_proof_changed", "_proof_differs"


@dataclass(frozen=True)
class Found:
    """The corrections of one output: `_op` and the view's columns, and how many of each kind.

    `changes` are None of an output that is left as it is.
    """

    output: Output
    changes: pa.Table | None
    report: Corrected


def differences(
    runner: JobRunner, fix: Fixed, events: Events, view: View, region: Region
) -> list[Found]:
    """The corrections of every output of `view` that a recompute of `region` makes."""
    made = []
    for output in (o for o in runner.job.outputs if o.input == view.name):
        note = _left_as_it_is(fix, output, view)
        if note is not None:
            made.append(Found(output, None, Corrected(output.name, 0, 0, 0, 0, note)))
        else:
            made.append(_Comparison(runner, fix, events, view, output, region).found())
    return made


def _left_as_it_is(fix: Fixed, output: Output, view: View) -> str | None:
    """Why nothing of `output` is corrected; None where it is.

    Rows that this generation cannot have would be withdrawn, or replaced by what it saw of them.
    """
    if only_adds(output) and left_behind(fix, output):
        return NOTE
    # Windows that are open here lie outside of the region.
    windows = isinstance(view.window, Tumble | Slide)
    return AHEAD if not windows and ahead(fix, output, view.topic) else None


@dataclass(frozen=True)
class _Comparison:
    """An output, what it shows, and what a recompute of `region` makes of its view."""

    runner: JobRunner
    fix: Fixed
    events: Events
    view: View
    output: Output
    region: Region

    def found(self) -> Found:
        """What is apart, as changes."""
        output, topic, until_now = self.output, self.view.topic, None
        self._compute(_WANTED, self.fix.as_of(self.view.name, topic, self.region))
        with self.fix.spent(f"{output.name}: compare"):
            there = shown(self.runner, self.fix, output, self.view)
            held, wanted = self._covered(there.relation), self._covered(_WANTED)
            self._compare(_APART, wanted, held)
        if there.others or there.cut:
            self._compute(_BEFORE, self.fix.as_of(self.view.name, topic, output=output.name))
            until_now = self._covered(_BEFORE)
        with self.fix.spent(f"{output.name}: compare"):
            if until_now is not None:
                self._compare(_CHANGED, wanted, until_now)
            sql = self._differing(there)
            self.fix.cursor.execute(f"create or replace temp table {_DIFFERS} as {sql}")
            return Found(output, self._changes(wanted, held, until_now), self._report(wanted))

    def _differing(self, there: Shown) -> str:
        """Of what is APART that which is to be written, and what the recompute takes back.

        A row that is not there may have gone to retention, and one that should not be there may be
        somebody else's. Then it is written, or taken back, if the recompute changes it.
        """
        missing, unexpected = "d._kind = 'missing'", "d._kind = 'unexpected'"
        if there.cut:
            missing += f" and {self._in(_CHANGED, 'd', 'missing', 'different')}"
        if there.others:
            unexpected += f" and {self._in(_CHANGED, 'd', 'unexpected')}"
        which = f"d._kind = 'different' or {missing} or {unexpected}"
        sql = f"select * from {_APART} d where {which}"
        if there.cut:
            gone = f"d._kind = 'unexpected' and not {self._in(_APART, 'd', 'unexpected')}"
            sql += f" union all select * from {_CHANGED} d where {gone}"
        return sql

    def _compute(self, table: str, as_of: AsOf) -> None:
        """Makes the temporary table `table` of what the output must hold as of then."""
        source = self.runner.job.source(self.view.topic)
        with self.fix.spent(f"{self.output.name}: compute"):
            rows = expected_rows(self.view, source, self.output, as_of, self.events)
            keep(self.fix.cursor, table, rows)

    def _compare(self, table: str, wanted: str, held: str) -> None:
        columns, tolerated = [c.name for c in self.view.columns], tolerance(self.view)
        key = row_key(self.view, self.output)
        compared = compare_sql(
            columns, tolerated, wanted, held, key, allowances=not tolerated.exact, strict=True
        )
        self.fix.cursor.execute(f"create or replace temp table {table} as {compared}")

    def _changes(self, wanted: str, held: str, until_now: str | None) -> pa.Table:
        """`_op` and the view's columns of what differs; what is not held was so `until_now`."""
        listed = ", ".join(quote(c.name) for c in self.view.columns)
        # A table with a smaller key takes no row that begins before the one it has, unless that
        # goes.
        smaller = len(row_key(self.view, self.output)) < len(self.view.key_columns)
        gone = self._in(_DIFFERS, "x", "unexpected", *(["different"] if smaller else []))
        come = self._in(_DIFFERS, "x", "missing", "different")
        sql = f"select 'd' as _op, {listed} from {held} x where {gone}"
        if until_now is not None:
            lost = f"{gone} and not exists (select 1 from {held} o where {self._same('x')})"
            sql += f" union all select 'd', {listed} from {until_now} x where {lost}"
        sql += f" union all select 'u', {listed} from {wanted} x where {come}"
        return self.fix.cursor.sql(sql).to_arrow_table()

    def _report(self, wanted: str) -> Corrected:
        sql = f"select _kind, count(*) from {_DIFFERS} group by 1"
        kinds = dict(self.fix.cursor.execute(sql).fetchall())
        corrected, missing = kinds.get("different", 0), kinds.get("missing", 0)
        apart = self.fix.count(f"{_APART} where _kind <> 'unexpected'")
        equal = self.fix.count(wanted) - apart
        return Corrected(self.output.name, equal, corrected, missing, kinds.get("unexpected", 0))

    def _in(self, table: str, alias: str, *kinds: str) -> str:
        """Condition: a comparison found the key of the row `alias` to be one of `kinds`."""
        listed = ", ".join(f"'{kind}'" for kind in kinds)
        return (
            f"exists (select 1 from {table} o where o._kind in ({listed}) and {self._same(alias)})"
        )

    def _same(self, alias: str) -> str:
        """Condition: the rows `o` and `alias` have one key."""
        key = [quote(k) for k in row_key(self.view, self.output)]
        return " and ".join(f"o.{k} is not distinct from {alias}.{k}" for k in key) or "true"

    def _covered(self, relation: str) -> str:
        """The rows that the region covers; sessions are chosen by the batch itself."""
        if not isinstance(self.view.window, Tumble | Slide):
            return f"(select * from {relation})"
        ends = [f"window_end <= make_timestamp({self.region.bound_us})"]
        if self.region.from_us is not None:
            ends.append(f"window_end > make_timestamp({self.region.from_us})")
        return f"(select * from {relation} where {' and '.join(ends)})"
