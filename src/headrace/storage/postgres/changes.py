"""SQL that makes a table take a delivery: deletes first, then upserts, from the staging table.

The same statements run for all rows at once (joined with the staging table as `s`) or for one row
(in PL/pgSQL, where `s` is the row): `Source` says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.storage.postgres.failures import of_the_row_sql
from headrace.storage.postgres.shape import Shape
from headrace.values.schema import literal, quote

STAGING, FAILED = "pg_temp.headrace_staging", "pg_temp.headrace_failed"
OP, POSITION = '"_op"', '"_position"'


@dataclass(frozen=True)
class Source:
    """Where changes come from: `relation` (None: the row `s` is at hand), and a condition."""

    relation: str | None = f"{STAGING} s"
    condition: str = ""

    def where(self, *conditions: str) -> str:
        return " and ".join([*conditions, *([self.condition] if self.condition else [])])


class Changes:
    """The statements for one table."""

    def __init__(self, shape: Shape, schema: str) -> None:
        self._shape, target = shape, shape.target
        self.table = f"{quote(schema)}.{quote(target.name)}"
        self._smaller = bool(target.order)
        # A smaller key's row goes only if it is the very one withdrawn: same start, same key.
        self._identity = list(dict.fromkeys([*target.key, *target.order]))

    def staging_sql(self) -> list[str]:
        """Makes the connection's temporary tables, emptied at the end of each transaction."""
        columns = ", ".join(f"{quote(n)} {k.staged}" for n, k in self._shape.kind.items())
        return [
            f"create temporary table headrace_staging ({OP} boolean not null, "
            f"{POSITION} integer not null, {columns}) on commit delete rows",
            f"create temporary table headrace_failed ({POSITION} integer, message text, "
            "detail text) on commit delete rows",
        ]

    def copy_sql(self) -> str:
        names = ", ".join(quote(name) for name in self._shape.names)
        return f"copy {STAGING} ({OP}, {POSITION}, {names}) from stdin (format binary)"

    def delete_sql(self, source: Source, nulls: Sequence[str] = ()) -> str:
        """Deletes; of the key's columns exactly `nulls` are null in the rows that it takes.

        One statement for each such set: an equality finds its row by the index, `is not distinct
        from` would read the whole table.
        """
        same = [
            f"s.{quote(n)} is null and t.{quote(n)} is null"
            if n in nulls
            else f"t.{quote(n)} = {self._value(n)}"
            for n in self._identity
        ]
        using = f"using {source.relation} " if source.relation else ""
        return f"delete from {self.table} t {using}where {source.where(f'not s.{OP}', *same)}"

    def absent_sql(self, nulls: Sequence[str]) -> str:
        """Deletes rows whose key is not staged; of its columns exactly `nulls` are null in them.

        One statement for each such set, as in `delete_sql`: an equality can be hashed.
        """
        nullable = self._shape.nullable_key
        theirs = [f"t.{quote(n)} is {'' if n in nulls else 'not '}null" for n in nullable]
        same = [
            f"s.{quote(n)} is null" if n in nulls else f"t.{quote(n)} = {self._value(n)}"
            for n in self._shape.target.key
        ]
        staged = f"from {STAGING} s where {' and '.join(same) or 'true'}"
        missing = f"not exists (select {staged})"
        return f"delete from {self.table} t where {' and '.join([*theirs, missing])}"

    def null_sets_sql(self) -> str:
        """Which columns of the key are null together in the table: truth values, in order."""
        listed = ", ".join(f"{quote(n)} is null" for n in self._shape.nullable_key)
        return f"select distinct {listed} from {self.table}"

    def upsert_sql(self, source: Source, *, whatever_is_there: bool = False) -> str:
        """Upserts, in the order of the key, in which its index is touched but once per page.

        `whatever_is_there`: also where the row of a smaller key is the greater one.
        """
        shape, target = self._shape, self._shape.target
        names = ", ".join(quote(name) for name in shape.names)
        values = ", ".join(self._value(name) for name in shape.names)
        relation = f"from {source.relation} " if source.relation else ""
        by = ", ".join(f"s.{quote(name)}" for name in target.key)
        ordered = f" order by {by}" if source.relation and by else ""
        rows = f"select {values} {relation}where {source.where(f's.{OP}')}{ordered}"
        return (
            f"insert into {self.table} as t ({names}) {rows} "
            f"on conflict ({shape.conflict}) do {self._update(whatever_is_there)}"
        )

    def _update(self, whatever_is_there: bool) -> str:
        others = [name for name in self._shape.names if name not in self._shape.target.key]
        if not others:
            return "nothing"
        sets = ", ".join(f"{quote(n)} = excluded.{quote(n)}" for n in others)
        mine = ", ".join(f"t.{quote(n)}" for n in others)
        new = ", ".join(f"excluded.{quote(n)}" for n in others)
        conditions = [f"({mine}) is distinct from ({new})"]
        if self._smaller and not whatever_is_there:
            conditions.append(self._not_older())
        return f"update set {sets} where {' and '.join(conditions)}"

    def _not_older(self) -> str:
        """Whether the new row is not below the one there; null is the lowest.

        Compared as records, in which nulls are equal to each other.
        """
        return f"row({self._ranks('excluded')})::record >= row({self._ranks('t')})::record"

    def _ranks(self, row: str) -> str:
        ranks = []
        for name in self._shape.target.order:
            column = f"{row}.{quote(name)}"
            value = f'{column} collate "C"' if self._is_text(name) else column
            ranks += [f"{column} is not null", value]
        return ", ".join(ranks)

    def _is_text(self, name: str) -> bool:
        return self._shape.kind[name].column in ("text", "text[]")

    def _value(self, name: str) -> str:
        return f"s.{quote(name)}{self._shape.kind[name].cast}"

    def one_by_one_sql(self, statements: Sequence[str], start: int, stop: int) -> str:
        """Runs `statements` for each row from `start` alone and notes those that are refused."""
        body = " ".join(f"{statement};" for statement in statements)
        code = (
            "#variable_conflict use_column\n"  # a column may be called like a variable
            "declare s record; said text; more text; begin "
            f"for s in select * from {STAGING} r where {within('r', start, stop)} "
            f"order by {POSITION} loop "
            f"begin {body} exception when others then "
            f"if not {of_the_row_sql('sqlstate')} then raise; end if; "
            "get stacked diagnostics said = message_text, more = pg_exception_detail; "
            f"insert into {FAILED} values (s.{POSITION}, said, more); end; end loop; end"
        )
        return f"do {literal(code)}"


def within(row: str, start: int, stop: int) -> str:
    """The condition that a staged row stands at or behind `start` and before `stop`."""
    return f"{row}.{POSITION} >= {start} and {row}.{POSITION} < {stop}"
