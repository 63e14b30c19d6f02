"""Definitions that are refused, by name: one line each, read by `test_refusals`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import headrace.language as hr
from tests.plan.samples import Click, Match, clicks, matches

Case = Callable[[], object]


def _view(make: Callable[[hr.Stream], hr.View]) -> Case:
    def case() -> hr.Definition:
        app, stream = clicks()
        app.table("t", make(stream))
        return app

    return case


def _step(make: Callable[[hr.Stream], hr.Stream]) -> Case:
    return _view(lambda s: make(s).by("user_id").agg(n="count(*)"))


def _where(expression: str) -> Case:
    return _step(lambda s: s.where(expression))


def _agg(expression: str) -> Case:
    return _view(lambda s: s.by("user_id").agg(n=expression))


def _out(make: Callable[[hr.Definition, hr.Stream], object]) -> Case:
    def case() -> hr.Definition:
        app, stream = clicks()
        make(app, stream)
        return app

    return case


def _source(event: Any = Click, **options: Any) -> Case:
    def case() -> hr.Definition:
        app = hr.Definition("shop")
        stream = app.source(event, **{"topic": "clicks", **options})
        app.lake("all", stream)
        return app

    return case


def _class(annotations: dict[str, Any], **members: Any) -> Case:
    return _source_of(lambda: type("Bad", (hr.Event,), {"__annotations__": annotations, **members}))


def _source_of(make: Callable[[], Any], **options: Any) -> Case:
    return lambda: _source(make(), **options)()


def _totals(s: hr.Stream) -> hr.View:
    return s.by("user_id", "page_url").agg(n="count(*)")


def _minutes(s: hr.Stream) -> hr.View:
    return s.tumble("1 minute").by("user_id").agg(n="count(*)")


def _gaps(s: hr.Stream, *keys: str) -> hr.View:
    return s.session(gap="5 minutes").by(*keys).agg(n="count(*)")


def _sessions(s: hr.Stream) -> hr.View:
    return _gaps(s, "user_id")


def _other_job(app: hr.Definition, stream: hr.Stream) -> None:
    app.job("other").table("t", _totals(stream))


def _twice_in_jobs(app: hr.Definition, stream: hr.Stream) -> None:
    app.table("t", _totals(stream))
    job = app.job("other")
    again = job.source(Click, topic="clicks", key="user_id", time="event_time")
    job.index("t", _totals(again))


class Other(hr.Event):
    user_id: str


class Maybe(hr.Event):
    at: datetime | None


EXPRESSIONS: dict[str, Case] = {
    "unknown column": _where("pageurl = '/'"),
    "unknown column, nothing near": _where("zzz = 1"),
    "unknown column behind select": _step(
        lambda s: s.select("user_id", n="amount").where("price > 1")
    ),
    "unknown function": _where("lowr(page_url) = 'a'"),
    "unknown function, nothing near": _where("frobnicate(page_url)"),
    "syntax": _where("amount >"),
    "syntax inside": _where("amount > ) 3"),
    "a word of SQL as a column": lambda: _words_of_sql("group = 'a'"),
    "two statements": _where("true; drop table x"),
    "two expressions": _where("paid, paid"),
    "alias": _where("paid as p"),
    "from": _where("paid from clicks"),
    "limit": _where("paid limit 1"),
    "star": _step(lambda s: s.select(a="*")),
    "columns": _step(lambda s: s.select(a="columns('a')")),
    "subquery": _where("amount > (select 1)"),
    "exists": _where("exists (select 1)"),
    "window function": _where("row_number() over () = 1"),
    "parameter": _where("amount > ?"),
    "numbered parameter": _where("amount > $1"),
    "positional": _where("#1 > 2"),
    "collate": _where("page_url collate nocase = 'a'"),
    "lambda alone": _step(lambda s: s.select(a="lambda x: x + 1")),
    "random": _where("random() < 0.5"),
    "now": _where("event_time > now()"),
    "current_date": _where("day = current_date"),
    "current_timestamp": _where("event_time > current_timestamp"),
    "today": _where("day = today()"),
    "uuid": _step(lambda s: s.with_columns(id="uuid()")),
    "nextval": _where("nextval('s') > 1"),
    "getenv": _where("getenv('HOME') = 'x'"),
    "current_setting": _where("current_setting('threads') = 1"),
    "read_text": _where("read_text('x') = 'x'"),
    "hash": _step(lambda s: s.with_columns(h="hash(user_id)")),
    "error": _where("error('x')"),
    "unnest": _step(lambda s: s.with_columns(t="unnest(tags)")),
    "schema": _where("main.lower(page_url) = 'a'"),
    "aggregate in a step": _where("count(*) > 1"),
    "distinct in a scalar": _where("lower(distinct page_url) = 'a'"),
    "wrong type": _where("lower(amount) = 'a'"),
    "wrong operator": _where("page_url + 1 > 2"),
    "text and number": _where("user_id = 5"),
    "text and time": _where("note > event_time"),
    "text in numbers": _where("user_id in (1, 2)"),
    "no time": _where("event_time > 'yesterday'"),
    "no date": _where("day = date '2026-02-30'"),
    "no number": _where("amount = 'many'"),
    "case of two types": _step(lambda s: s.with_columns(a="case when paid then 1 else 'x' end")),
    "no condition": _where("amount"),
    "text as condition": _where("page_url and paid"),
    "bad regular expression": _where("regexp_matches(page_url, '(')"),
    "field of a scalar": _where("amount.x = 1"),
    "field of a list": _where("tags.x = 'a'"),
    "division of texts": _where("user_id / 2 > 1"),
    "spot behind accents": _where("note = 'é' and page_ur = 'ü'"),
    "spot in a second line": _where("paid\n  and page_ur = 'a'"),
    "window_start in a step": _where("window_start > event_time"),
    "processing_time in a where": _where("processing_time() > event_time"),
    "processing_time in a view": _step(lambda s: s.with_columns(p="processing_time()")),
    "not a text": _step(lambda s: s.where(True)),  # type: ignore[arg-type]
    "empty": _where("  "),
}

COLUMNS: dict[str, Case] = {
    "null column": _step(lambda s: s.with_columns(a="null")),
    "interval column": _step(lambda s: s.with_columns(a="interval 1 day")),
    "time of day column": _step(lambda s: s.with_columns(a="cast(event_time as time)")),
    "zoned times in a list": _step(lambda s: s.with_columns(a="[to_timestamp(amount)]")),
    "underscore": _step(lambda s: s.with_columns(_a="amount")),
    "window_start": _step(lambda s: s.with_columns(window_start="event_time")),
    "strange name": _step(lambda s: s.with_columns(**{"a b": "amount"})),
    "twice in other letters": _step(lambda s: s.with_columns(a="amount", A="amount")),
    "select twice": _step(lambda s: s.select("amount", amount="amount + 1")),
    "select nothing": _step(lambda s: s.select()),
    "select an expression without name": _step(lambda s: s.select("amount + 1")),
    "by with a comma": _view(lambda s: s.by("user_id, page_url").agg(n="count(*)")),
    "explode no list": _step(lambda s: s.explode("amount")),
    "explode an expression": _step(lambda s: s.explode("list_distinct(tags)")),
    "dedupe without by": _step(lambda s: s.dedupe(by=())),
    "dedupe without the key": _step(lambda s: s.dedupe(by="page_url")),
    "dedupe by a changed key": _step(
        lambda s: s.with_columns(user_id="lower(user_id)").dedupe(by="user_id")
    ),
    "dedupe by an interval": _step(
        lambda s: s.dedupe(by=("user_id", "event_time - timestamp '2026-01-01'"))
    ),
    "dedupe by floats in a list": _step(lambda s: s.dedupe(by=("user_id", "[score, 1.5]"))),
    "dedupe within nothing": _step(lambda s: s.dedupe(by="user_id", within="0")),
    "dedupe within without time": lambda: _untimed(
        lambda s: s.dedupe(by="user_id", within="1 hour").by("user_id").agg(n="count(*)")
    ),
    "reason no text": _step(lambda s: s.where("paid", reason="")),
}

WINDOWS: dict[str, Case] = {
    "tumble zero": _view(lambda s: s.tumble("0").agg(n="count(*)")),
    "tumble negative": _view(lambda s: s.tumble(timedelta(minutes=-1)).agg(n="count(*)")),
    "tumble a month": _view(lambda s: s.tumble("1 month").agg(n="count(*)")),
    "tumble a number": _view(lambda s: s.tumble(60).agg(n="count(*)")),  # type: ignore[arg-type]
    "offset beyond the size": _view(
        lambda s: s.tumble("1 minute", offset="1 minute").agg(n="count(*)")
    ),
    "slide step greater": _view(lambda s: s.slide("1 minute", every="2 minutes").agg(n="count(*)")),
    "slide too fine": _view(lambda s: s.slide("1 day", every="1 second").agg(n="count(*)")),
    "session of nothing": _view(lambda s: s.session().agg(n="count(*)")),
    "session of both": _view(
        lambda s: s.session(gap="1 minute", starts="paid", timeout="1 hour").agg(n="count(*)")
    ),
    "session without timeout": _view(lambda s: s.session(starts="paid").agg(n="count(*)")),
    "session start no condition": _view(
        lambda s: s.session(starts="amount", timeout="1 hour").agg(n="count(*)")
    ),
    "two windows": _view(lambda s: s.tumble("1 hour").tumble("1 hour").agg(n="count(*)")),
    "window without time": lambda: _untimed(lambda s: s.tumble("1 hour").agg(n="count(*)")),
    "where behind the window": _view(
        lambda s: s.tumble("1 hour").where("paid").agg(n="count(*)")  # type: ignore[attr-defined]
    ),
    "by twice": _view(lambda s: s.by("user_id").by("page_url").agg(n="count(*)")),
    "key of a list": _view(lambda s: s.by("tags").agg(n="count(*)")),
    "key of a struct": lambda: _matches(lambda s: s.by("info").agg(n="count(*)")),
    "unknown key": _view(lambda s: s.by("user").agg(n="count(*)")),
    "key named as the window's": _view(
        lambda s: s.session(gap="1 hour").by(ended_by="kind").agg(n="count(*)")
    ),
    "agg without a name": _view(lambda s: s.by("user_id").agg("count(*)")),
    "agg of nothing": _view(lambda s: s.by("user_id").agg()),
    "result named as a key": _view(lambda s: s.by("user_id").agg(user_id="count(*)")),
}

AGGREGATES: dict[str, Case] = {
    "no aggregate": _agg("1 + 1 + amount"),
    "key outside of an aggregate": _agg("user_id || count(*)"),
    "unknown name outside": _agg("count(*) + nosuch"),
    "another result": _view(lambda s: s.by("user_id").agg(n="count(*)", half="n / 2")),
    "nested": _agg("sum(count(*))"),
    "unknown aggregate": _agg("summ(amount)"),
    "unknown column inside": _agg("sum(amout)"),
    "any_value": _agg("any_value(user_id)"),
    "string_agg": _agg("string_agg(page_url, ',')"),
    "mode": _agg("mode(page_url)"),
    "histogram": _agg("histogram(amount)"),
    "product": _agg("product(score)"),
    "approx_top_k": _agg("approx_top_k(page_url, 3)"),
    "max of several": _agg("max(amount, 3)"),
    "sum of two": _agg("sum(amount, price)"),
    "avg of times": _agg("avg(event_time)"),
    "sum of text": _agg("sum(page_url)"),
    "sum distinct": _agg("sum(distinct amount)"),
    "order by inside": _agg("list(page_url order by amount)"),
    "quantile without fraction": _agg("quantile_cont(score)"),
    "quantile of a column": _agg("quantile_cont(score, score)"),
    "approximate quantiles": _agg("approx_quantile(score, [0.5, 0.9])"),
    "filter no condition": _agg("count(*) filter (where amount)"),
    "count_if of a number": _agg("count_if(amount)"),
    "of null": _agg("max(null)"),
    "over": _agg("sum(amount) over ()"),
    "result of an interval": _agg("max(event_time) - min(event_time)"),
    "now": _agg("max(event_time) - now()"),
}

RESULTS: dict[str, Case] = {
    "where on an unknown column": _view(lambda s: _totals(s).where("m > 1")),
    "where on an event's column": _view(lambda s: _totals(s).where("amount > 1")),
    "where behind top": _view(lambda s: _totals(s).top(3, by="n").where("n > 1")),
    "top twice": _view(lambda s: _totals(s).top(3, by="n").top(3, by="n")),
    "top none": _view(lambda s: _totals(s).top(0, by="n")),
    "top by an unknown column": _view(lambda s: _totals(s).top(3, by="m")),
    "top by a list": _view(lambda s: s.by("user_id").agg(n="list(amount)").top(3, by="n")),
    "top per no key": _view(lambda s: _totals(s).top(3, by="n", per="n")),
    "top per window of none": _view(lambda s: _totals(s).top(3, by="n", per="window_start")),
    "top of sessions": _view(lambda s: _sessions(s).top(3, by="n")),
    "rank beside top": _view(lambda s: s.by("user_id").agg(rank="count(*)").top(3, by="rank")),
    "a view of a view": _view(lambda s: _totals(s).tumble("1 hour")),  # type: ignore[operator]
    "join": _step(lambda s: s.join(s)),  # type: ignore[operator]
    "union": _step(lambda s: s.union(s)),  # type: ignore[operator]
}

OUTPUTS: dict[str, Case] = {
    "nothing at all": lambda: hr.Definition("empty"),
    "no destination": lambda: clicks()[0],
    "window without aggregates": _out(lambda a, s: a.table("t", s.tumble("1 hour"))),  # type: ignore[arg-type]
    "no stream": _out(lambda a, s: a.table("t", "clicks")),  # type: ignore[arg-type]
    "stream of another job": _out(_other_job),
    "two of one name": _out(lambda a, s: (a.table("t", _totals(s)), a.index("t", _totals(s)))),
    "two of one name in two jobs": _out(_twice_in_jobs),
    "name with a capital": _out(lambda a, s: a.table("Counts", _totals(s))),
    "name taken": _out(lambda a, s: a.table("dead_letters", _totals(s))),
    "topic with a space": _out(lambda a, s: a.topic("a topic", s)),
    "topic read and written": _out(lambda a, s: a.topic("clicks", s)),
    "partitions": _out(lambda a, s: a.topic("out", s, partitions=0)),
    "emit": _out(lambda a, s: a.table("t", _totals(s), emit="changed")),  # type: ignore[arg-type]
    "final running total": _out(lambda a, s: a.table("t", _totals(s), emit="final")),
    "final stream": _out(lambda a, s: a.topic("t", s, emit="final")),
    "final latest": _out(lambda a, s: a.table("t", s, key="user_id", emit="final")),
    "changes into a lake": _out(lambda a, s: a.lake("t", _minutes(s))),
    "stream without a key": _out(lambda a, s: a.table("t", s)),
    "stream with an unknown key": _out(lambda a, s: a.table("t", s, key="user")),
    "stream with a list as key": _out(lambda a, s: a.index("t", s, key="tags")),
    "key twice": _out(lambda a, s: a.table("t", s, key=("user_id", "user_id"))),
    "unknown key": _out(lambda a, s: a.table("t", _minutes(s), key="user")),
    "key that is a result": _out(lambda a, s: a.table("t", _minutes(s), key=("user_id", "n"))),
    "smaller key of totals": _out(lambda a, s: a.table("t", _totals(s), key="user_id")),
    "smaller key and where": _out(
        lambda a, s: a.table("t", _minutes(s).where("n > 1"), key="user_id")
    ),
    "smaller key and top": _out(
        lambda a, s: a.table("t", _minutes(s).top(3, by="n"), key="user_id")
    ),
    "smaller key of gap sessions": _out(
        lambda a, s: a.table("t", _gaps(s, "user_id", "page_url"), key="user_id")
    ),
    "smaller key of gap sessions, the start alone": _out(
        lambda a, s: a.table("t", _gaps(s, "user_id"), key="session_start_time")
    ),
    "processing_time into a table": _out(
        lambda a, s: a.table("t", s.with_columns(p="processing_time()"), key="user_id")
    ),
    "processing_time judged": _out(
        lambda a, s: a.lake("t", s.with_columns(p="processing_time()").where("p > event_time"))
    ),
    "processing_time as a step's input": _out(
        lambda a, s: a.lake("t", s.with_columns(p="processing_time()").dedupe(by=("user_id", "p")))
    ),
    "partition by nothing there": _out(lambda a, s: a.lake("t", s, partition_by="date")),
    "partition by a list": _out(lambda a, s: a.lake("t", s, partition_by="tags")),
    "partition by a decimal": _out(
        lambda a, s: a.lake("t", s.with_columns(p="1.50::decimal(9,2)"), partition_by="p")
    ),
    "topic whose key is gone": _out(lambda a, s: a.topic("t", s.select("page_url"))),
    "score missing": _out(lambda a, s: a.ranking("t", _totals(s), score="m")),
    "score of text": _out(lambda a, s: a.ranking("t", _totals(s), score="page_url")),
    "wide table without partition": _out(lambda a, s: a.wide_table("t", s, partition_by=())),
    "wide table by a result": _out(lambda a, s: a.wide_table("t", _totals(s), partition_by="n")),
}

SOURCES: dict[str, Case] = {
    "app name": lambda: hr.Definition("My App"),
    "job name": lambda: hr.Definition("app").job("a job"),
    "no class": _source("clicks"),
    "Event itself": _source(hr.Event),
    "topic name": _source(topic="Clicks"),
    "unknown key": _source(key="userid"),
    "key of a list": _source(key="tags"),
    "key inside of a scalar": _source(key="user_id.name"),
    "unknown time": _source(time="eventtime"),
    "time of text": _source(time="user_id"),
    "time of a date": _source(time="day"),
    "integer time without unit": _source(Match, time="info.gameCreation"),
    "unknown unit": _source(Match, time="info.gameCreation", time_unit="minutes"),
    "unit of a datetime": _source(time="event_time", time_unit="ms"),
    "unit without time": _source(time_unit="ms"),
    "optional time": _source_of(lambda: Maybe, time="at"),
    "negative lateness": _source(time="event_time", lateness=timedelta(seconds=-1)),
    "lateness of nonsense": _source(time="event_time", lateness="soon"),
    "unknown option": _source(time="event_time", watermark="1 minute"),
    "no partitions": _source(partitions=0),
    "topic read twice": _out(lambda a, s: a.source(Click, topic="clicks")),
    "topic read as two classes": _out(lambda a, s: a.source(Other, topic="clicks")),
}

CLASSES: dict[str, Case] = {
    "no field": _class({}),
    "underscore": _class({"_id": str}),
    "window_end": _class({"window_end": datetime}),
    "dict": _class({"a": dict[str, int]}),
    "set": _class({"a": set[str]}),
    "bytes": _class({"a": bytes}),
    "Decimal without digits": _class({"a": Decimal}),
    "list of nothing": _class({"a": list}),
    "two types": _class({"a": int | str}),
    "mixed literal": _class({"a": Literal["a", 1]}),
    "boolean literal": _class({"a": Literal[True]}),
    "timedelta": _class({"a": timedelta}),
    "Any": _class({"a": Any}),
    "a class that is no Struct": _class({"a": object}),
    "unresolved": _class({"a": "Missing"}),
    "default": _class({"a": int}, a=3),
    "two fields in other letters": _class({"userId": str, "userid": str}),
    "check on an unknown column": _class({"a": int}, checks={"positive": "b > 0"}),
    "check that is no condition": _class({"a": int}, checks={"positive": "a + 1"}),
    "checks of another kind": _class({"a": int}, checks=["a > 0"]),
    "precision": lambda: hr.Precision(39, 2),
}


def _untimed(make: Callable[[hr.Stream], hr.View]) -> hr.Definition:
    app, stream = clicks(time=None, lateness="0")
    app.table("t", make(stream))
    return app


class Worded(hr.Event):
    group: str


def _words_of_sql(condition: str) -> hr.Definition:
    app = hr.Definition("shop")
    app.lake("all", app.source(Worded, topic="words").where(condition))
    return app


def _matches(make: Callable[[hr.Stream], hr.View]) -> hr.Definition:
    app, stream = matches()
    app.table("t", make(stream))
    return app


CASES: dict[str, dict[str, Case]] = {
    "expressions": EXPRESSIONS,
    "columns": COLUMNS,
    "windows": WINDOWS,
    "aggregates": AGGREGATES,
    "results": RESULTS,
    "outputs": OUTPUTS,
    "sources": SOURCES,
    "classes": CLASSES,
}
