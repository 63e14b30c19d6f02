"""Streams and views: immutable, as forgiving as SQL in how lists of names are written."""

from __future__ import annotations

from datetime import timedelta

import pytest

import headrace.language as hr
from headrace.language.steps import DedupeStep, SelectStep, SlideSpec, TumbleSpec


class Click(hr.Event):
    user_id: str
    page_url: str


def stream() -> hr.Stream:
    return hr.Definition("shop").source(Click, topic="clicks")


def test_each_call_gives_another_stream() -> None:
    first = stream()
    second = first.where("user_id <> ''")
    assert first.steps == ()
    assert len(second.steps) == 1
    assert len(second.where("true").steps) == 2
    assert len(second.steps) == 1


@pytest.mark.parametrize("by", ["user_id", ("user_id",), ["user_id"]])
def test_one_name_or_several(by: object) -> None:
    (step,) = stream().dedupe(by=by).steps  # type: ignore[arg-type]
    assert isinstance(step, DedupeStep)
    assert step.by == ("user_id",)


def test_columns_are_named_by_the_last_part_of_a_path() -> None:
    (step,) = stream().select("user_id", "a.b.c", n="1 + 1").steps
    assert isinstance(step, SelectStep)
    assert step.columns == (("user_id", "user_id"), ("c", "a.b.c"), ("n", "1 + 1"))
    assert stream().by("a.b", "c").keys == (("b", "a.b"), ("c", "c"))
    assert stream().by(("a", "b")).keys == (("a", "a"), ("b", "b"))  # type: ignore[arg-type]


def test_window_and_key_in_either_order() -> None:
    one = stream().by("user_id").tumble("1 hour").agg(n="count(*)")
    two = stream().tumble("1 hour").by("user_id").agg(n="count(*)")
    assert (one.keys, one.results) == (two.keys, two.results)
    assert isinstance(one.window, TumbleSpec)


def test_durations_as_text_or_timedelta() -> None:
    window = stream().slide(timedelta(minutes=5), every="30 seconds", offset="10s").window
    assert isinstance(window, SlideSpec)
    assert (window.size_us, window.every_us, window.offset_us) == (
        300_000_000,
        30_000_000,
        10_000_000,
    )


def test_steps_remember_where_they_were_written() -> None:
    (step,) = stream().where("true").steps
    assert "test_streams.py:" in step.where


def test_what_a_notebook_shows() -> None:
    made = (
        stream()
        .where("user_id <> '<b>'", reason="bold")
        .explode("tags")
        .dedupe(by="user_id", within="1 hour")
        .session(starts="a", ends="b", timeout="5 minutes")
        .by("user_id")
        .agg(n="count(*)")
        .where("n > 1")
    )
    assert repr(made).splitlines() == [
        "View of clicks (Click)",
        "  where user_id <> '<b>' (bold)",
        "  explode tags as tags",
        "  dedupe by user_id within 1 hour",
        "  session from a to b, timeout 5 minutes",
        "  by user_id",
        "  agg n = count(*)",
        "  where n > 1",
    ]
    assert "&lt;b&gt;" in made._repr_html_()
    assert "<b>'" not in made._repr_html_()
    assert repr(made.top(3, by="n", per="user_id")).endswith("top 3 by n per user_id")


def test_unknown_methods_stay_attribute_errors() -> None:
    assert not hasattr(stream(), "nosuch")
    with pytest.raises(AttributeError):
        _ = stream().nosuch


def test_a_misspelt_step_is_told_with_the_near_one() -> None:
    grouped = stream().tumble("1 minute")
    for made, wrong, told in (
        (stream(), "dedup", 'Did you mean "dedupe"[?] Valid names: where, '),
        (grouped, "agregate", "no attribute 'agregate'. Valid names: .*, by, agg[.]"),
        (grouped.agg(n="count(*)"), "tops", 'Did you mean "top"[?] Valid names: where, top[.]'),
    ):
        with pytest.raises(AttributeError, match=told):
            getattr(made, wrong)
