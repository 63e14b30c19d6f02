"""Aggregates at the ends of their types: an overflow costs the result, never the run."""

from __future__ import annotations

from typing import Any

import pytest

import headrace as hr
from headrace.language import Stream, View
from headrace.language.aggregates import AGGREGATES
from headrace.plan.aggregation import Aggregation
from headrace.plan.parse import Text
from headrace.plan.scope import Scope
from headrace.values.errors import DefinitionError
from tests.views.cases import check, seen, thing, things

MOST = "9" * 36 + ".99"
WINDOWS = {
    "none": lambda s: s,
    "tumble": lambda s: s.tumble("1 minute"),
    "slide": lambda s: s.slide("1 minute", every="1 minute"),
    "gap": lambda s: s.session(gap="1 minute"),
    "marks": lambda s: s.session(starts="n = 0", timeout="1 minute"),
}


@pytest.mark.parametrize("window", WINDOWS)
def test_a_sum_that_overflows_is_null_and_counted_and_comes_back(window: str) -> None:
    app, source = things(lateness="1 minute")
    view = (
        WINDOWS[window](source)
        .by("who")
        .agg(
            s="cast(sum(cast(text as decimal(38, 2))) as varchar)",
            m="round(avg(cast(text as decimal(38, 2))) / 1e34, 6)",
            or_zero="coalesce(sum(cast(text as decimal(38, 2))), 0) > 0",
            h="sum(cast(text as hugeint))",
            n="count(*)",
        )
    )
    app.table("out", view)
    app.table("of_b", source.where("who = 'b'").by("who").agg(s="sum(cast(text as decimal(38,2)))"))
    least = f"-{MOST}"
    texts = {"a": [MOST, MOST, least], "b": [MOST, "0.01"], "c": [least, "-1", "1.01"]}
    sent = [
        thing(i, who, n=i, text=text) for who, all in texts.items() for i, text in enumerate(all)
    ]
    rows = [
        ("a", MOST, 33.333333, True, None, 3),
        ("b", None, 50.0, None, None, 2),
        ("c", f"-{'9' * 36}.98", -33.333333, False, None, 3),
    ]
    check(app, sent, {"out": ("who s m or_zero h n", rows), "of_b": ("who s", [("b", None)])})


def test_failed_results_say_how_many_results_there_are_not() -> None:
    app, source = things(lateness="1 minute")
    app.table("out", source.by("who").agg(s="sum(cast(text as decimal(38, 2)))", n="count(*)"))
    with hr.testing.run(app) as t:
        t.send("things", [thing(0, text=MOST), thing(1, text="1"), thing(2, "b")])
        t.epoch()
        assert t.counts("out") == {"accepted": 3, "applied": 3, "failed_results": 1}
        t.verify()


def test_a_failed_result_is_not_counted_once_more_when_its_window_closes() -> None:
    app, source = things()
    kept = source.where("text <> 'none'")
    view = kept.tumble("10 seconds").by("who").agg(s="sum(cast(text as decimal(38, 2)))")
    app.table("out", view)
    app.table("closed", view, emit="final")
    with hr.testing.run(app) as t:
        t.send("things", [thing(0, text=MOST), thing(1, text=MOST)])
        assert t.counts("out")["failed_results"] == 1
        # Moves the watermark, and changes nothing.
        t.send("things", [thing(30, text="none")])
        assert len(t.rows("closed")) == 1
        assert t.counts("out")["failed_results"] == 1


TYPES = {
    "boolean": ["true", "false"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "hugeint": ["-170141183460469231731687303715884105728"]
    + ["170141183460469231731687303715884105727"],
    "uhugeint": ["340282366920938463463374607431768211455", "1"],
    "decimal(20, 2)": ["9" * 18 + ".99", "-" + "9" * 18 + ".99"],
    "decimal(38, 0)": ["9" * 38, "-" + "9" * 38],
    "decimal(38, 38)": ["0." + "9" * 38, "-0." + "9" * 38],
    "double": ["1.7e308", "-1.7e308"],
    "varchar": ["", "z"],
    "date": ["0001-01-01", "9999-12-31"],
    "timestamp": ["0001-01-01 00:00:00", "9999-01-01 23:59:59.999999"],
    "time": ["00:00:00", "23:59:59.999999"],
    "interval": ["-100000 years", "100000 years"],
}


def test_every_aggregate_over_every_type_runs_or_is_refused() -> None:
    app, source = things(lateness="1 minute")
    events = []
    for number, (type_, texts) in enumerate(TYPES.items()):
        of_type = source.where(f"kind = '{number}'").tumble("1 minute").by("who")
        calls = aggregates_of(f"cast(text as {type_})")
        assert {"c_min", "c_list", "c_first", "c_count"} < set(calls)
        app.table(f"t{number}", of_type.agg(n="count(*)", **calls))
        chosen = [texts[i] for i in (0, 1, 1, 0, 1, 1, 1)]
        events += [thing(i, kind=str(number), text=text) for i, text in enumerate(chosen)]
    with hr.testing.run(app) as t:
        t.send("things", events[::2])
        t.epoch()
        t.send("things", events[1::2])
        t.epoch()
        for number in range(len(TYPES)):
            assert seen(t, f"t{number}", "who n") == [("a", 7)]
            assert "failed" not in t.counts(f"t{number}")
        t.verify()


def aggregates_of(value: str) -> dict[str, str]:
    """Those that views take over `value`, as text where the type could not leave otherwise."""
    calls = {}
    for name in {known.canonical: name for name, known in AGGREGATES.items()}.values():
        known = AGGREGATES[name]
        call = f"{name}({', '.join([*[value] * known.arguments, *['0.5'] * known.constants])})"
        said = [c for c in (call, f"cast({call} as varchar)") if name != "count_star"]
        calls |= {f"c_{known.canonical}": c for c in said[::-1] if accepted(c)}
    return calls


def accepted(call: str) -> bool:
    rows = Scope((("text", "VARCHAR"),), "the row")
    try:
        return bool(Aggregation(rows, (), ()).result("c", Text(call, "here")))
    except DefinitionError:
        return False


def test_the_view_reads_no_more_than_it_says() -> None:
    """The parts of a sum are the plan's own: equal calls are kept once."""

    def view(source: Stream) -> View:
        made: Any = source.agg(
            a="sum(cast(text as decimal(38, 2)))", b="sum(cast(text as decimal(38, 2))) / count(*)"
        )
        return made

    app, source = things()
    app.table("out", view(source))
    assert [c.function for c in app.plan.jobs[0].views[0].aggregates] == [
        "sum",
        "sum",
        "count_star",
    ]
