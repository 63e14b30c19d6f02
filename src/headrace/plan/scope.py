"""The columns that an expression may read, as an empty table of DuckDB's binder."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from headrace.plan.functions import PROCESSING_TIME_COLUMN
from headrace.plan.parse import execute, types_of
from headrace.values.schema import quote

_NUMBERS = itertools.count()

Columns = tuple[tuple[str, str], ...]  # names with DuckDB types, in order


@dataclass(frozen=True)
class Scope:
    """Columns by name and type; `noun` says in errors whose columns they are.

    `changing` are columns that hold `processing_time()`; `clock` allows to call it.
    """

    columns: Columns
    noun: str
    changing: frozenset[str] = field(default_factory=frozenset)
    clock: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)

    def find(self, name: str) -> str | None:
        """The column as it is written in the scope; SQL does not tell case apart."""
        return next((n for n in self.names if n.lower() == name.lower()), None)

    def type_of(self, name: str) -> Any:
        """DuckDB's type of a column, with its fields and elements."""
        return _types(self.columns)[name]

    @property
    def table(self) -> str:
        """The empty table with these columns and the processing time."""
        return _table(self.columns)


@lru_cache(maxsize=1024)
def _table(columns: Columns) -> str:
    name = f"_scope_{next(_NUMBERS)}"
    made = [f"{quote(n)} {t}" for n, t in columns]
    execute(f"create table {name} ({', '.join([*made, f'{PROCESSING_TIME_COLUMN} TIMESTAMP'])})")
    return name


@lru_cache(maxsize=1024)
def _types(columns: Columns) -> dict[str, Any]:
    names = [n for n, _ in columns]
    if not names:
        return {}
    return dict(zip(names, types_of([quote(n) for n in names], _table(columns)), strict=True))
