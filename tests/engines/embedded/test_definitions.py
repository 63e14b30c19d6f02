"""Whatever a plan can say is drawn by the random definitions, and every aggregate is tried."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from random import Random
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

import headrace as hr
import headrace.testing
from headrace.language.aggregates import AGGREGATES
from headrace.plan import operators
from headrace.plan.operators import Plan
from tests.engines.embedded import expressions
from tests.engines.embedded.apps import app_of
from tests.engines.embedded.checking import check_all
from tests.engines.embedded.events import SHAPES
from tests.engines.embedded.logs import random_log
from tests.engines.embedded.playing import Sent
from tests.engines.embedded.trials import NOON

# What all random apps are called.
_FIXED = {"Plan.app"}
_CALLED = {name for name in AGGREGATES if name != "count_star"}


@cache
def plans() -> tuple[Plan, ...]:
    return tuple(app_of(seed, 8).plan for seed in range(24))


def parts(value: Any) -> Iterator[Any]:
    """Every piece of a plan, the plan itself among them."""
    if isinstance(value, tuple):
        for item in value:
            yield from parts(item)
    elif is_dataclass(value):
        yield value
        for field in fields(value):
            yield from parts(getattr(value, field.name))


@cache
def drawn() -> dict[str, set[str]]:
    """The values of every field of every class of the plan, as text; () has the classes."""
    found: dict[str, set[str]] = defaultdict(set)
    for plan in plans():
        for part in parts(plan):
            found[""].add(type(part).__name__)
            for field in fields(part):
                found[f"{type(part).__name__}.{field.name}"].add(repr(getattr(part, field.name)))
    return found


def classes() -> list[type]:
    here = vars(operators).values()
    return [c for c in here if is_dataclass(c) and c.__module__ == operators.__name__]  # type: ignore[misc]


@pytest.mark.parametrize("kind", classes(), ids=lambda c: c.__name__)
def test_every_field_of_the_plan_is_drawn_with_more_than_one_value(kind: type) -> None:
    assert kind.__name__ in drawn()[""]
    names = [f"{kind.__name__}.{f.name}" for f in fields(kind)]
    assert [n for n in names if len(drawn()[n]) < 2 and n not in _FIXED] == []


def test_every_choice_of_the_plan_is_drawn() -> None:
    for kind in classes():
        for name, hint in get_type_hints(kind).items():
            for choice in _choices(hint):
                assert repr(choice) in drawn()[f"{kind.__name__}.{name}"], f"{kind}.{name}"


def _choices(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(choice for inner in get_args(hint) for choice in _choices(inner))


def test_every_aggregate_is_drawn_by_all_of_its_names() -> None:
    texts = " ".join(expressions.AGGREGATES)
    assert [n for n in sorted(_CALLED) if not re.search(rf"\b{n}\(", texts)] == []


def test_every_aggregate_is_what_plain_loops_say() -> None:
    app, texts = hr.App("random"), list(expressions.AGGREGATES)
    nested = SHAPES["nested"]
    source = app.source(nested.event, topic="things", key="who", partitions=2, time="moment")
    exploded = source.explode("items", "item").explode("parts", "part")
    item = {t for t, read in expressions.AGGREGATES.items() if {"item", "part"} & set(read.split())}
    calls = set()
    for number, start in enumerate(range(0, len(texts), 7)):
        for name, stream in (("rows", source), ("items", exploded)):
            some = [t for t in texts[start : start + 7] if name == "items" or t not in item]
            results = {f"x{i}": t for i, t in enumerate(some)}
            grouped = [stream.by("kind"), stream.tumble("10 seconds"), stream.session(gap="1 s")]
            app.table(f"{name}{number}", grouped[number % 3].agg(**results))
    for view in app.plan.jobs[0].views:
        calls |= {call.function for call in view.aggregates}
    assert calls >= {a.canonical for a in AGGREGATES.values()} - {"count_if"}
    with headrace.testing.run(app, start=NOON) as t:
        sent = Sent()
        sent.play(t, random_log(app.plan, Random(7), 60), actions=False)
        assert check_all(t, sent)
