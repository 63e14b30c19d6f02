"""Where a job reads on when somebody says so: a topic was made again, or lost records, or is left.

The state is kept. In the same generation of a topic a job only goes forward: what it would read
again, it would count twice. A topic that was made again, or that stands in another cluster, is a
new generation: its partitions' watermarks begin anew, the source's never goes back. The move is an
epoch of the job, of the kind `seek`, committed in one step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from headrace.engines.embedded.epochs.engine import Committed, JobEngine
from headrace.engines.embedded.epochs.sources import Position
from headrace.engines.embedded.epochs.tails import tail_before
from headrace.engines.kernel.generations import GENERATIONS_MAX, PARTITIONS_MAX
from headrace.storage.contract import Topic
from headrace.storage.ways import reset_from, restore_or_reset
from headrace.values.clock import instant_us
from headrace.values.errors import StateRefused, TopicRefused, UsageError

_CHOICES = (
    "Choose earliest, latest, an offset for all partitions (1200), offsets by partition "
    "(0:1200,1:1180), or a time (2026-01-05T10:00:00Z): the first record that is not older."
)
_OFFSETS = re.compile(r"\d+:\d+(,\d+:\d+)*")


@dataclass(frozen=True)
class Start:
    """The value of `--from`: a word, one offset for all partitions, some by partition, a time."""

    text: str
    offset: int | None = None
    offsets: Mapping[int, int] | None = None
    time_us: int | None = None

    @property
    def of_one_topic(self) -> bool:
        """Whether it means nothing for several topics at once."""
        return self.offset is not None or self.offsets is not None


@dataclass(frozen=True)
class Move:
    """Where a topic is read on. `before` is where the job was, in the same generation.

    In a new one it is the first offset there. `skipped` records lie between, by partition; `gone`
    of them the topic no longer holds.
    """

    topic: str
    identity: str
    made_again: bool
    before: list[int]
    after: list[int]
    skipped: list[int]
    gone: list[int]

    @property
    def stays(self) -> bool:
        return not self.made_again and self.before == self.after

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def start_of(text: str) -> Start:
    """Reads the value of `--from`; UsageError names the choices."""
    if text in ("earliest", "latest"):
        return Start(text)
    if text.isascii() and text.isdigit():
        return Start(text, offset=int(text))
    if _OFFSETS.fullmatch(text):
        pairs = [(int(p), int(at)) for p, _, at in (o.partition(":") for o in text.split(","))]
        if len({p for p, _ in pairs}) == len(pairs):
            return Start(text, offsets=dict(pairs))
    elif "T" in text:
        try:
            return Start(text, time_us=instant_us(datetime.fromisoformat(text)))
        except (ValueError, OverflowError):
            pass
    near = get_close_matches(text.lower(), ["earliest", "latest"], n=1)
    hint = f'Did you mean "{near[0]}"? ' if near else ""
    raise UsageError(f"--from {text!r} is no place in a topic", remedy=hint + _CHOICES)


def first_offsets(start: Start, topic: Topic) -> list[int]:
    """Where a reader begins that has read nothing of this generation of the topic."""
    return _offsets(start, topic, topic.begin_offsets())


def move_of(engine: JobEngine, name: str, start: Start) -> Move:
    """Where the job would read on in the topic `name`; nothing is changed.

    Raises StateRefused for what would count records twice, UsageError for offsets that are not
    there.
    """
    reader = engine.readers[name]
    topic, known = reader.topic, engine.ledger.identities(name)
    begin = topic.begin_offsets()
    if topic.identity not in known:
        _check_numbers(topic, len(known))
        after = first_offsets(start, topic)
        skipped = [a - b for a, b in zip(after, begin, strict=True)]
        return Move(name, topic.identity, True, begin, after, skipped, [0] * len(begin))
    if topic.identity != known[-1]:
        raise TopicRefused(
            f'The job has read this generation of topic "{name}" before and left it for another: '
            "what it would read again, it would count twice",
            remedy=reset_from(start.text),
        )
    here = reader.position.offsets
    here = here + begin[len(here) :]
    end = topic.end_offsets()
    for p, at in enumerate(here):
        if at > end[p]:
            raise TopicRefused(
                f'Topic "{name}" ends at offset {end[p]} of partition {p}, but what lies before '
                f"{at} was read: it has lost records, and gives their offsets to others",
                remedy=restore_or_reset(),
            )
    after = _offsets(start, topic, [max(at, b) for at, b in zip(here, begin, strict=True)])
    for p, at in enumerate(here):
        if after[p] < at:
            raise StateRefused(
                f'Topic "{name}", partition {p}: everything before offset {at} was read; from '
                f"{after[p]} on it would be counted twice",
                remedy=reset_from(start.text),
            )
    skipped = [a - at for a, at in zip(after, here, strict=True)]
    gone = [min(max(b - at, 0), s) for b, at, s in zip(begin, here, skipped, strict=True)]
    return Move(name, topic.identity, False, here, after, skipped, gone)


def commit_seek(engine: JobEngine, moves: list[Move], delivered: list[str], now_us: int) -> int:
    """Reads on where `moves` say, from the next epoch on; returns the epoch of the move.

    Every destination in `delivered` must have all epochs before it. Raises TopicRefused and
    Unreachable where what is skipped cannot be looked at; nothing is moved then.
    """
    ledger = engine.ledger
    committed = Committed(
        ledger.generation, ledger.epoch + 1, max(now_us, ledger.time_us), {}, kind="seek"
    )
    committed.positions = {t: r.position for t, r in engine.readers.items()}
    for move in moves:
        old = committed.positions[move.topic]
        greatest, known = ({}, b"") if move.made_again else (old.greatest_us, old.tail)
        tail = tail_before(
            engine.readers[move.topic].topic, move.after, start=move.before, known=known
        )
        committed.positions[move.topic] = Position(
            move.after, greatest, old.watermark_us, tail, move.identity
        )
    with engine.store.transaction():
        for move in moves:
            if move.made_again:
                ledger.go_on(move.topic, move.identity)
        ledger.write(committed, False, [])
        if delivered:
            # It gives them nothing: they have it when they have what came before.
            ledger.landed(dict.fromkeys(delivered, committed.epoch))
    ledger.advanced(committed.epoch, committed.time_us)
    for name, reader in engine.readers.items():
        reader.position = committed.positions[name]
    return committed.epoch


def _offsets(start: Start, topic: Topic, first: list[int]) -> list[int]:
    """The offsets that `start` means; `first` are the earliest that there are for this reader."""
    if start.text == "earliest":
        return first
    begin, end = topic.begin_offsets(), topic.end_offsets()
    if start.text == "latest":
        return end
    if start.time_us is not None:
        return topic.offset_at(start.time_us)
    wanted = start.offsets
    if wanted is None:
        assert start.offset is not None
        wanted = dict.fromkeys(range(topic.partitions), start.offset)
    for p, offset in wanted.items():
        if p >= topic.partitions:
            raise UsageError(
                f'Topic "{topic.name}" has no partition {p}',
                remedy=f"It has the partitions 0 to {topic.partitions - 1}.",
            )
        if not begin[p] <= offset <= end[p]:
            raise UsageError(
                f'Topic "{topic.name}", partition {p}: offset {offset} is not there',
                remedy=f"It holds {begin[p]} to {end[p]}; the last is where the next record goes.",
            )
    return [wanted.get(p, at) for p, at in enumerate(first)]


def _check_numbers(topic: Topic, number: int) -> None:
    """Whether the kernel can keep one more generation apart."""
    if number >= GENERATIONS_MAX or topic.partitions > PARTITIONS_MAX:
        raise TopicRefused(
            f'Topic "{topic.name}" has more generations, or partitions, than a job can go on with',
            remedy=restore_or_reset(),
        )
