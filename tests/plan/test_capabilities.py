"""An engine that cannot do what a plan asks for is refused when the plan is loaded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.plan import capabilities
from headrace.plan.build import build
from headrace.plan.capabilities import ENGINES, check_engine
from headrace.plan.operators import Slide
from headrace.values.errors import DefinitionError
from tests.plan.samples import activity
from tests.plan.test_serial import everything


def test_the_embedded_engine_does_everything() -> None:
    check_engine(build(activity()), "embedded")
    check_engine(build(everything()), "embedded")


def test_an_unknown_engine() -> None:
    with pytest.raises(DefinitionError, match='Did you mean "embedded"'):
        check_engine(build(activity()), "embeded")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    full = ENGINES["embedded"]
    lame = replace(
        full,
        roles=full.roles - {"lake"},
        operators=full.operators - {Slide},
        aggregates=full.aggregates - {"count_star"},
    )
    monkeypatch.setitem(capabilities.ENGINES, "lame", lame)
    with pytest.raises(DefinitionError) as caught:
        check_engine(build(activity()), "lame")
    assert str(caught.value).splitlines() == [
        "engine lame cannot do what activity asks for: role lake of activity; "
        "count_star(…) in page_view_counts; slide in active_users; "
        "count_star(…) in session_history",
        "Run it on another engine: embedded",
    ]
