"""What a target's table must look like, in PostgreSQL's words, and whether one does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from headrace.storage.contract import Target
from headrace.storage.postgres.marks import MARKS, REFUSED
from headrace.storage.postgres.types import Kind, kind_of
from headrace.values.errors import DefinitionError, did_you_mean
from headrace.values.schema import literal, quote

NAME_BYTES_MAX = 63
_NULLS_VERSION = 150000  # nulls not distinct
_NEVER_NULL = ("window_start", "window_end", "session_start_time")
_SYSTEM_COLUMNS = ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid")
# Room for a changed row beside its old version: the indexes need not be touched then.
_FILL_PERCENT = 80


@dataclass(frozen=True)
class FoundColumn:
    """A column of a table that is there; `type` as `format_type` writes it, without domain."""

    name: str
    type: str
    not_null: bool
    has_default: bool
    generated: bool


@dataclass(frozen=True)
class FoundIndex:
    """A unique index that can find a conflicting row: valid, not deferred, of plain columns.

    Without columns it is of the value true: the table has one row. `constrains`: it is dropped as
    the constraint of its name, as that of the primary key is.
    """

    columns: frozenset[str]
    nulls_equal: bool
    name: str
    primary: bool
    constrains: bool

    @property
    def listed(self) -> str:
        return ", ".join(sorted(self.columns)) or "true"


@dataclass(frozen=True)
class Found:
    """A relation that has the table's name; `kind` is pg_class.relkind."""

    kind: str
    columns: Sequence[FoundColumn]
    indexes: Sequence[FoundIndex]
    comment: str


@dataclass(frozen=True)
class Problem:
    """What is wrong with a table, and the SQL that mends it."""

    text: str
    remedy: str


