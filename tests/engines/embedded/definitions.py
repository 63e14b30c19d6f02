"""Small random definitions, and what their expressions mean in plain Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st

import headrace as hr
from headrace.language import Stream, View
from tests.views.cases import things

Values = Mapping[str, Any]

_MEANING: dict[str, Callable[[Values], Any]] = {
    "(n > 0)": lambda r: None if r["n"] is None else r["n"] > 0,
    "(kind IN ('s', 'se'))": lambda r: r["kind"] in ("s", "se"),
    "(kind IN ('e', 'se'))": lambda r: r["kind"] in ("e", "se"),
    'CAST("text" AS BIGINT)': lambda r: int(r["text"]),
    '(CAST("text" AS BIGINT) > 0)': lambda r: int(r["text"]) > 0,
    "(c < 4)": lambda r: r["c"] < 4,
}


class Meaning(Mapping[str, Callable[[Values], Any]]):
    """A plan's expressions, by their SQL: columns, aggregates and those that are known here."""

    def __getitem__(self, sql: str) -> Callable[[Values], Any]:
        if sql in _MEANING:
            return _MEANING[sql]
        sum_of = re.fullmatch(r"CAST\((a\d+) AS BIGINT\)", sql)
        name = sum_of[1] if sum_of else sql.strip('"')
        assert re.fullmatch(r"\w+", name), f"nobody said what {sql} means"
        return lambda row: row[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_MEANING)

    def __len__(self) -> int:
        return len(_MEANING)


STEPS: dict[str, Callable[[Stream], Stream]] = {
    "where": lambda s: s.where("n > 0", reason="small"),
    "risky": lambda s: s.where("cast(text as bigint) > 0"),
    "explode": lambda s: s.explode("items", "n"),
    "dedupe": lambda s: s.dedupe(by=("who", "n")),
    "dedupe within": lambda s: s.dedupe(by=("who", "text"), within="6 seconds"),
    "select": lambda s: s.select("who", "kind", "text", "f", "items", n="cast(text as bigint)"),
}

WINDOWS: dict[str, Callable[[Stream], Any]] = {
    "totals": lambda s: s,
    "tumble": lambda s: s.tumble("10 seconds"),
    "tumble offset": lambda s: s.tumble("7 seconds", offset="3 seconds"),
    "slide": lambda s: s.slide("10 seconds", every="4 seconds"),
    "gap": lambda s: s.session(gap="5 seconds"),
    "marks": lambda s: s.session(
        starts="kind in ('s', 'se')", ends="kind in ('e', 'se')", timeout="8 seconds"
    ),
    "starts": lambda s: s.session(starts="n > 0", timeout="8 seconds"),
}

AGGREGATES = {
    "c": "count(*)",
    "all": "list(n)",
    "some": "count(*) filter (where n > 0)",
    "several": "count(distinct n)",
    "total": "sum(n)",
    "least": "arg_min(text, n)",
    "most": "arg_max(kind, f)",
    "first": "first(text)",
    "last": "last(n) filter (where n > 0)",
}


@dataclass(frozen=True)
class Definition:
    """One view in words; `make` says it to Headrace."""

    steps: tuple[str, ...]
    window: str
    keys: tuple[str, ...]
    condition: bool
    top: bool

    def make(self, source: Stream) -> View:
        stream = source
        for step in self.steps:
            stream = STEPS[step](stream)
        grouped = WINDOWS[self.window](stream)
        if self.keys:
            grouped = grouped.by(*self.keys)
        view: View = grouped.agg(**AGGREGATES)
        if self.condition:
            view = view.where("c < 4")
        return view.top(2, by="c") if self.ranks else view

    @property
    def ranks(self) -> bool:
        """Sessions have no window to rank in."""
        return self.top and self.window in ("totals", "tumble", "tumble offset", "slide")

    @property
    def ends(self) -> bool:
        return self.window != "totals"


DEFINITIONS = st.builds(
    Definition,
    st.lists(st.sampled_from(list(STEPS)), max_size=2, unique=True).map(tuple),
    st.sampled_from(list(WINDOWS)),
    st.sampled_from([(), ("who",), ("who",), ("who", "kind")]),
    st.sampled_from([False, False, True]),
    st.sampled_from([False, False, True]),
).filter(lambda definition: known(definition))


def known(definition: Definition) -> bool:
    """Without sessions by marks of exploded rows, whose records are counted wrongly as yet."""
    return not ("explode" in definition.steps and definition.window in ("marks", "starts"))


def varied(seed: int) -> list[Definition]:
    """Three definitions, no two with the same window."""
    random = Random(seed)
    made: list[Definition] = []
    for window in random.sample(list(WINDOWS), 3):
        steps = tuple(random.sample(list(STEPS), random.choice([0, 1, 1, 2])))
        keys = random.choice([(), ("who",), ("who",), ("who", "kind")])
        definition = Definition(steps, window, keys, random.random() < 0.25, random.random() < 0.3)
        made += [definition] if known(definition) else []
    return made or varied(seed + 1)


def app_of(definitions: list[Definition], lateness_seconds: int) -> hr.App:
    """Every definition as a table, with final rows where it has a window; a stream, a lake."""
    app, source = things("random", partitions=3, key="who", lateness=f"{lateness_seconds} seconds")
    for number, definition in enumerate(definitions):
        view = definition.make(source)
        app.table(f"v{number}", view)
        if definition.ends:
            app.table(f"f{number}", view, emit="final")
        # Gap sessions are withdrawn: a table that leaves out more than their start may lack one.
        smaller = len(definition.keys) == 1 or (definition.keys and definition.window != "gap")
        if definition.ends and smaller and not (definition.condition or definition.ranks):
            app.table(f"k{number}", view, key=definition.keys[0])
    app.lake("everything", source)
    return app
