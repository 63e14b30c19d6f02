"""The live engine against plain Python: random definitions, random logs, random cuts."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engines.embedded.trials import live


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 40))
def test_the_engine_is_what_plain_loops_say(seed: int) -> None:
    assert live(seed, views=3)["definitions"] == 3