class Shape:
    """The table of a target. Raises DefinitionError for names and types that it cannot have."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.kinds = [kind_of(name, type_) for name, type_ in target.columns]
        for name in (target.name, *self.names):
            _check_name(name, target)
        if target.name in (MARKS, REFUSED):
            raise DefinitionError(f'The name "{target.name}" is used by Headrace itself')

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.target.columns]

    @cached_property
    def kind(self) -> dict[str, Kind]:
        """The kind of each column, by name."""
        return dict(zip(self.names, self.kinds, strict=True))

    @cached_property
    def nullable_key(self) -> list[str]:
        """The columns of the key that may be null."""
        known = {*_NEVER_NULL, *self.target.required}
        return [name for name in self.target.key if name not in known]

    @property
    def conflict(self) -> str:
        """What a unique index is of; without a key there is one row, and all rows are equal."""
        return ", ".join(quote(name) for name in self.target.key) or "(true)"

    def create_sql(self, schema: str, version: int) -> list[str]:
        """The statements that make the table; `version` is server_version_num."""
        target, place = self.target, f"{quote(schema)}.{quote(self.target.name)}"
        # Before version 15 no index finds a null again: such rows are refused there.
        nullable = self.nullable_key if version >= _NULLS_VERSION else []
        required = {*target.required, *(set(target.key) - set(nullable))}
        lines = [
            f"    {quote(name)} {kind.column}{' not null' if name in required else ''}"
            for name, kind in self.kind.items()
        ]
        if target.key and not nullable:
            lines.append(f"    primary key ({self.conflict})")
        body = ",\n".join(lines)
        made = [f"create table {place} (\n{body}\n) with (fillfactor = {_FILL_PERCENT})"]
        if nullable or not target.key:
            made.append(self.index_sql(schema, version))
        each = f" for each {', '.join(target.key)}" if target.key else ""
        made.append(f"comment on table {place} is {literal(f'{self._ours}, one row{each}')}")
        made += [
            f"comment on column {place}.{quote(name)} is {literal(_about(type_))}"
            for name, type_ in target.columns
        ]
        return made

    @property
    def _ours(self) -> str:
        """How the comment begins on a table that the job made."""
        return f"Headrace: {self.target.name} of the job {self.target.job}"

    def index_sql(self, schema: str, version: int) -> str:
        """The statement that makes the unique index where it is no primary key."""
        place = f"{quote(schema)}.{quote(self.target.name)}"
        equal = " nulls not distinct" if version >= _NULLS_VERSION and self.nullable_key else ""
        return f"create unique index on {place} ({self.conflict}){equal}"

    def problems(self, found: Found, schema: str, version: int) -> list[Problem]:
        """Everything about the table that is there for which rows could not land."""
        place = f"{quote(schema)}.{quote(self.target.name)}"
        if found.kind not in ("r", "p"):
            text = "it is no table, but a view or the like"
            return [Problem(text, f"Name the output otherwise, or remove what is there: {place}")]
        if another := self._made_for_another_key(found, place):
            return another
        there = {column.name: column for column in found.columns}
        # PostgreSQL drops no `not null` of its columns before a primary key is gone.
        problems = self._of_primary_key(found, place)
        problems += [p for name in self.names for p in self._of_column(name, there, place)]
        problems += [
            Problem(
                f'its column "{column.name}" must not be null, and the view has no such column',
                f"alter table {place} alter column {quote(column.name)} drop not null;",
            )
            for column in found.columns
            if column.name not in self.kind and self._takes_no_null(column)
        ]
        if not problems:
            problems += self._of_parts_of_the_key(found, schema, place)
            problems += self._of_key(found, there, schema, version)
        return problems

    def _made_for_another_key(self, found: Found, place: str) -> list[Problem]:
        """A table that the job made when its key was another: its rows are not those of now."""
        key, ours = frozenset(self.target.key), found.comment.startswith(f"{self._ours}, ")
        if not (ours and found.indexes) or any(i.columns == key for i in found.indexes):
            return []
        return [
            Problem(
                f"it was made for the key ({found.indexes[0].listed}), which is "
                f"({', '.join(self.target.key) or 'true'}) now",
                f"drop table {place}; -- the job makes it again, and fills it",
            )
        ]

    def _of_primary_key(self, found: Found, place: str) -> list[Problem]:
        without_nulls = {c.name for c in found.columns if self._takes_no_null(c)}
        return [
            Problem(
                f"its primary key ({index.listed}) holds what may be null",
                f"alter table {place} drop constraint {quote(index.name)};",
            )
            for index in found.indexes
            if index.primary and index.columns & without_nulls
        ]

    def _of_parts_of_the_key(self, found: Found, schema: str, place: str) -> list[Problem]:
        """Unique indexes that refuse every second of the rows that share a part of the key."""
        key = frozenset(self.target.key)
        return [
            Problem(
                f"its unique index on ({index.listed}) takes one row where the key "
                f"({', '.join(self.target.key)}) tells several apart",
                f"alter table {place} drop constraint {quote(index.name)};"
                if index.constrains
                else f"drop index {quote(schema)}.{quote(index.name)};",
            )
            for index in found.indexes
            if index.columns < key
        ]

    def _takes_no_null(self, column: FoundColumn) -> bool:
        """Whether rows may lack what a column must have."""
        if column.name in self.kind:
            may_be_null = {*self.names} - {*self.target.key, *self.target.required, *_NEVER_NULL}
            return column.not_null and column.name in may_be_null
        return column.not_null and not column.has_default and not column.generated

    def _of_column(self, name: str, there: dict[str, FoundColumn], place: str) -> list[Problem]:
        kind, column = self.kind[name], there.get(name)
        if column is None:
            other = next((c for c in there if c.lower() == name.lower()), None)
            if other is not None:
                mend = f"alter table {place} rename column {quote(other)} to {quote(name)};"
                return [Problem(f'its column "{other}" should be "{name}", to the letter', mend)]
            mend = f"alter table {place} add column {quote(name)} {kind.column};"
            return [Problem(f'it has no column "{name}". {did_you_mean(name, there)}', mend)]
        alter = f"alter table {place} alter column {quote(name)}"
        if column.generated:
            return [
                Problem(f'its column "{name}" is generated', f"{alter} drop expression;"),
            ]
        if not kind.fits(column.type):
            cast = f" using {quote(name)}::{kind.column}"
            return [
                Problem(
                    f'its column "{name}" is {column.type}, which cannot hold every {kind.column}',
                    f"{alter} type {kind.column}{cast};",
                )
            ]
        if self._takes_no_null(column):
            return [
                Problem(f'its column "{name}" must not be null', f"{alter} drop not null;"),
            ]
        return []

    def _of_key(
        self, found: Found, there: dict[str, FoundColumn], schema: str, version: int
    ) -> list[Problem]:
        key = frozenset(self.target.key)
        indexes = [index for index in found.indexes if index.columns == key]
        nullable = [name for name in self.nullable_key if not there[name].not_null]
        if any(index.nulls_equal for index in indexes) or (indexes and not nullable):
            return []
        if nullable and version < _NULLS_VERSION:
            quoted = ", ".join(quote(name) for name in nullable)
            return [
                Problem(
                    f"PostgreSQL {version // 10000} cannot keep one row for a null in {quoted}",
                    "Use PostgreSQL 15 or newer, or a primary key of "
                    f"{', '.join(map(quote, self.target.key))} (rows with a null are refused then)",
                )
            ]
        listed = ", ".join(self.target.key)
        what = "takes two nulls for different" if indexes else "is missing"
        listed = listed or self.conflict
        return [
            Problem(
                f"its unique index on ({listed}) {what}: rows could not be found again",
                f"{self.index_sql(schema, version)};",
            )
        ]


def _about(type_: str) -> str:
    return f"DuckDB {type_}, UTC" if type_.startswith("TIMESTAMP") else f"DuckDB {type_}"


def _check_name(name: str, target: Target) -> None:
    length = len(name.encode())
    what = "table" if name == target.name else f'column of the table "{target.name}"'
    if length > NAME_BYTES_MAX:
        raise DefinitionError(
            f'The {what} "{name}" has a name of {length} bytes; '
            f"PostgreSQL keeps {NAME_BYTES_MAX} and would cut the rest",
            remedy="Give it a shorter name.",
        )
    if name in _SYSTEM_COLUMNS and name != target.name:
        raise DefinitionError(
            f'The {what} is called "{name}", which every table in PostgreSQL has for itself',
            remedy="Give it another name.",
        )
    if "\0" in name or not name:
        raise DefinitionError(f'"{name!r}" is no name for a {what} in PostgreSQL')
