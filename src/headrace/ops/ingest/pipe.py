"""Standard input that was piped in before: an ingest that was killed goes on where it ended.

A pipe has no name and cannot be read twice, so only its content can tell. If an ingest from a
pipe was left unfinished, the new input is compared with what was read then, kept aside meanwhile,
and goes on behind it if it is the same. A finished one is never compared: it is new input.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import xxhash

from headrace.ops.ingest.identity import Content, Known, Note, Task, task_for_pipe
from headrace.ops.ingest.streams import BLOCK_BYTES, Torn

# Input that differs is mostly told apart by its first bytes, and need not wait for more.
FIRST_BYTES = 4096
_MEMORY_BYTES = 32 << 20


@dataclass(frozen=True)
class Piped:
    """What is left to do, the blocks left to read, and the hash of what came before them.

    `beginning` are the blocks before them, to be read first; None if there are none.
    """

    task: Task
    blocks: Iterator[bytes]
    hasher: xxhash.xxh3_128
    beginning: Iterator[bytes] | None = None


def piped(blocks: Iterator[bytes], options: str, known: Known, *, again: bool) -> Piped:
    """Recognises what comes from standard input; reads as far as it takes to know."""
    unfinished = [
        (records, producer)
        for producer, (records, note) in known.items()
        if note.input == "-" and not note.complete and note.content.bytes
    ]
    if again or not unfinished:
        return Piped(task_for_pipe(options), blocks, xxhash.xxh3_128())
    records, producer = max(unfinished)
    note = known[producer][1]
    # Closed when its last byte was read again, or with the process.
    kept: IO[bytes] = tempfile.SpooledTemporaryFile(_MEMORY_BYTES)  # noqa: SIM115
    hasher, torn = xxhash.xxh3_128(), None
    try:
        same = _same(blocks, kept, note, hasher)
    except Torn as reason:
        same, torn = False, reason
    kept.seek(note.content.bytes if same else 0)
    rest = _kept_then(kept, torn, blocks)
    if same:
        beginning = _first(kept, note.content.bytes)
        return Piped(Task(producer, records, note, "part"), rest, hasher, beginning)
    return Piped(task_for_pipe(options), rest, xxhash.xxh3_128())


def _same(blocks: Iterator[bytes], kept: IO[bytes], note: Note, hasher: xxhash.xxh3_128) -> bool:
    """Whether `blocks` begin as `note` says; `kept` gets all that was read, `hasher` that much."""
    states = sorted((*note.earlier, note.content), key=_size)
    done = 0
    for block in blocks:
        kept.write(block)
        while states and done + len(block) >= states[0].bytes:
            part = block[: states[0].bytes - done]
            hasher.update(part)
            block, done = block[len(part) :], done + len(part)
            if hasher.hexdigest() != states.pop(0).digest:
                return False
        if not states:
            return True
        hasher.update(block)
        done += len(block)
    return False


def _size(content: Content) -> int:
    return content.bytes


def _first(kept: IO[bytes], count: int) -> Iterator[bytes]:
    """The first `count` bytes of `kept`, which stays at its place."""
    for start in range(0, count, BLOCK_BYTES):
        place = kept.tell()
        kept.seek(start)
        block = kept.read(min(BLOCK_BYTES, count - start))
        kept.seek(place)
        yield block


def _kept_then(kept: IO[bytes], torn: Torn | None, blocks: Iterator[bytes]) -> Iterator[bytes]:
    while block := kept.read(BLOCK_BYTES):
        yield block
    kept.close()
    if torn is not None:
        raise torn
    yield from blocks
