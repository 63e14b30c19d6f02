"""The activity app's generator of events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headrace.apps.activity_simulation.disorder import Disorder, Records
from headrace.apps.activity_simulation.outcome import Outcome
from headrace.apps.activity_simulation.story import Story
from headrace.apps.activity_simulation.text import Texts, user_names
from headrace.ops.ingest.generator import Partitions, SimulatedBatch, Simulation


class ActivityGenerator:
    """A seeded stream of user activity for a topic with these `partitions`."""

    topic = "user_activity"

    def __init__(self, simulation: Simulation, partitions: Partitions) -> None:
        self._simulation = simulation
        self._story = Story(simulation)
        names = user_names(self._story.users)
        self._texts = Texts(names)
        self._disorder = Disorder(
            partitions.of(names),
            partitions.count,
            simulation.seed,
            simulation.late_every,
            simulation.malformed_every,
        )
        self._outcome = Outcome(partitions.count)

    def batches(self) -> Iterator[SimulatedBatch]:
        """The records, about 100,000 at a time; without a count they never end."""
        count, done = self._simulation.count, 0
        while count is None or done < count:
            records = self._disorder.records(self._story.next_slice())
            if count is not None:
                records = records[: count - done]
            if len(records) == 0:
                continue
            yield self._batch(records, done)
            done += len(records)

    def wrote(self, batch: SimulatedBatch) -> None:
        """Counts what now stands in the topic."""
        self._outcome.count(batch.about)

    def outcome(self) -> dict[str, Any]:
        """What the activity app must count of the records written; see `Outcome.report`."""
        return self._outcome.report()

    def _batch(self, records: Records, first_number: int) -> SimulatedBatch:
        values, keys = self._texts.columns(records, first_number)
        return SimulatedBatch(values, keys, records.events.due_us, records)
