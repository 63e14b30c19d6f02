"""Moves where a job reads on, with its state kept: what that skips first, then the move itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from headrace.engines.embedded.epochs.recall import recall
from headrace.engines.embedded.epochs.seeking import Move, Start, commit_seek, move_of
from headrace.engines.embedded.runner import JobRunner
from headrace.ops.jobs.ask import existing_data
from headrace.ops.owner import acquire
from headrace.plan.operators import Job
from headrace.proof.telling import fill_outputs
from headrace.storage.state.store import FILE_NAME, state_in_words
from headrace.values.errors import UsageError, did_you_mean
from headrace.values.settings import Settings

_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Seeking:
    """A job opened to be moved, and where its topics would be read on; `commit` does it."""

    runner: JobRunner
    moves: list[Move]

    @property
    def stays(self) -> bool:
        """Whether every topic is read on where it is anyway."""
        return all(move.stays for move in self.moves)

    def commit(self) -> int:
        """Moves, in one step; returns the epoch of the move.

        Raises DestinationDown when a destination does not take what was committed before: later
        the topic may not hold any more what it lacks. StateRefused when it does not even now.
        """
        epoch = self.runner.engine.ledger.epoch
        for delivery in self.runner.deliveries:
            if not delivery.flush(epoch, _PATIENCE_SECONDS):
                raise delivery.not_taken(
                    "Mend that first: what it lacks may be in the topic alone."
                )
        names = [d.name for d in self.runner.deliveries]
        moves = [m for m in self.moves if not m.stays]
        moved = commit_seek(self.runner.engine, moves, names, self.runner.clock.now_us())
        # What they have is noted at the end once more: the move, too.
        self.runner.handed_over(recall(self.runner.engine, moved))
        for delivery in self.runner.deliveries:
            delivery.flush(moved, _PATIENCE_SECONDS)
        return moved


@contextmanager
def seeking(job: Job, settings: Settings, topic: str | None, start: Start) -> Iterator[Seeking]:
    """Opens `job`, which must not run, and says where `topic` (None: each) would be read on.

    Raises Busy while somebody has the job, StateRefused for what would count records twice,
    UsageError for a data directory, a topic or an offset that is not there.
    """
    names = [s.topic for s in job.sources]
    if topic is not None and topic not in names:
        raise UsageError(
            f"job {job.id} reads no topic {topic!r}", remedy=did_you_mean(topic, names)
        )
    if topic is None and start.of_one_topic and len(names) > 1:
        raise UsageError(
            f"job {job.id} reads several topics, and an offset is of one",
            remedy=f"Name the topic: {', '.join(names)}.",
        )
    directory = existing_data(settings).job(job.id)
    with (
        acquire(directory, "seek") as owner,
        state_in_words(directory / FILE_NAME),
        JobRunner(job, settings, purpose="seek", fill=fill_outputs) as runner,
    ):
        chosen = names if topic is None else [topic]
        yield Seeking(runner, [move_of(runner.engine, name, start) for name in chosen])
        owner.drain()
