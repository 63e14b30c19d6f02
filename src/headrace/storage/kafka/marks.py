"""What an output of a job has delivered, and who may deliver on: entries of a compacted topic."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from headrace.storage.contract import Mark, Refusal

TOPIC = "headrace-marks"


@dataclass(frozen=True)
class Owner:
    """A start of a job: `incarnation` grows with each, `token` is of one opening alone."""

    incarnation: int
    token: str


@dataclass(frozen=True)
class Entry:
    """The owner of an output, and its last mark (None: nothing delivered).

    `topic` is the identity of the topic that the mark speaks of.
    """

    owner: Owner
    topic: str
    mark: Mark | None

    @property
    def number(self) -> int:
        """The number of the mark; -1 where nothing was delivered."""
        return -1 if self.mark is None else self.mark.number

    def encoded(self) -> bytes:
        mark = None if self.mark is None else self.mark.to_data()
        return json.dumps({"owner": asdict(self.owner), "topic": self.topic, "mark": mark}).encode()

    @classmethod
    def decoded(cls, content: bytes) -> Entry:
        entry = json.loads(content)
        mark = None if entry["mark"] is None else Mark(**entry["mark"])
        return cls(Owner(**entry["owner"]), entry["topic"], mark)


def entry_key(job: str, output: str) -> bytes:
    """The key of the entry of an output."""
    return json.dumps(["mark", job, output]).encode()


def refusal_key(job: str, output: str, number: int, row: int) -> bytes:
    """The key of row `row` refused with the mark `number`."""
    return json.dumps(["refused", job, output, number, row]).encode()


def jobs_into(entries: dict[bytes, bytes], output: str, topic: str) -> list[str]:
    """The jobs that have opened `output` for writing; `topic` is the identity it has now."""
    found = []
    for key, value in entries.items():
        kind, job, name, *_ = json.loads(key)
        if kind == "mark" and name == output and Entry.decoded(value).topic == topic:
            found.append(job)
    return sorted(found)


def refusals_in(
    entries: dict[bytes, bytes], job: str, output: str, after: int
) -> tuple[Refusal, ...]:
    """The refused rows of an output with marks above `after`, in their order."""
    found = []
    for key, value in entries.items():
        kind, *rest = json.loads(key)
        if kind == "refused" and rest[:2] == [job, output] and rest[2] > after:
            found.append((rest[2], rest[3], Refusal(**json.loads(value))))
    return tuple(refusal for *_, refusal in sorted(found, key=lambda f: f[:2]))
