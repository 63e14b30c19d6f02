"""Random views: any steps, any window, any aggregates, over columns that are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from headrace.language import Stream, View
from tests.engines.embedded.chance import perhaps
from tests.engines.embedded.expressions import (
    AGGREGATES,
    CONDITIONS,
    KEY_COLUMNS,
    KEYS,
    MARKS,
    VALUES,
    Texts,
)

Columns = frozenset[str]

WINDOWS: dict[str, Callable[[Stream, Columns, Random], Any]] = {
    "totals": lambda s, c, r: s,
    "tumble": lambda s, c, r: s.tumble(f"{r.choice([1, 7, 10, 60])} seconds"),
    "tumble offset": lambda s, c, r: s.tumble("7 seconds", offset=f"{r.randint(1, 6)} seconds"),
    "slide": lambda s, c, r: s.slide("10 seconds", every=f"{r.choice([3, 4, 5])} seconds"),
    "slide offset": lambda s, c, r: s.slide("9 seconds", every="6 seconds", offset="5 seconds"),
    "gap": lambda s, c, r: s.session(gap=f"{r.choice([1, 5, 12])} seconds"),
    "starts": lambda s, c, r: s.session(starts=_mark(c, r, "starts"), timeout="8 seconds"),
    "marks": lambda s, c, r: s.session(
        starts=_mark(c, r, "starts"),
        ends=_mark(c, r, "ends"),
        timeout=f"{r.choice([2, 8, 30])} seconds",
    ),
}
_SESSIONS = ("gap", "starts", "marks")


@dataclass(frozen=True)
class Rows:
    """A stream with the columns that its rows have; `key` is that of the topic, if any."""

    stream: Stream
    columns: Columns
    key: str | None
    timed: bool


@dataclass(frozen=True)
class Made:
    """Rows, and a view of them."""

    rows: Rows
    view: View
    keys: tuple[str, ...]
    window: str
    withdraws: bool

    @property
    def ends(self) -> bool:
        return self.window != "totals"

    @property
    def row_key(self) -> tuple[str, ...]:
        """The columns by which a row of the view is known."""
        if not self.ends:
            return self.keys
        started = "session_start_time" if self.window in _SESSIONS else "window_start"
        return (*self.keys, started)

    @property
    def smaller(self) -> str | None:
        """A key for a table that keeps the latest row, where one may be had.

        Sessions by gap are withdrawn: a table that leaves out more than their start may lack one.
        """
        if not self.ends or not self.keys or self.withdraws:
            return None
        return self.keys[0] if len(self.keys) == 1 or self.window != "gap" else None


def make(rows: Rows, window: str, chance: Random) -> Made:
    """A view over rows, which may have been through some steps before."""
    for _ in range(chance.choice([0, 0, 1, 1, 2, 3])):
        rows = _step(rows, chance)
    window = window if rows.timed else "totals"
    grouped = WINDOWS[window](rows.stream, rows.columns, chance)
    keys = _keys(rows.columns, chance)
    if keys:
        plain = [k for k in keys if KEYS[k] == k]
        grouped = grouped.by(*plain, **{k: KEYS[k] for k in keys if KEYS[k] != k})
        keys = [*plain, *(k for k in keys if KEYS[k] != k)]
    chosen = chance.sample(readable(AGGREGATES, rows.columns), chance.randint(1, 5))
    results = {f"x{i}": text for i, text in enumerate(chosen)}
    view = grouped.agg(c="count(*)", most="max(n)", **results)
    withdraws = perhaps(chance, 0.25)
    if withdraws:
        view = view.where(chance.choice(["c < 4", "c > 1", "c <> 2 and c < 9", "most > 0"]))
    if window not in _SESSIONS and perhaps(chance, 0.3):
        withdraws, per = True, tuple(k for k in keys if perhaps(chance, 0.3))
        view = view.top(chance.randint(1, 3), by=chance.choice(["c", "most"]), per=per)
    return Made(rows, view, tuple(keys), window, withdraws)


def readable(texts: Texts, columns: Columns) -> list[str]:
    """The texts that read nothing but these columns."""
    return [text for text, read in texts.items() if columns.issuperset(read.split())]


def _mark(columns: Columns, chance: Random, which: str) -> str:
    return chance.choice(readable(MARKS[which], columns))


def _keys(columns: Columns, chance: Random) -> list[str]:
    known = [k for k in KEYS if KEY_COLUMNS.get(k, k) in columns]
    return chance.sample(known, chance.choice([0, 1, 1, 1, 2, 2, 3]))


def _step(rows: Rows, chance: Random) -> Rows:
    stream, columns = rows.stream, rows.columns
    kinds = ["where", "where", "with_columns", "select", *["dedupe"] * (2 if rows.key else 0)]
    kinds += [f"explode {c}" for c in ("items", "parts") if c in columns]
    match chance.choice(kinds):
        case "where":
            reason = chance.choice([None, "small", "remade"])
            condition = chance.choice(readable(CONDITIONS, columns))
            return replace(rows, stream=stream.where(condition, reason))
        case "with_columns":
            name = chance.choice(["more", "n"])
            value = chance.choice(_numbers(columns) if name == "n" else readable(VALUES, columns))
            made = stream.with_columns(**{name: value})
            return replace(rows, stream=made, columns=columns | {name})
        case "select":
            always = ("who", "kind", "n")
            kept = [c for c in sorted(columns) if c in always or perhaps(chance, 0.7)]
            return replace(rows, stream=stream.select(*kept), columns=frozenset(kept))
        case "dedupe":
            by = [c for c in ("who", "n", "kind") if c == rows.key or perhaps(chance, 0.5)]
            within = chance.choice([None, "6 seconds", "20 seconds"]) if rows.timed else None
            return replace(rows, stream=stream.dedupe(by=by, within=within))
        case "explode items":
            return replace(rows, stream=stream.explode("items", "item"), columns=columns | {"item"})
    return replace(rows, stream=stream.explode("parts", "part"), columns=columns | {"part"})


def _numbers(columns: Columns) -> list[str]:
    texts = ("n * 2 - 1", "cast(text as bigint)", "info.score", "abs(part.score)", "items[2]")
    return [text for text in texts if columns.issuperset(VALUES[text].split())]
