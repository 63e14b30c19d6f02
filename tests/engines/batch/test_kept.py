"""A query that is run step by step gives what it gives in one statement, and leaves nothing."""

from __future__ import annotations

import duckdb

from headrace.engines.batch.kept import keep
from headrace.engines.batch.relations import Chain, Query


def chained() -> Query:
    """Parts read once, several times, several times anew, and one that is apart."""
    chain = Chain()
    events = chain.add("select n, n % 7 as k from range(1000) _(n)")
    chain.repeat()
    sums = chain.add(f"select k, sum(n)::bigint as s from {events} group by k")
    few = chain.add(f"select k from {sums} where s > 71000")
    others = chain.add(
        f"select n, k from {events} where k not in (select k from {few})", apart=True
    )
    return chain.ending(
        f"select k, s, (select count(*) from {others} o where o.k = x.k) as c from {sums} x"
    )


def test_steps_give_what_one_statement_gives() -> None:
    with duckdb.connect() as duck:
        query = chained()
        keep(duck, "kept", query)
        kept = duck.execute("select * from kept order by all").fetchall()
        assert kept == duck.execute(f"from ({query.sql}) order by all").fetchall()
        sums = {k: sum(n for n in range(1000) if n % 7 == k) for k in range(7)}
        rest = {k: sum(n % 7 == k for n in range(1000)) for k in range(7)}
        assert kept == [(k, s, 0 if s > 71000 else rest[k]) for k, s in sums.items()]
        assert duck.execute("select table_name from duckdb_tables()").fetchall() == [("kept",)]


def test_the_rows_of_several_queries_are_one_table() -> None:
    with duckdb.connect() as duck:
        query = chained()
        keep(duck, "kept", query, query)
        twice = f"from ({query.sql}) union all from ({query.sql}) order by all"
        kept = duck.execute("select * from kept order by all").fetchall()
        assert kept == duck.execute(twice).fetchall()
        assert duck.execute("select table_name from duckdb_tables()").fetchall() == [("kept",)]
