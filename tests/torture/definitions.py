"""Random definitions on random logs: what the engine says is what plain loops say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random

from tests.engines.embedded.definitions import varied
from tests.engines.embedded.logs import scattered
from tests.engines.embedded.test_reference import check
from tests.torture.course import Part


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    chance = Random(seed)
    records = 0
    for _ in range(_DEFINITIONS):
        log = scattered(chance.getrandbits(40))
        check(varied(chance.getrandbits(40)), log, chance.choice([0, 0, 5, 20]), 1 + seed % 8)
        records += len(log)
    return {"definitions": 3 * _DEFINITIONS, "records": records}


_DEFINITIONS = 5

DEFINITIONS = Part(
    "definitions",
    "Whatever is defined, live results equal plain loops over the sorted events, row by row and "
    "sum by sum; so they do after stops, and recomputed.",
    trial,
)
