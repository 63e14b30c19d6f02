"""The fast tier: what it takes, so that programs that write alike are read fast."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from headrace.engines.kernel.decode_plain import plain_events
from tests.engines.kernel.test_decode import FLAT, TICKS

EVENT = {
    "at": "2026-01-01T00:00:00.5Z",
    "who": "wü",
    "whole": 1,
    "number": 0.5,
    "yes": True,
    "day": "2026-01-01",
    "one": "a",
    "level": 1,
    "note": "x",
}


def rows_taken(source: Any, texts: list[str]) -> list[int]:
    found = plain_events(source, pa.array(texts, pa.string()))
    return sorted(row for plain in found for row in plain.rows.tolist())


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_records_of_several_programs_are_all_taken(separators: tuple[str, str]) -> None:
    forms = [
        EVENT,
        {**EVENT, "note": None},
        {k: v for k, v in EVENT.items() if k not in ("day", "level")},
        dict(reversed(EVENT.items())),
        {**EVENT, "more": 1.5, "other": "text"},
    ]
    texts = [
        json.dumps({**form, "whole": n}, separators=separators, ensure_ascii=False)
        for n in range(40)
        for form in forms
    ]
    assert rows_taken(FLAT, texts) == list(range(len(texts)))
    ticks = [f'{{"at":{n},"note":null}}' for n in range(50)]
    assert rows_taken(TICKS, ticks) == list(range(50))


def test_a_bad_record_costs_no_other_its_place() -> None:
    good = json.dumps(EVENT, ensure_ascii=False)
    bad = [
        good[:-1],
        good.replace("0.5", "0x5"),
        good.replace("Z", ""),
        "",
        "{}",
        '{"at": "\\u0061"}',
    ]
    texts = [text for one in bad for text in (one, good, good)]
    assert rows_taken(FLAT, texts) == [n for n in range(len(texts)) if n % 3]
