"""Which file this is, and what of it stands in the topic already.

A file is known by its content: its size and the XXH3-128 of its raw bytes. With each batch its
producer leaves a note in the topic, so that an ingest that was killed goes on where it ended, a
copy is recognised, and of a file that grew under its path only the new part is read.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import xxhash

from headrace.ops.ingest.lines import Place
from headrace.ops.ingest.streams import BLOCK_BYTES
from headrace.ops.ingest.writers import lives, present
from headrace.storage.topics.producers import ProducerState

_KIND = "ingest"
# Sizes that a growing file had before: as many are remembered, to recognise older copies of it.
_EARLIER_MAX = 16


@dataclass(frozen=True)
class Content:
    """The raw bytes of a file: how many, and their XXH3-128 in hex."""

    bytes: int
    digest: str


@dataclass(frozen=True)
class Rows:
    """How far a CSV file was taken, which is always read from its first row.

    `retaken` rows stand twice: first as they were half written, then whole. `last` is the digest of
    the cells of the last row.
    """

    retaken: int = 0
    last: str | None = None


@dataclass(frozen=True)
class Note:
    """What a producer leaves in the topic with each batch.

    `input` is the file's path ("-": standard input), `options` stand for how it is read, `again`
    counts the deliberate repetitions. `content` is the file as it was when this ingest began, for
    standard input what was read so far; `earlier` are shorter states of a file that grew. `place`
    is how far lines were taken, `rows` how far a CSV file was. `writer` is the process that reads
    standard input.
    """

    input: str
    options: str
    again: int
    content: Content
    place: Place = Place()
    complete: bool = False
    earlier: tuple[Content, ...] = ()
    rows: Rows = Rows()
    writer: str = ""

    @property
    def writer_lives(self) -> bool:
        """Whether that process is known to be there still."""
        return lives(self.writer)

    def to_json(self) -> dict[str, Any]:
        return {"kind": _KIND, **asdict(self)}

    @classmethod
    def from_json(cls, note: Mapping[str, Any] | None) -> Note | None:
        """The note of an ingest; None if it is something else's."""
        if note is None or note.get("kind") != _KIND:
            return None
        return cls(
            note["input"],
            note["options"],
            note["again"],
            Content(**note["content"]),
            Place(**note["place"]),
            note["complete"],
            tuple(Content(**content) for content in note["earlier"]),
            # Notes of before have none.
            Rows(**note.get("rows", {})),
            note.get("writer", ""),
        )


@dataclass(frozen=True)
class Task:
    """What is left to do for an input: the producer, its number of records so far, its note.

    `known` says what the topic had of it: nothing, a part, an earlier state that has grown since,
    or all. `blocks` are the digests of a file's blocks, by which it is read (`file_blocks`).
    """

    producer: str
    records: int
    note: Note
    known: Literal["nothing", "part", "grown", "all"]
    blocks: tuple[bytes, ...] = ()


Known = dict[str, tuple[int, Note]]


def known_inputs(producers: Mapping[str, ProducerState], options: str) -> Known:
    """The inputs that were read with these options: by producer, records and note."""
    found = {}
    for producer, state in producers.items():
        note = Note.from_json(state.note)
        if note is not None and note.options == options:
            found[producer] = state.sequence + 1, note
    return found


def options_digest(*options: object) -> str:
    """A short text that is the same for the same way of reading."""
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:16]


def contents(
    file: BinaryIO, sizes: Collection[int]
) -> tuple[dict[int, Content], tuple[bytes, ...]]:
    """The content of `file`, and of its first so many bytes for each of `sizes`, by size.

    The whole is the greatest; sizes beyond the end are left out. With them the XXH3-64 of each
    block of BLOCK_BYTES, the last one as long as it is.
    """
    hasher, block_hasher, done = xxhash.xxh3_128(), xxhash.xxh3_64(), 0
    found: dict[int, Content] = {}
    blocks: list[bytes] = []
    wanted = sorted({size for size in sizes if size >= 0})
    file.seek(0)
    while True:
        block_end = done - done % BLOCK_BYTES + BLOCK_BYTES
        following = next((size for size in wanted if done < size < block_end), block_end)
        part = file.read(following - done)
        hasher.update(part)
        block_hasher.update(part)
        done += len(part)
        if part and done == block_end or not part and done % BLOCK_BYTES:
            blocks.append(block_hasher.digest())
            block_hasher.reset()
        if not part or done in wanted:
            found[done] = Content(done, hasher.hexdigest())
        if not part:
            return found, tuple(blocks)


def task_for(path: Path, file: BinaryIO, options: str, known: Known, *, again: bool) -> Task:
    """What is left to do for the file at `path`."""
    here = str(path.resolve())
    before = {p: (n, note) for p, (n, note) in known.items() if note.input == here}
    found, blocks = contents(file, [note.content.bytes for _, note in before.values()])
    task = _known_or_new(here, found, options, known, before, again=again)
    return replace(task, blocks=blocks)


def _known_or_new(
    here: str, found: dict[int, Content], options: str, known: Known, before: Known, *, again: bool
) -> Task:
    """The task of the file at `here` with the contents `found`; of `known`, `before` were there."""
    whole = found[max(found)]
    same = [
        (note.again, producer)
        for producer, (_, note) in known.items()
        if whole == note.content or whole in note.earlier
    ]
    if same:
        count, producer = max(same)
        records, note = known[producer]
        if not note.complete and note.content == whole:
            return Task(producer, records, note, "part")
        if not again:
            return Task(producer, records, note, "all")
        return _new(here, options, whole, count + 1)
    grown = [
        (note.content.bytes, note.again, producer)
        for producer, (_, note) in before.items()
        if found.get(note.content.bytes) == note.content
    ]
    if not grown or again:
        return _new(here, options, whole, 0)
    producer = max(grown)[2]
    records, note = known[producer]
    earlier = (*note.earlier, note.content)[-_EARLIER_MAX:]
    note = replace(note, content=whole, complete=False, earlier=earlier)
    return Task(producer, records, note, "grown")


def task_for_pipe(options: str) -> Task:
    """What is to do for standard input that is not a piece of one seen before."""
    content = Content(0, "")
    task = _new("-", options, content, 0, unique=uuid.uuid4().hex)
    return replace(task, note=replace(task.note, writer=present()))


def _new(
    input_: str, options: str, content: Content, again: int, unique: str | None = None
) -> Task:
    identity = json.dumps([content.digest, content.bytes, options, again, unique])
    producer = f"ingest-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"
    return Task(producer, 0, Note(input_, options, again, content), "nothing")
