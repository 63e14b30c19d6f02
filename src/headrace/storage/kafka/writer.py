"""A job's output into a topic of Kafka: each delivery is one transaction with its mark.

Invariants: rows and their mark are committed together; a number is delivered once, however often
it is handed over; who owns the output is read before a transactional id is taken and again after
it, so that whoever has no right to it neither delivers nor stops the one that has.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import TypeVar

import pyarrow as pa

from headrace.storage.contract import Claim, Mark, Refusal, Target
from headrace.storage.kafka.cluster import About, Cluster
from headrace.storage.kafka.compacted import Compacted
from headrace.storage.kafka.limits import Limits
from headrace.storage.kafka.marks import Entry, Owner, entry_key, refusal_key, refusals_in
from headrace.storage.kafka.problems import RowsRefused, made_again
from headrace.storage.kafka.transactions import Interrupted, Sending, Transactions, pause
from headrace.storage.partitions import other_partitions
from headrace.storage.topics.rows import one_batch, rows_of
from headrace.storage.ways import WHAT_ANSWERS
from headrace.values.errors import StateRefused, Unreachable
from headrace.values.points import reach

T = TypeVar("T")
_TRIES = 5
_LOOK_SECONDS = 1.0


class KafkaWriter:
    """A destination for `target`: rows of `key` and `value` (both binary, nullable).

    A start that has opened the output once must come with a greater incarnation to open it again.
    """

    def __init__(self, cluster: Cluster, marks: Compacted, target: Target) -> None:
        self._cluster = cluster
        self._marks = marks
        self._target = target
        self._transactions = Transactions(cluster, f"headrace/{target.job}/{target.name}")
        self._token = uuid.uuid4().hex
        self._job = ""
        self._incarnation = -1
        self._topic = ""
        self._limits: Limits | None = None
        self._last: Mark | None = None
        # What was refused here and readers of the marks may not be shown yet.
        self._unseen: list[Refusal] = []

    def look(self, job: str) -> Claim | None:
        """Who owns the output, and the mark of the last delivery; takes nothing from the owner.

        Raises TopicRefused when the topic is missing or has other partitions, Unreachable.
        """
        self._job, self._topic = job, ""
        self._topic = self._about().identity
        entry = self._entry(settled=False)
        return None if entry is None else Claim(entry.owner.incarnation, self._mark_of(entry))

    def open(self, job: str, incarnation: int) -> Mark | None:
        """Fences older incarnations and returns the mark of the last delivery.

        Raises StateRefused when another start owns the output, TopicRefused when the topic is
        missing or has other partitions, Unreachable when the cluster does not answer.
        """
        self._job, self._incarnation, self._topic = job, incarnation, ""
        self._topic = self._about().identity
        self._look_at_limits()
        self._marks.ensure()
        self._check_owner(self._entry(settled=False))
        self._last = self._repeated(self._claim)
        return self._last

    def deliver(self, rows: pa.Table, mark: Mark) -> int:
        """Commits `rows` with `mark`, but for those that the topic does not take.

        A mark that is there already adds nothing; returns how many rows are there with it.

        Raises StateRefused when another start took over, `mark` is another job's, or the marks
        went back; RowsRefused where nobody may see what the topic takes; Unreachable when it may
        be tried again: then it is looked first what is there.
        """
        if mark.job != self._job:
            raise StateRefused(
                f'Topic "{self._target.name}" was opened by "{self._job}", '
                f'the delivery is of "{mark.job}"'
            )
        if self._last is not None and mark.number <= self._last.number:
            return self._landed(rows, mark)
        try:
            landed = self._within_limits(rows, mark)
        except Unreachable:
            self._transactions.close()
            # A topic that is gone does not answer either.
            with suppress(Unreachable):
                self._about(_LOOK_SECONDS)
            raise
        except StateRefused:
            # Who was refused must not find itself ready the next time.
            self._transactions.close()
            raise
        self._last = mark
        return landed

    def refusals(self, after: int) -> tuple[Refusal, ...]:
        """The rows refused with marks whose number is greater than `after`."""
        # A commit is answered before its end is written to all partitions that it is about.
        entries = self._marks.entries()
        content = entries.get(self._key)
        seen = -1 if content is None else Entry.decoded(content).number
        self._unseen = [r for r in self._unseen if r.number > seen]
        found = refusals_in(entries, self._job, self._target.name, after)
        return found + tuple(r for r in self._unseen if r.number > after)

    def close(self) -> None:
        """Ends the connection."""
        self._transactions.close()

    def _claim(self) -> Mark | None:
        """Takes the output for this start; the mark that is there."""
        self._transactions.begin_anew()
        entry = self._entry(settled=True)
        self._check_owner(entry)
        last = self._mark_of(entry)
        self._transactions.run(lambda sending: self._send_mark(sending, last), self._doing)
        reach("kafka.claimed")
        return last

    def _look_at_limits(self) -> Limits:
        """Looks at what the topic takes now."""
        self._limits = Limits.of_topic(self._cluster, self._target.name)
        self._transactions.settings = self._limits.batch
        return self._limits

    def _within_limits(self, rows: pa.Table, mark: Mark) -> int:
        """Delivers the rows that the topic takes now; how many those are.

        It is looked at again before a row is refused for good, and where the topic refuses what
        it took before.
        """
        limits = self._limits or self._look_at_limits()
        if limits.refused(rows).any():
            limits = self._look_at_limits()
        try:
            return self._repeated(lambda: self._delivered(rows, mark, limits))
        except RowsRefused:
            before, limits = limits, self._look_at_limits()
            if limits == before:
                raise
        return self._repeated(lambda: self._delivered(rows, mark, limits))

    def _delivered(self, rows: pa.Table, mark: Mark, limits: Limits) -> int:
        if not self._transactions.ready:
            self._check_owner(self._entry(settled=False))
            self._transactions.begin_anew()
            entry = self._entry(settled=True)
            self._check_owner(entry)
            self._check_present(entry, mark)
            if entry is not None and entry.number == mark.number:
                return self._landed(rows, mark)
        without, refused = limits.refused(rows), list[Refusal]()
        if without.any():
            refused = limits.refusals(rows.filter(pa.array(without)), mark.number)
            rows = rows.filter(pa.array(~without))
        self._about()
        placed = rows_of(
            rows.column("value"),
            rows.column("key"),
            None,
            None,
            partitions=self._target.partitions,
        )
        table, counts = placed.grouped(mark.number, self._target.partitions)
        batch = one_batch(table)

        def send(sending: Sending) -> None:
            sending.rows(self._target.name, batch, counts.tolist())
            sending.finish()
            # What was sent must have gone into the topic that the mark speaks of.
            self._about()
            reach("kafka.produced")
            for row, refusal in enumerate(refused):
                key = refusal_key(self._job, self._target.name, mark.number, row)
                sending.record(self._marks.name, key, json.dumps(asdict(refusal)).encode())
            self._send_mark(sending, mark)
            sending.finish()
            reach("kafka.marked")

        self._transactions.run(send, self._doing)
        reach("kafka.committed")
        self._unseen += refused
        return int(rows.num_rows)

    def _landed(self, rows: pa.Table, mark: Mark) -> int:
        """How many of `rows` are there with `mark`, which is there."""
        refused = [r for r in self.refusals(mark.number - 1) if r.number == mark.number]
        return int(rows.num_rows) - len(refused)

    def _repeated(self, attempt: Callable[[], T]) -> T:
        """`attempt`, again where it was interrupted: it looks at what is there first."""
        words = ""
        for attempt_number in range(_TRIES):
            try:
                return attempt()
            except Interrupted as error:
                words = str(error)
                pause(attempt_number)
        raise Unreachable(
            f"{self._doing} was interrupted {_TRIES} times: {words}", remedy=WHAT_ANSWERS
        )

    def _send_mark(self, sending: Sending, mark: Mark | None) -> None:
        entry = Entry(self._owner, self._topic, mark)
        sending.record(self._marks.name, self._key, entry.encoded())

    def _entry(self, *, settled: bool) -> Entry | None:
        content = self._marks.entries(settled=settled).get(self._key)
        return None if content is None else Entry.decoded(content)

    def _mark_of(self, entry: Entry | None) -> Mark | None:
        """The mark, if it speaks of the topic that is there now: one made again has nothing."""
        return entry.mark if entry is not None and entry.topic == self._topic else None

    def _about(self, timeout_seconds: float | None = None) -> About:
        """The topic as it is now; TopicRefused when it is not as the job knows it."""
        about = self._cluster.about(self._target.name, timeout_seconds)
        if self._topic and about.identity != self._topic:
            raise made_again(about.name, self._cluster.address.shown, "output")
        if about.partitions != self._target.partitions:
            raise other_partitions(about.name, about.partitions, self._target.partitions)
        return about

    def _check_owner(self, entry: Entry | None) -> None:
        """StateRefused when `entry` is of a start that this one may not follow."""
        if entry is None:
            return
        owner, mine = entry.owner, self._incarnation
        if owner.incarnation < mine or owner == self._owner:
            return
        other = (
            f"its start number {owner.incarnation} (this one is number {mine})"
            if owner.incarnation > mine
            else f"with other data and the same start number {mine}"
        )
        raise StateRefused(
            f'Topic "{self._target.name}" belongs to another process: the job "{self._job}" runs '
            f"elsewhere, as {other}",
            remedy="Let one of them run only, with the data directory that has the job's state; "
            "this one delivers nothing.",
        )

    def _check_present(self, entry: Entry | None, mark: Mark) -> None:
        """StateRefused unless what is there is what this writer left, or `mark` itself."""
        left = -1 if self._last is None else self._last.number
        if entry is not None and entry.owner == self._owner and entry.number in (left, mark.number):
            return
        raise StateRefused(
            f'The marks of topic "{self._target.name}" are not what this job left: they were '
            "deleted, or the cluster was restored from an older copy",
            remedy="Go on with what the topic has: headrace state reset APP",
        )

    @property
    def _owner(self) -> Owner:
        return Owner(self._incarnation, self._token)

    @property
    def _key(self) -> bytes:
        return entry_key(self._job, self._target.name)

    @property
    def _doing(self) -> str:
        return f'delivering to topic "{self._target.name}"'
