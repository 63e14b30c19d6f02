"""The way on hangs on what a topic is to whoever meets the error."""

from __future__ import annotations

import pytest

from headrace.storage.kafka.problems import Use, made_again, out_of_range


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ("source", "headrace state seek APP t --from earliest"),
        ("output", "headrace state reset APP"),
        ("look", "Give the command again"),
    ],
)
def test_a_topic_made_again(use: Use, words: str) -> None:
    remedy = made_again("t", "kafka://one", use).remedy or ""
    assert words in remedy and ("seek" in remedy) == (use == "source")


@pytest.mark.parametrize("offset", [3, 30])
def test_an_offset_that_is_not_there(offset: int) -> None:
    read, looked = (out_of_range("t", 0, offset, 10, 20, use).remedy for use in ("source", "look"))
    assert "headrace state" in (read or "") and "headrace state" not in (looked or "")
