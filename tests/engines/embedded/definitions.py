"""Random definitions: any steps, any window, any aggregates, over columns that are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import headrace as hr
from headrace.language import Stream, View
from tests.engines.embedded.events import SHAPES

Columns = frozenset[str]

CONDITIONS = {
    "n > 0": "n",
    "n + 1 < 3 or f is null": "n f",
    "coalesce(n, 0) % 2 = 0": "n",
    "10 / n > 4": "n",
    "-7 // n = -3": "n",
    "n between 0 and 2": "n",
    "n is not null and f < 1.5": "n f",
    "n is distinct from 1": "n",
    "kind in ('s', 'se')": "kind",
    "kind not in ('x', 'e')": "kind",
    "cast(text as bigint) > 0": "text",
    "try_cast(text as bigint) is not null": "text",
    "not flag": "flag",
    "flag or n > 1": "flag n",
    "amount >= 10.5": "amount",
    "info.score > 1": "info",
    "info.price < 3": "info",
    "info.name <> 'p'": "info",
    "parts[1].score = 1": "parts",
    "len(items) > 1": "items",
    "part.score > 0": "part",
    "item > 0": "item",
    "upper(text) = 'SEVEN'": "text",
}
"""Conditions, with the columns that they read."""

MARKS = {
    "starts": {
        "kind in ('s', 'se')": "kind",
        "n > 0": "n",
        "cast(text as bigint) = 2": "text",
        "item > 0": "item",
    },
    "ends": {
        "kind in ('e', 'se')": "kind",
        "n < 0": "n",
        "try_cast(text as bigint) < 0": "text",
        "item = 0": "item",
    },
}

VALUES = {
    "n * 2 - 1": "n",
    "n * 4611686018427387904": "n",
    "cast(text as bigint)": "text",
    "case when n > 0 then 'p' when n = 0 then 'z' else kind end": "n kind",
    "kind || text": "kind text",
    "coalesce(n, f)": "n f",
    "info.score": "info",
    "abs(part.score)": "part",
    "items[2]": "items",
}

KEYS = {
    "who": "who",
    "kind": "kind",
    "flag": "flag",
    "day": "day",
    "amount": "amount",
    "half": "n % 2",
    "name": "info.name",
    "named": "part.name",
    "item": "item",
    "number": "cast(text as bigint)",
}
_READ = {"half": "n", "name": "info", "named": "part", "number": "text"}

AGGREGATES = {
    "count(n)": "n",
    "count(distinct n)": "n",
    "count(distinct day)": "day",
    "count(*) filter (where n > 0)": "n",
    "count_if(flag)": "flag",
    "sum(n)": "n",
    "sum(f)": "f",
    "sum(amount)": "amount",
    "sum(n) filter (where kind = 'x')": "n kind",
    "sum(cast(text as bigint))": "text",
    "sum(n * 2305843009213693952)": "n",
    "100.0 * sum(n) / count(*)": "n",
    "max(n) - min(n)": "n",
    "coalesce(sum(n), 0) > 2": "n",
    "avg(n)": "n",
    "avg(f)": "f",
    "avg(amount)": "amount",
    "avg(part.score)": "part",
    "min(text)": "text",
    "max(day)": "day",
    "max(moment)": "moment",
    "min(amount)": "amount",
    "max(flag)": "flag",
    "arg_min(text, n)": "text n",
    "arg_max(kind, f)": "kind f",
    "arg_max(info, amount)": "info amount",
    "arg_min(n, moment)": "n moment",
    "first(text)": "text",
    "last(n) filter (where n > 0)": "n",
    "first(items)": "items",
    "last(info)": "info",
    "last(parts)": "parts",
    "first(part)": "part",
    "list(n)": "n",
    "list(part.name)": "part",
    "list(info) filter (where flag)": "info flag",
    "list(item)": "item",
    "stddev(f)": "f",
    "stddev_pop(n)": "n",
    "variance(n) filter (where n is not null)": "n",
    "var_pop(f)": "f",
    "approx_count_distinct(text)": "text",
    "approx_count_distinct(n)": "n",
    "approx_quantile(f, 0.5)": "f",
    "approx_quantile(n, 0.9)": "n",
    "quantile_cont(f, 0.25)": "f",
    "quantile(n, 0.5)": "n",
    "quantile_disc(amount, 0.75)": "amount",
    "median(n)": "n",
    "median(f) filter (where kind = 'x')": "f kind",
    "bool_and(flag)": "flag",
    "bool_or(n > 0)": "n",
    "bit_and(n)": "n",
    "bit_or(n)": "n",
    "bit_xor(n)": "n",
}

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


@dataclass(frozen=True)
class Made:
    """A stream with the columns that its rows have, and a view of it."""

    stream: Stream
    columns: Columns
    view: View
    keys: tuple[str, ...]
    window: str
    withdraws: bool

    @property
    def ends(self) -> bool:
        return self.window != "totals"

    @property
    def smaller(self) -> str | None:
        """A key for a table that keeps the latest row, where one may be had.

        Sessions by gap are withdrawn: a table that leaves out more than their start may lack one.
        """
        if not self.ends or not self.keys or self.withdraws:
            return None
        return self.keys[0] if len(self.keys) == 1 or self.window != "gap" else None


def make(source: Stream, columns: Columns, window: str, chance: Random) -> Made:
    """A view over `source`, whose rows have `columns`."""
    stream = source
    for _ in range(chance.choice([0, 0, 1, 1, 2, 3])):
        stream, columns = _step(stream, columns, chance)
    grouped = WINDOWS[window](stream, columns, chance)
    keys = _keys(columns, chance)
    if keys:
        plain = [k for k in keys if KEYS[k] == k]
        grouped = grouped.by(*plain, **{k: KEYS[k] for k in keys if KEYS[k] != k})
        keys = [*plain, *(k for k in keys if KEYS[k] != k)]
    chosen = chance.sample(_readable(AGGREGATES, columns), chance.randint(1, 5))
    view = grouped.agg(c="count(*)", **{f"x{i}": text for i, text in enumerate(chosen)})
    withdraws = chance.random() < 0.25
    if withdraws:
        view = view.where(chance.choice(["c < 4", "c > 1", "c <> 2 and c < 9"]))
    if chance.random() < 0.3 and not window.startswith(("gap", "starts", "marks")):
        withdraws, per = True, tuple(k for k in keys if chance.random() < 0.3)
        view = view.top(chance.randint(1, 3), by="c", per=per)
    return Made(stream, columns, view, tuple(keys), window, withdraws)


def _mark(columns: Columns, chance: Random, which: str) -> str:
    return chance.choice(_readable(MARKS[which], columns))


def _readable(texts: dict[str, str], columns: Columns) -> list[str]:
    return [text for text, read in texts.items() if columns.issuperset(read.split())]


def _keys(columns: Columns, chance: Random) -> list[str]:
    known = [k for k in KEYS if _READ.get(k, k) in columns]
    return chance.sample(known, chance.choice([0, 1, 1, 1, 2, 2, 3]))


def _step(stream: Stream, columns: Columns, chance: Random) -> tuple[Stream, Columns]:
    kinds = ["where", "where", "with_columns", "select", "dedupe", "dedupe"]
    kinds += [f"explode {c}" for c in ("items", "parts") if c in columns]
    match chance.choice(kinds):
        case "where":
            reason = chance.choice([None, "small", "remade"])
            return stream.where(chance.choice(_readable(CONDITIONS, columns)), reason), columns
        case "with_columns":
            name = chance.choice(["more", "n"])
            value = chance.choice(_numbers(columns) if name == "n" else _readable(VALUES, columns))
            return stream.with_columns(**{name: value}), columns | {name}
        case "select":
            always = ("who", "kind", "n")
            kept = [c for c in sorted(columns) if c in always or chance.random() < 0.7]
            return stream.select(*kept), frozenset(kept)
        case "dedupe":
            by = ("who", *(c for c in ("n", "kind") if chance.random() < 0.5))
            within = chance.choice([None, "6 seconds", "20 seconds"])
            return stream.dedupe(by=by, within=within), columns
        case "explode items":
            return stream.explode("items", "item"), columns | {"item"}
    return stream.explode("parts", "part"), columns | {"part"}


def _numbers(columns: Columns) -> list[str]:
    texts = ("n * 2 - 1", "cast(text as bigint)", "info.score", "abs(part.score)", "items[2]")
    return [text for text in texts if columns.issuperset(VALUES[text].split())]


def app_of(
    seed: int,
    views: int,
    *,
    fixed: bool = False,
    partitions: int = 3,
    lateness: str | None = None,
    alone: bool = False,
    ahead: str = "1 day",
) -> hr.App:
    """An app with `views` random views, each in tables of all kinds, and streams of all kinds.

    The same seed gives the same app. `fixed` is the app after a fix of its event classes;
    `lateness` is that of all sources, else each has one of its own; `alone` asks for one job that
    reads one topic.
    """
    chance = Random(seed)
    app = hr.App("random")

    def source_of(job: Any, topic: str, chance: Random, partitions: int) -> tuple[Stream, Columns]:
        return _source(
            job, topic, chance, fixed, {"partitions": partitions, "ahead": ahead}, lateness
        )

    source, columns = source_of(app, "things", chance, partitions)
    jobs: list[tuple[hr.App | Any, Stream, Columns]] = [(app, source, columns)]
    if chance.random() < 0.3 and not alone:
        jobs.append((app, *source_of(app, "others", chance, chance.randint(1, 3))))
    if chance.random() < 0.2 and not alone:
        other = app.job("other")
        jobs.append((other, *source_of(other, "things", Random(seed), partitions)))
    windows = chance.sample(list(WINDOWS), min(views, len(WINDOWS)))
    for number in range(views):
        job, stream, columns = jobs[number % len(jobs)]
        made = make(stream, columns, windows[number % len(windows)], chance)
        _outputs(job, number, made, chance)
    for number, (job, stream, _) in enumerate(jobs):
        job.lake(f"everything{number}", stream)
    return app


def _source(
    job: Any,
    topic: str,
    chance: Random,
    fixed: bool,
    options: dict[str, Any],
    lateness: str | None,
) -> tuple[Stream, Columns]:
    shape = SHAPES[chance.choice(["plain", "nested", "nested", "inside"])]
    event = shape.fixed if fixed and shape.fixed is not None else shape.event
    waits = f"{chance.choice([0, 0, 5, 20])} seconds"
    idle_timeout = chance.choice([None, None, "10 minutes"])
    options |= {"lateness": lateness or waits, "idle_timeout": idle_timeout, "key": "who"}
    return job.source(event, topic=topic, **options, **dict(shape.options)), shape.columns


def _outputs(job: Any, number: int, made: Made, chance: Random) -> None:
    job.table(f"v{number}", made.view)
    if made.ends and chance.random() < 0.6:
        job.table(f"f{number}", made.view, emit="final")
    if made.smaller is not None and chance.random() < 0.6:
        job.table(f"k{number}", made.view, key=made.smaller)
    if chance.random() < 0.25:
        job.topic(f"t{number}", made.view)
    if chance.random() < 0.25:
        job.lake(f"l{number}", made.stream)
    if chance.random() < 0.25 and "who" in made.columns:
        job.table(f"s{number}", made.stream, key="who")
