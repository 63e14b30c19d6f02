"""Mutated records through the decoder, held against a judge in plain Python.

The tiers of the decoder must agree on every record. The judge (the table of semantics, section 2,
with nothing of the engine) looks at a random tenth, and at all records of a batch whose tiers
disagree, so that the failure says which of them is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from unittest import mock

import headrace.engines.kernel.decode as decoding_module
from headrace.engines.kernel.decode import Decoded, decode
from headrace.plan.operators import Source
from tests.engines.kernel.judge import Refused, judge
from tests.engines.kernel.test_decode import ARRIVAL, CONNECTION, records_of, same

_JUDGED_EVERY = 10
_BATCHES = (100, 2000, 20_000, 20_000)


@dataclass(frozen=True)
class Verdict:
    """What became of a record: its event, or the field that refused it and why."""

    event: Mapping[str, Any] | None
    field: str | None = None
    reason: str | None = None


def check_decoding(chance: Random, source: Source, values: Sequence[bytes]) -> Mapping[str, int]:
    """Judges `values` in batches of many sizes; raises AssertionError with the record."""
    at, judged = 0, 0
    while at < len(values):
        batch = list(values[at : at + chance.choice(_BATCHES)])
        at += len(batch)
        table = records_of(batch)
        both = decode(CONNECTION, source, table)
        with mock.patch.object(decoding_module, "plain_events", lambda *_: []):
            strict = decode(CONNECTION, source, table)
        rows = range(chance.randrange(_JUDGED_EVERY), len(batch), _JUDGED_EVERY)
        if not (_alike(both, strict)):
            rows = range(len(batch))
        found, other = verdicts(source, both, len(batch)), verdicts(source, strict, len(batch))
        for row in rows:
            right = by_hand(source, batch[row])
            for tier, mine in (("all tiers", found[row]), ("strict", other[row])):
                assert _agree(mine, right), f"{tier}: {batch[row]!r}: {mine}, not {right}"
        assert _alike(both, strict), "the tiers give other reasons"
        judged += len(rows)
    return {"records decoded": len(values), "of these judged in Python": judged}


def verdicts(source: Source, decoded: Decoded, count: int) -> list[Verdict]:
    """The verdicts by record; every record has exactly one."""
    made: list[Verdict | None] = [None] * count
    names = [f.name for f in source.schema.fields]
    rows = decoded.events.column("_row").to_pylist()
    dead = decoded.dead.to_pylist()
    assert sorted([*rows, *(d["_row"] for d in dead)]) == list(range(count))
    for row, event in zip(rows, decoded.events.select(names).to_pylist(), strict=True):
        made[row] = Verdict(event)
    for letter in dead:
        assert letter["_reason"]
        made[letter["_row"]] = Verdict(None, letter["_field"], letter["_reason"])
    return [verdict for verdict in made if verdict is not None]


def by_hand(source: Source, value: bytes) -> Verdict:
    try:
        return Verdict(judge(source, value, ARRIVAL))
    except Refused as refused:
        return Verdict(None, refused.field)


def _agree(mine: Verdict, right: Verdict) -> bool:
    if mine.event is None or right.event is None:
        return mine.event is right.event and mine.field == right.field
    return same(mine.event, right.event)


def _alike(a: Decoded, b: Decoded) -> bool:
    """Whether events and refusals are the same; 0.0 and -0.0 are, the judge tells them apart."""
    names = [n for n in a.events.column_names if n in b.events.column_names]
    return bool(
        a.dead.sort_by("_row").equals(b.dead.sort_by("_row"))
        and a.events.select(names).to_pylist() == b.events.select(names).to_pylist()
    )
