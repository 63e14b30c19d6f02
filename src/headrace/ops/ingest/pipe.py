"""Standard input that was piped in before: an ingest that was killed goes on where it ended.

A pipe has no name and cannot be read twice, so only its content can tell. If ingests from pipes
were left unfinished, the new input is compared with what was read then, kept aside meanwhile, and
goes on behind the longest that it begins with. A finished one is never compared: it is new input.
Neither is one that a process of this machine is still reading.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import IO

import xxhash

from headrace.ops.ingest.identity import Known, Note, Task, task_for_pipe
from headrace.ops.ingest.streams import BLOCK_BYTES, Torn
from headrace.ops.ingest.writers import present

# Input that differs is mostly told apart by its first bytes, and need not wait for more.
FIRST_BYTES = (32, 256, 4096)
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
    unfinished = {
        producer: note
        for producer, (_, note) in known.items()
        if note.input == "-" and not note.complete and note.content.bytes and not note.writer_lives
    }
    if again or not unfinished:
        return Piped(task_for_pipe(options), blocks, xxhash.xxh3_128())
    # Closed when its last byte was read again, or with the process.
    kept: IO[bytes] = tempfile.SpooledTemporaryFile(_MEMORY_BYTES)  # noqa: SIM115
    compared, torn = _Compared(unfinished), None
    try:
        compared.read(blocks, kept)
    except Torn as reason:
        torn = reason
    if compared.longest is None:
        kept.seek(0)
        return Piped(task_for_pipe(options), _kept_then(kept, torn, blocks), xxhash.xxh3_128())
    producer, hasher = compared.longest
    records, note = known[producer]
    note = replace(note, writer=present())
    kept.seek(note.content.bytes)
    beginning = _first(kept, note.content.bytes)
    rest = _kept_then(kept, torn, blocks)
    return Piped(Task(producer, records, note, "part"), rest, hasher, beginning)


class _Compared:
    """The unfinished ingests by producer, of which one may be what comes.

    `longest` is the one with the most bytes that the input begins with, and the hash of them.
    """

    def __init__(self, unfinished: Mapping[str, Note]) -> None:
        self.longest: tuple[str, xxhash.xxh3_128] | None = None
        self._last = {producer: note.content for producer, note in unfinished.items()}
        self._states = sorted(
            (content.bytes, content.digest, producer)
            for producer, note in unfinished.items()
            for content in {*note.earlier, note.content}
        )

    def read(self, blocks: Iterator[bytes], kept: IO[bytes]) -> None:
        """Reads until none of them is left that the input may be; `kept` gets all of it."""
        hasher, done = xxhash.xxh3_128(), 0
        for block in blocks:
            kept.write(block)
            while self._states and done + len(block) >= self._states[0][0]:
                part = block[: self._states[0][0] - done]
                hasher.update(part)
                block, done = block[len(part) :], done + len(part)
                self._reached(done, hasher)
            if not self._states:
                return
            hasher.update(block)
            done += len(block)

    def _reached(self, count: int, hasher: xxhash.xxh3_128) -> None:
        """So many bytes were read: who had others then is out."""
        here = [state for state in self._states if state[0] == count]
        out = {producer for _, digest, producer in here if digest != hasher.hexdigest()}
        for _, _, producer in here:
            if producer not in out and self._last[producer].bytes == count:
                self.longest = producer, hasher.copy()
        self._states = [state for state in self._states if state[0] > count and state[2] not in out]


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
