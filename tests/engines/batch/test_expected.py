"""The batch result against plain loops over the same log."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from headrace.engines.batch.expected import expected
from headrace.engines.batch.kept import keep
from headrace.engines.batch.relations import Relations
from headrace.engines.batch.segments import segments_on_time
from headrace.engines.batch.sums import reasons, sums
from headrace.plan.operators import (
    Dedupe,
    Explode,
    Filter,
    Named,
    Project,
    SessionGap,
    SessionMarks,
    Step,
    Top,
    View,
)
from tests import reference
from tests.engines.batch.logs import (
    GENERATIONS,
    SECOND,
    as_of,
    connection,
    fetched,
    runs,
    source,
)
from tests.engines.batch.plans import WINDOWS, Python, call, view, with_ids

BOTH = Relations(generations=GENERATIONS)
FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def check(made: View, python: Python, run: reference.Run) -> None:
    """Rows, final rows, counts and reasons of a view agree with the reference."""
    duck, read = connection(run), source(run.lateness_us)
    rows = fetched(duck, expected(made, read, as_of(run), BOTH).sql)
    wanted = reference.expected(made, run, python.functions)
    reference.same_rows(rows, wanted, made.key_columns, "rows")
    if isinstance(made.window, SessionGap | SessionMarks):
        shares = segments_on_time(
            made, read, run.until, BOTH, allowances=False, count=3, sorted_rows=1
        )
        keep(duck, "in_shares", *shares)
        kept = replace(BOTH, segments={made.name: "in_shares"})
        rows = fetched(duck, expected(made, read, as_of(run), kept).sql)
        reference.same_rows(rows, wanted, made.key_columns, "rows of sessions kept in shares")
    if made.window is not None:
        rows = fetched(duck, expected(made, read, as_of(run), BOTH, final=True).sql)
        final = reference.expected(made, run, python.functions, final=True)
        reference.same_rows(rows, final, made.key_columns, "final rows")
    counted = reference.counts(made, run, python.functions)
    [record], [row] = (
        fetched(duck, sums(made, read, run.until, BOTH, of_rows=rows).sql) for rows in (False, True)
    )
    for line, tally in [(record, counted.records), (row, counted.rows)]:
        assert {k: v for k, v in line.items() if k in tally} == tally
        assert line["accepted"] == sum(tally.values())
    assert (record["orphan_ends"], row["orphan_ends"]) == (
        counted.orphan_ends,
        counted.orphan_rows,
    )
    named = fetched(duck, reasons(made, read, run.until, BOTH))
    assert {n["reason"]: n["rows"] for n in named if n["rows"]} == counted.reasons


def key(python: Python) -> Named:
    return Named("who", python.column("who", "VARCHAR"))


def counting(name: str, python: Python, steps: tuple[Step, ...] = (), keyed: bool = True) -> View:
    """A count and an ordered list in any kind of window."""
    n = python.column("n", "BIGINT")
    aggregates = (call("a0", "count_star", "BIGINT"), call("a1", "list", "BIGINT[]", n))
    keys = (key(python),) if keyed else ()
    return with_ids(python, view(WINDOWS[name](python), keys, aggregates, steps=steps))


@pytest.mark.parametrize("name", WINDOWS)
@FEW
@given(run=runs(again=True))
def test_windows(name: str, run: reference.Run) -> None:
    python = Python()
    check(counting(name, python), python, run)


@pytest.mark.parametrize("name", ["totals", "tumble", "slide", "gap", "marks"])
@FEW
@given(run=runs(again=True))
def test_without_keys(name: str, run: reference.Run) -> None:
    python = Python()
    check(counting(name, python, keyed=False), python, run)


def filtering(python: Python) -> tuple[Step, ...]:
    large = python("n > 0", "BOOLEAN", lambda r: r["n"] is not None and r["n"] > 0)
    parsed = python("cast(text as bigint)", "BIGINT", lambda r: int(r["text"]), True)
    positive = python("cast(text as bigint) > 0", "BOOLEAN", lambda r: int(r["text"]) > 0, True)
    kept = [python.column(c, t) for c, t in [("who", "VARCHAR"), ("mark", "VARCHAR")]]
    columns = [Named(c, e) for c, e in zip(("who", "mark"), kept, strict=True)]
    return (
        Filter(large, "small"),
        Project(
            (*columns, Named("n", parsed), Named("text", python.column("text", "VARCHAR"))), False
        ),
        Filter(positive),
    )


def exploding(python: Python) -> tuple[Step, ...]:
    items = python("items", "BIGINT[]", lambda r: r["items"])
    seven = python("cast(text as bigint) > -8", "BOOLEAN", lambda r: int(r["text"]) > -8, True)
    pairs = python("[item, 9]", "BIGINT[]", lambda r: [r["item"], 9])
    item = python("n_item <> 2", "BOOLEAN", lambda r: r["n_item"] not in (2, None))
    names = [("who", "VARCHAR"), ("mark", "VARCHAR"), ("text", "VARCHAR")]
    columns = [Named(c, python.column(c, t)) for c, t in names]
    renamed = Named("n_item", python("item", "BIGINT", lambda r: r["item"]))
    second = Named("n", python("item2", "BIGINT", lambda r: r["item2"]))
    return (
        Explode(items, "item"),
        Explode(pairs, "item2"),
        Project((*columns, renamed, second), False),
        Filter(item, "two"),
        Filter(seven),
    )


def deduping(python: Python, within_us: int | None) -> tuple[Step, ...]:
    by = (python.column("who", "VARCHAR"), python.column("text", "VARCHAR"))
    risky = python("100 // cast(text as bigint)", "BIGINT", lambda r: 100 // int(r["text"]), True)
    not_null = python("n is not null", "BOOLEAN", lambda r: r["n"] is not None)
    return (Filter(not_null), Dedupe((*by, risky), within_us))


@pytest.mark.parametrize("name", ["totals", "tumble", "slide", "marks"])
@FEW
@given(run=runs(again=True))
def test_steps_that_filter_and_fail(name: str, run: reference.Run) -> None:
    python = Python()
    check(counting(name, python, filtering(python)), python, run)


@pytest.mark.parametrize("name", ["totals", "tumble", "marks"])
@FEW
@given(run=runs(again=True))
def test_exploded_rows(name: str, run: reference.Run) -> None:
    python = Python()
    check(counting(name, python, exploding(python)), python, run)


@pytest.mark.parametrize("within_us", [None, 0, 10 * SECOND])
@pytest.mark.parametrize("name", ["totals", "tumble"])
@FEW
@given(run=runs(again=True))
def test_duplicates(name: str, within_us: int | None, run: reference.Run) -> None:
    python = Python()
    check(counting(name, python, deduping(python, within_us)), python, run)


@pytest.mark.parametrize("per", [(), ("who",)])
@pytest.mark.parametrize("name", ["totals", "tumble", "slide"])
@FEW
@given(run=runs(again=True))
def test_rankings_with_a_condition(name: str, per: tuple[str, ...], run: reference.Run) -> None:
    python = Python()
    n, mark = python.column("n", "BIGINT"), Named("mark", python.column("mark", "VARCHAR"))
    made = view(
        WINDOWS[name](python),
        (key(python), mark),
        (call("a0", "max", "BIGINT", n), call("a1", "count_star", "BIGINT")),
        having=python("r_a1 < 4", "BOOLEAN", lambda r: r["r_a1"] < 4),
        top=Top(2, "r_a0", per),
    )
    check(with_ids(python, made), python, run)
