"""A job's output into a local topic: each delivery is one append, numbered by its mark.

Invariants: an append and its mark are one durable frame; a number is appended once, however
often it is delivered; after a newer start has opened the output, older ones append nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from headrace.storage.contract import Claim, Mark, Refusal
from headrace.storage.topics.directory import locked
from headrace.storage.topics.disk import writing
from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.recovery import MadeAgain
from headrace.storage.ways import fill_anew
from headrace.values.errors import StateRefused, TopicRefused
from headrace.values.points import reach


class TopicWriter:
    """A destination for `output` of a job: rows of `key` and `value` (both binary, nullable).

    In the topic the job is the producer `job/output`; the producer `job/output/starts` counts
    incarnations.
    """

    def __init__(self, topic: LocalTopic, output: str) -> None:
        self.topic = topic
        topic.read_soon = False
        self.output = output
        self._job = ""
        self._incarnation = -1
        self._last: Mark | None = None

    def look(self, job: str) -> Claim | None:
        """Which start has opened the output, and the mark of the last append."""
        self._job = job
        started = self._started()
        return None if started < 0 else Claim(started, self._mark())

    def open(self, job: str, incarnation: int) -> Mark | None:
        """Fences older incarnations and returns the mark of the last append.

        Raises StateRefused when a newer incarnation has opened the output; errors as LocalTopic.
        """
        self._job, self._incarnation = job, incarnation
        with self._alone():
            started = self._started()
            if started > incarnation:
                raise self._fenced(started)
            if started < incarnation:
                nothing = pa.array([], pa.binary())
                self.topic.append(nothing, producer=self._starts, sequence=incarnation)
                reach("topic.fenced")
            self._last = self._mark()
        return self._last

    def deliver(self, rows: pa.Table, mark: Mark) -> int:
        """Appends `rows` with `mark` as the note; a mark that is there already adds nothing.

        Raises StateRefused when a newer incarnation took over or `mark` is another job's,
        DiskRefused when the file system refuses, TopicRefused when the topic is not what it was.
        """
        if mark.job != self._job:
            raise StateRefused(
                f'Topic "{self.topic.name}" was opened by "{self._job}", '
                f'the delivery is of "{mark.job}"'
            )
        count: int = rows.num_rows
        if mark.number <= self._number:
            return count
        with self._alone():
            self._check_present(mark)
            self.topic.append(
                rows.column("value"),
                rows.column("key"),
                producer=self._producer,
                sequence=mark.number,
                note=_note(mark, self._incarnation),
            )
        reach("topic.appended")
        self._last = mark
        return count

    def refusals(self, after: int) -> tuple[Refusal, ...]:
        """None: a topic takes every row."""
        return ()

    def close(self) -> None:
        """Nothing is held between deliveries."""

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Holds off other writers like this one between looking and appending."""
        place = self.topic.path / "writers"
        try:
            with writing(self.topic.path):
                place.mkdir(exist_ok=True)
                with locked(place):
                    yield
        except MadeAgain as error:
            raise TopicRefused(error.what, remedy=fill_anew()) from error

    @property
    def _producer(self) -> str:
        return f"{self._job}/{self.output}"

    @property
    def _starts(self) -> str:
        return f"{self._job}/{self.output}/starts"

    @property
    def _number(self) -> int:
        return -1 if self._last is None else self._last.number

    def _started(self) -> int:
        state = self.topic.producer(self._starts)
        return -1 if state is None else state.sequence

    def _mark(self) -> Mark | None:
        state = self.topic.producer(self._producer)
        if state is None:
            return None
        kept = {name: value for name, value in (state.note or {}).items() if name != "incarnation"}
        return Mark(self._job, **kept)

    def _check_present(self, mark: Mark) -> None:
        """Raises unless what the topic holds is what this writer left, or `mark` itself."""
        started = self._started()
        if started != self._incarnation:
            raise self._fenced(started)
        present = self._mark()
        number = -1 if present is None else present.number
        if number == mark.number and present is not None:
            if not mark.is_same_delivery(present):
                raise self._fenced(started)
        elif number != self._number:
            raise self._fenced(started)

    def _fenced(self, incarnation: int) -> StateRefused:
        other = (
            f"its start number {incarnation} (this one is number {self._incarnation})"
            if incarnation > self._incarnation
            else "another process with the same state"
        )
        return StateRefused(
            f'Topic "{self.topic.name}" was taken over: the job "{self._job}" runs elsewhere, '
            f"as {other}",
            remedy="Let one of them run only; this one delivers nothing more.",
        )


def _note(mark: Mark, incarnation: int) -> dict[str, Any]:
    # The producer is the job's.
    kept = {name: value for name, value in mark.to_data().items() if name != "job"}
    return kept | {"incarnation": incarnation}
