"""Putting files and standard input into a topic: every line and row once, whatever is killed."""

from __future__ import annotations

import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path

import pyarrow as pa
import xxhash

from headrace.ops.ingest.ahead import ahead
from headrace.ops.ingest.fitting import FirstRecords
from headrace.ops.ingest.formats import Input, Part, Reading, format_of
from headrace.ops.ingest.identity import (
    Content,
    Known,
    Note,
    Task,
    known_inputs,
    options_digest,
    task_for,
    task_for_pipe,
)
from headrace.ops.ingest.keys import KeyReader
from headrace.ops.ingest.lines import Place
from headrace.ops.ingest.pipe import FIRST_BYTES, piped
from headrace.ops.ingest.report import FileReport, Format, IngestRefused, IngestReport
from headrace.ops.ingest.rows import missing
from headrace.ops.ingest.streams import (
    STDIN,
    Torn,
    file_blocks,
    open_input,
    pipe_blocks,
    unchanged,
)
from headrace.storage.contract import Log
from headrace.values.errors import InputRefused, UsageError
from headrace.values.memory import keep_freed_memory
from headrace.values.stages import Stages

# Told as an input is read: its name, raw bytes so far, raw bytes in all (None: a pipe).
Progress = Callable[[str, float, float | None], None]

# What its two threads are called where it says where the time went.
_READ, _APPEND = "read", "append"


