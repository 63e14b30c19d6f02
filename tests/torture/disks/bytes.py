"""What may happen to a file on a bad disk: cut at a byte, a byte flipped, gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

BLOCK_BYTES = 4096


@dataclass(frozen=True)
class Damage:
    """`how` is cut, flipped or missing; `at` the byte from the file's begin."""

    how: str
    at: int = 0
    bit: int = 0

    def inflict(self, path: Path) -> None:
        if self.how == "missing":
            path.unlink()
        elif self.how == "cut":
            os.truncate(path, self.at)
        else:
            with path.open("r+b") as file:
                file.seek(self.at)
                found = file.read(1)[0]
                file.seek(self.at)
                file.write(bytes([found ^ 1 << self.bit]))


def of_last_block(size: int, chance: Random, most: int | None = None) -> Iterator[Damage]:
    """All that may happen to a file of `size`: each byte of its last block, in order.

    With `most`, so many of them, evenly spread from a byte that chance picks.
    """
    yield Damage("missing")
    first = max(0, size - BLOCK_BYTES)
    step = 1 if most is None else max(1, 2 * (size - first) // most)
    for at in range(first + chance.randrange(step), size, step):
        yield Damage("cut", at)
        yield Damage("flipped", at, chance.randrange(8))


def some(size: int, chance: Random) -> Damage:
    """One of all that may happen, at the file's end or anywhere."""
    how = chance.choice(["cut", "flipped", "missing"])
    at = chance.randrange(max(0, size - BLOCK_BYTES) if chance.random() < 0.5 else 0, size)
    return Damage(how, at, chance.randrange(8))
