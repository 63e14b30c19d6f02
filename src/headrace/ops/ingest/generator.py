"""What an app's own generator of events must do; `simulate` runs it.

An app has one when its definition says so: `app.generator = ActivityGenerator`, a callable that
takes a `Simulation` and the topic's `Partitions` and returns a `Generator`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.storage.topics.murmur2 import partitions_of
from headrace.values.errors import UsageError

RATE_MIN, RATE_MAX = 0.000_001, 100_000_000
# Records are numbered in 64 bits.
NUMBER_MAX = 2**63 - 1


@dataclass(frozen=True)
class Simulation:
    """What is asked of a generator.

    `count` records (None: without end), `rate` records per second of their own time, event times
    from `start_us` on (microseconds, UTC). Every `late_every`-th record is late, every
    `malformed_every`-th malformed (0: none; malformed wins). `live` ones follow the clock. Raises
    UsageError for what means nothing.
    """

    count: int | None
    rate: float
    seed: int
    start_us: int
    late_every: int = 0
    malformed_every: int = 0
    live: bool = False

    def __post_init__(self) -> None:
        for name in ("count", "seed", "late_every", "malformed_every"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= NUMBER_MAX:
                option = "--" + name.replace("_", "-")
                remedy = f"Give it a number from 0 to {NUMBER_MAX:,}."
                raise UsageError(f"{option} {value} means nothing", remedy=remedy)
        if not RATE_MIN <= self.rate <= RATE_MAX:
            raise UsageError(
                f"a rate of {self.rate:g} records per second means nothing",
                remedy=f"Give a number from {RATE_MIN:f} to {RATE_MAX:,}.",
            )
        if self.count is None and not self.live:
            raise UsageError(
                "A simulation without --count never ends and must follow the clock",
                remedy="Give --count, or run it live.",
            )
        if self.late_every == 1:
            raise UsageError(
                "Not every record can be late: late means older than what came before",
                remedy="Use --late-every 2 or more, or 0 for none.",
            )


@dataclass(frozen=True)
class SimulatedBatch:
    """Records in their order: values and keys (binary, nullable), and when each is due (int64).

    `about` is the generator's own knowledge of them, anything that `[start:stop]` cuts alike.
    """

    values: pa.Array
    keys: pa.Array
    due_us: npt.NDArray[np.int64]
    about: Any

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, cut: slice) -> SimulatedBatch:
        return SimulatedBatch(self.values[cut], self.keys[cut], self.due_us[cut], self.about[cut])


@dataclass(frozen=True)
class Partitions:
    """The partitions of the topic: how many, and which one a key goes to."""

    count: int

    def of(self, keys: pa.Array) -> npt.NDArray[np.int32]:
        """The partition of each key (binary)."""
        return partitions_of(keys, self.count)


class Generator(Protocol):
    """A repeatable stream of records for one topic: same simulation, same bytes and partitions."""

    topic: str

    def batches(self) -> Iterator[SimulatedBatch]:
        """The records; called once."""

    def wrote(self, batch: SimulatedBatch) -> None:
        """Learns that `batch`, or a part of one, now stands in the topic, in this order."""

    def outcome(self) -> dict[str, Any]:
        """What must come of the records written, if they are all of the topic: JSON-able.

        "accepted", "malformed" and "late" (by view) at least.
        """


class GeneratorFactory(Protocol):
    """Makes a generator for a topic with these partitions; a class with `topic` is one."""

    topic: str

    def __call__(self, simulation: Simulation, partitions: Partitions) -> Generator:
        """Raises UsageError for a simulation that it cannot give."""
