"""The fast tier: what it takes, so that programs that write alike are read fast."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from headrace.engines.kernel import decode as tiers
from headrace.engines.kernel.decode_plain import plain_events
from tests.engines.kernel.test_decode import FLAT, TICKS, check

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


def test_a_bad_record_is_found_in_any_block() -> None:
    text = json.dumps(EVENT, ensure_ascii=False)
    texts = [text] * 9_000
    for at in (3, 4_095, 4_096, 8_191, 8_192, 8_999):
        texts[at] = text.replace('"who"', '"why"')
        texts[at - 2] = text.replace("2026-01-01T", "2026-01:01T")
    found = plain_events(FLAT, pa.array(texts, pa.string()))
    assert len(found[0].rows) == 9_000 - 12
    assert all(texts[row] is text for row in found[0].rows.tolist())


def test_pieces_of_a_batch_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers, "_PIECE_ROWS", 3)
    texts = [json.dumps({**EVENT, "whole": n}, ensure_ascii=False) for n in range(20)]
    for at in (2, 3, 10):
        texts[at] = texts[at].replace("0.5", "0x5")
    texts[15] = texts[15].replace(", ", " , ")
    check(FLAT, [text.encode() for text in texts])