def ingest(
    topic: Log,
    inputs: Sequence[Path],
    *,
    key: str | None,
    reading: Reading | None = None,
    again: bool = False,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Appends every line or row of `inputs` (`-`: standard input) as a record, durably.

    `key` is the path of the topic's key in a record. What is in the topic already is not added
    once more, unless `again`. Raises UsageError for options that mean nothing, or nothing for one
    of the inputs (of which nothing is added), IngestRefused for inputs that cannot be read to their
    end, when all others were taken.
    """
    begun = time.monotonic()
    keep_freed_memory()
    if not inputs:
        raise UsageError("There is nothing to ingest", remedy="Name files, or - for standard input")
    for path in inputs:
        # Opening a pipe and closing it again would end whoever writes to it.
        if str(path) != STDIN and not path.is_fifo():
            open_input(path).close()
    ingesting = _Ingesting(
        topic, key, reading or Reading(), again, stop or threading.Event(), progress
    )
    files = []
    for path in inputs:
        if ingesting.stop.is_set():
            break
        try:
            files.append(ingesting.take(path))
        except UsageError as error:
            taken = f" ({len(files)} before it were taken, those behind it not)" if files else ""
            raise UsageError(f"{path}: {error.what}{taken}", remedy=error.remedy) from None
    report = IngestReport(
        topic.name,
        tuple(files),
        time.monotonic() - begun,
        ingesting.stop.is_set(),
        tuple(ingesting.stages.times()),
    )
    if any(file.refused for file in files):
        raise IngestRefused(
            report,
            remedy="Mend the file and run the same command again: only what is missing is added.",
        )
    return report


@dataclass(frozen=True)
class _Ingesting:
    """One run over its inputs."""

    topic: Log
    key: str | None
    reading: Reading
    again: bool
    stop: threading.Event
    progress: Progress | None
    stages: Stages = field(default_factory=Stages)

    def take(self, path: Path) -> FileReport:
        """Takes one input to its end, or as far as it can be read."""
        if str(path) == STDIN:
            descriptor = sys.stdin.fileno()
            if (redirected := _redirected(descriptor)) is not None:
                return self._take_file(redirected)
            return self._take_pipe("standard input", descriptor)
        if path.is_file():
            return self._take_file(path)
        with open_input(path) as file:
            return self._take_pipe(str(path), file.fileno())

    def _take_file(self, path: Path) -> FileReport:
        name = str(path)
        format_ = format_of(name, self.reading.format)
        with open_input(path) as file:
            was = os.fstat(file.fileno())
            with self.stages.spent(_APPEND, "know it again"):
                task = task_for(path, file, *self._known(format_), again=self.again)
            size = task.note.content.bytes
            if task.known == "all":
                place = task.note.place
                return FileReport(name, format_, 0, task.records, place.empty, size, "all")
            source = Input(name, format_, self.reading)
            blocks_from = partial(file_blocks, file, size, task.blocks)
            seen = self._seen(name, size)
            if format_ == "parquet":
                every = unchanged(source.parquet(file), name, file, was)
                parts = missing(every, task.records, task.note.rows)
            elif format_ == "csv":
                every = source.csv(blocks_from(0, seen))
                parts = missing(every, task.records, task.note.rows)
            else:
                blocks, place = _behind(partial(blocks_from, seen=seen), task.note.place)
                parts = source.lines(blocks, place, beginning=blocks_from(0, lambda _: None))
            return self._append(source, task, parts)

    def _take_pipe(self, name: str, descriptor: int) -> FileReport:
        format_ = format_of(name, self.reading.format)
        if format_ == "parquet":
            raise UsageError(
                "Parquet is read from its end, so it cannot come through a pipe",
                remedy="Write it to a file and name that.",
            )
        source = Input(name, format_, self.reading)
        options, known = self._known(format_)
        blocks = pipe_blocks(descriptor, self.stop, self._seen(name, None))
        if format_ == "csv":
            rows = _Beginning(blocks)
            return self._append(source, task_for_pipe(options), source.csv(iter(rows)), rows)
        came = piped(blocks, options, known, again=self.again)
        beginning = _Beginning(came.blocks)
        parts = source.lines(iter(beginning), came.task.note.place, came.hasher, came.beginning)
        return self._append(source, came.task, parts, beginning)

    def _known(self, format_: Format) -> tuple[str, Known]:
        expressions = {field: sql.strip() for field, sql in self.reading.expressions.items()}
        options = options_digest(format_, expressions)
        return options, known_inputs(self.topic.producers(), options)

    def _seen(self, name: str, total: int | None) -> Callable[[int], None]:
        def seen(done: int) -> None:
            if self.progress is not None:
                self.progress(name, done, total)

        return seen

    def _append(
        self, source: Input, task: Task, parts: Iterator[Part], pipe: _Beginning | None = None
    ) -> FileReport:
        """Appends what is missing of `parts`, and notes how far the input was taken."""
        note, added, unmapped, refused = task.note, 0, 0, None
        first = FirstRecords(
            self.reading.source, source.format, mapped=bool(self.reading.expressions)
        )
        number = task.records
        try:
            unwanted = None if pipe is None else pipe.unwanted
            with closing(ahead(self._keyed(parts), unwanted=unwanted)) as keyed:
                for part, keys in self.stages.each(keyed, _APPEND, "wait for records"):
                    note = _noted(note, part, pipe)
                    first.look(part.values)
                    unmapped += part.unmapped
                    if len(part.values):
                        with self.stages.spent(_APPEND, "append"):
                            new = self.topic.append_numbered(
                                part.values,
                                keys,
                                producer=task.producer,
                                first_sequence=number,
                                note=note.to_json(),
                            ).rows
                        added += new
                        if pipe is not None and new < len(part.values):
                            raise InputRefused(_overtaken(source.name, new, len(part.values)))
                    number += len(part.values)
                    # What was read from a pipe cannot be read again: it ends by itself.
                    if self.stop.is_set() and pipe is None:
                        break
            if source.torn is not None:
                refused = f"{source.name} is torn behind {_where(note, number)}: {source.torn}"
        except InputRefused as error:
            refused = error.what
        # What a pipe gave until it was stopped is all of it; a file stopped half-way is not.
        if refused is None and (pipe is not None or not self.stop.is_set()):
            none = pa.array([], pa.binary())
            done = replace(note, complete=True).to_json()
            with self.stages.spent(_APPEND, "append"):
                self.topic.append_numbered(
                    none, producer=task.producer, first_sequence=number, note=done
                )
        return FileReport(
            input=source.name,
            format=source.format,
            added=added,
            already_there=number - added,
            empty=note.place.empty,
            bytes=note.content.bytes,
            known=task.known,
            refused=refused,
            none_fits=first.none_fits(),
            unmapped=unmapped,
        )

    def _keyed(self, parts: Iterator[Part]) -> Iterator[tuple[Part, pa.Array | None]]:
        reader = None if self.key is None else KeyReader(self.key)
        for part in self.stages.each(parts, _READ, "records"):
            if reader is None:
                yield part, None
                continue
            with self.stages.spent(_READ, "keys"):
                keys = reader(part.values)
            yield part, keys


class _Beginning:
    """Blocks as they pass, and the first bytes of them. They end once they are `unwanted`.

    Else an error of the topic would be told only when the pipe gives something again.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.unwanted = threading.Event()
        self._blocks = blocks
        self._first = b""

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            if self.unwanted.is_set():
                return
            if len(self._first) < FIRST_BYTES[-1]:
                self._first += block[: FIRST_BYTES[-1] - len(self._first)]
            yield block

    def contents(self, bytes_max: int) -> tuple[Content, ...]:
        """The contents of some first bytes, at most so many."""
        firsts = (self._first[:count] for count in FIRST_BYTES if count <= bytes_max)
        return tuple(Content(len(first), xxhash.xxh3_128_hexdigest(first)) for first in firsts)


def _redirected(descriptor: int) -> Path | None:
    """The file that standard input comes from: that has an identity, and may be read twice.

    None for a pipe, and for a file that has no name any more, as a here-document may have.
    """
    found = os.fstat(descriptor)
    path = Path("/dev/stdin").resolve()
    if stat.S_ISREG(found.st_mode) and path.exists() and os.path.samestat(path.stat(), found):
        return path
    return None


def _behind(
    blocks_from: Callable[[int], Iterator[bytes]], place: Place
) -> tuple[Iterator[bytes], Place]:
    """The blocks of a file behind `place`, and where they begin.

    A last line that had no end when it was taken may have one now, or may have grown: then all of
    it is taken once more, as the record that it has become.
    """
    blocks = blocks_from(place.bytes)
    if not place.last_line_bytes:
        return blocks, place
    try:
        first = next(blocks, b"")
    except Torn as reason:
        return _torn(reason), place
    if not first:
        return iter(()), place
    for end in (b"\n", b"\r\n"):
        if first.startswith(end):
            behind = replace(place, bytes=place.bytes + len(end), last_line_bytes=0)
            return chain((first[len(end) :],), blocks), behind
    start = Place(place.bytes - place.last_line_bytes, place.lines - 1, place.empty)
    return blocks_from(start.bytes), start


def _torn(reason: Torn) -> Iterator[bytes]:
    """Blocks of which not one can be read."""
    raise reason
    yield b""


def _noted(note: Note, part: Part, pipe: _Beginning | None) -> Note:
    """`note` as it is behind `part`."""
    if part.rows is not None:
        note = replace(note, rows=part.rows)
    if part.place is None:
        return note
    note = replace(note, place=part.place)
    if pipe is None or part.digest is None:
        return note
    earlier = note.earlier or pipe.contents(part.place.bytes)
    return replace(note, content=Content(part.place.bytes, part.digest), earlier=earlier)


def _overtaken(name: str, new: int, count: int) -> str:
    return (
        f"{name} was gone on with by another ingest at the same time: of its last {count:,} "
        f"records {count - new:,} may be missing"
    )


def _where(note: Note, records: int) -> str:
    if note.place.lines:
        return f"line {note.place.lines:,}"
    return f"row {records - note.rows.retaken:,}"
