"""Casts of the reference are those of the engine's SQL."""

from __future__ import annotations

import duckdb
import pytest

from tests.reference.numbers import CASTS, Failure


@pytest.mark.parametrize(
    "text",
    ["7", " 7 ", "+7", "10.50", "-7.5", "10.49", "0.5", ".5", "-.5", "10.", "seven", "", ".", "-"],
)
def test_text_becomes_a_whole_number_as_in_sql(text: str) -> None:
    try:
        found = CASTS["BIGINT"](text)
    except Failure:
        found = None
    [(wanted,)] = duckdb.execute("select try_cast(? as bigint)", [text]).fetchall()
    assert found == wanted
