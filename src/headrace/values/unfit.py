"""What is wrong with a value that somebody typed, in words that follow "is"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORDS = {
    "int_parsing": "not a whole number",
    "int_from_float": "not a whole number",
    "int_type": "not a whole number",
    "float_parsing": "not a number",
    "float_type": "not a number",
    "finite_number": "not a finite number",
    "greater_than_equal": "less than {ge:.10g}",
    "less_than_equal": "more than {le:.10g}",
    "datetime_parsing": "not a time like 2026-01-05T10:00:00Z",
    "datetime_from_date_parsing": "not a time like 2026-01-05T10:00:00Z",
    "string_type": "not a text",
    "dict_type": "not a table of properties",
}


def unfit(problem: Mapping[str, Any]) -> str | None:
    """ "not a whole number", of an error as pydantic lists it; None where words are missing."""
    words = _WORDS.get(problem["type"])
    return None if words is None else words.format(**problem.get("ctx", {}))
