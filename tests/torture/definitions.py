"""Random definitions on random logs: what the engine says is what plain loops say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random

from tests.engines.embedded.trials import live
from tests.torture.course import Part

_APPS, _VIEWS = 2, 6


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    chance = Random(seed)
    done: Counter[str] = Counter()
    for _ in range(_APPS):
        done.update(live(chance.getrandbits(40), _VIEWS))
    return done


DEFINITIONS = Part(
    "definitions",
    "Whatever is defined, live results equal plain loops over the sorted events, row by row and "
    "sum by sum; so they do after stops, after a replay of dead letters, and recomputed.",
    trial,
    share=3.0,
    goals={"definitions": 130, "records": 600, "rows": 6_000},
)
