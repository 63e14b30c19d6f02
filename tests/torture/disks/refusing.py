"""Disks that refuse: each call that opens, writes, syncs, closes, renames and so on may fail.

Once or from then on; of commands that write a log, run a job, and compute again what is there. They
say in words what was refused and end with exit code 5 or 4, or go on by themselves; and when the
disk takes again what it is given, the end is that of commands that nobody disturbed.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from headrace.storage.topics.log import LocalTopic
from tests.storage.topics.model import read_all
from tests.torture.disks.calls import KINDS, Refusal, counted, counting
from tests.torture.disks.words import says_why
from tests.torture.kills.again import Again
from tests.torture.kills.left import Left, check_same, left
from tests.torture.kills.place import Place, restored

RUN = ("run", "APP", "--until", "caught-up")
_RECORDS, _MORE = 1500, 200
_SETTINGS = {"epoch_records_max": 300, "lake_interval_seconds": 0}
_EXITS = (0, 4, 5)


@dataclass
class Refused:
    """A place whose disk refuses, and one whose disk does not; `calls` counts those of that one."""

    place: Place
    undisturbed: Place
    calls: dict[str, Mapping[str, int]] = field(default_factory=dict)

    def fill(self, times: int) -> None:
        """A log is written; from here on both have that one."""
        with self._counted("refused fills"):
            command = self.undisturbed.fill(_RECORDS, killed=False)
        self._fill(command, times)
        restored(self.place.data, self.undisturbed.data)

    def follow(self) -> Left:
        """What the undisturbed run leaves."""
        with self._counted("refused runs"):
            self.undisturbed.run(*RUN, **_SETTINGS)
        return left(self.undisturbed.subject.app, self.undisturbed.data)

    def run(self, times: int, wanted: Left) -> None:
        """The job is run."""
        aside = self.place.copy(self.place.data.with_name("aside"))
        for _ in range(times):
            if self.refuse("refused runs", *RUN, **_SETTINGS) == 0:
                # It has gone on by itself to the end; what follows needs something to do.
                self._check(wanted)
                restored(aside, self.place.data)
        self.place.run(*RUN)
        self._check(wanted)

    def retain(self, times: int) -> None:
        """What a longer log holds is removed when it was read."""
        self._fill(self.undisturbed.fill(_MORE, killed=False), 0)
        for _ in range(times):
            kind = self.place.chance.choice(["removals", ""])
            self.refuse("refused retentions", *RUN, kind=kind, retention_bytes=1)
        for place in (self.place, self.undisturbed):
            place.run(*RUN)
        self.check_recomputed()

    def check_recomputed(self) -> None:
        """Both have the same, also where it was computed again."""
        places = (self.place, self.undisturbed)
        check_same(*(left(p.subject.app, p.data, recomputed=True, other_log=True) for p in places))

    def refuse(self, what: str, *command: str, kind: str = "", **settings: object) -> int | None:
        """A command of which a call fails, of some kind or of `kind`; its exit code.

        If it came to that, it is counted as `what`.
        """
        place = self.place
        calls = self.calls.get(what) or {kind: one.few for kind, one in KINDS.items()}
        kind = kind or place.chance.choice([kind for kind in KINDS if calls[kind]])
        refusal = Refusal.by(place.chance, kind, calls[kind])
        flag = place.data.with_name("refused")
        flag.unlink(missing_ok=True)
        place.before = refusal.within(place.data, flag)
        run = place.start(*command, **settings)
        code = run.end()
        place.before = None
        said = f"{refusal}: {code}\n{run.text}"
        assert code in _EXITS and "Traceback" not in run.text, said
        if code:
            self._check_words(run.text, refusal.reason, flag, said)
        if flag.stat().st_size:
            place.done.update(["calls refused", KINDS[kind].counted, what])
        return code

    @contextmanager
    def _counted(self, what: str) -> Iterator[None]:
        """Counts the calls that the undisturbed one makes meanwhile."""
        counts = self.undisturbed.data.with_name("counts")
        self.undisturbed.before = counting(self.undisturbed.data, counts)
        yield
        self.undisturbed.before = None
        self.calls[what] = counted(counts)
        shutil.rmtree(counts)

    def _check_words(self, text: str, reason: str, flag: Path, said: str) -> None:
        refused = {Path(line) for line in flag.read_text().splitlines()}
        assert refused, f"nothing was: {said}"
        data = self.place.data
        assert says_why(text, data, reason), said
        # The file, or the topic, the lake or the job that it belongs to.
        roles = {data / role for role in ("topics", "lakes", "jobs")}
        above = {path for one in refused for path in one.parents if data in path.parents}
        named = refused | (above - roles)
        # What is made aside, as `.name.token`, is told by the name that it will have.
        named |= {p.with_name(p.stem[1:]) for p in named if p.name.startswith(".") and p.suffix}
        assert any(re.search(rf"{re.escape(str(path))}(?!\w)", text) for path in named), (
            named,
            said,
        )
        assert "from a backup" not in text, f"nothing is damaged: {said}"

    def _fill(self, command: tuple[str, ...], times: int) -> None:
        """Has the place write what the undisturbed one was given; refused so often."""
        topics = self.place.data / "topics"
        for _ in range(times):
            topics.mkdir(parents=True, exist_ok=True)
            if self.refuse("refused fills", *command) == 0:
                # All is written; what follows needs something to do.
                self._check_records()
                shutil.rmtree(topics)
        topics.mkdir(parents=True, exist_ok=True)
        self.place.run(*command)
        self._check_records()

    def _check_records(self) -> None:
        found, wanted = (self._records(place.data) for place in (self.place, self.undisturbed))
        assert found == wanted, f"{len(found)} records, of {len(wanted)}"

    def _records(self, data: Path) -> list[tuple[object, ...]]:
        topic = LocalTopic.open(data / "topics", self.place.subject.topic)
        return sorted((record[:4] for record in read_all(topic)), key=lambda record: record[:2])

    def _check(self, wanted: Left) -> None:
        check_same(left(self.place.subject.app, self.place.data), wanted)


class RefusedAgain(Again):
    """Commands that compute again what was computed, on a disk that refuses."""

    tries = (2, 3)
    recomputes, rebuilds, replays = "refused recomputes", "refused rebuilds", "refused replays"

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.place, refused.undisturbed, self._follow)
        self._refused = refused

    def disturb(self, what: str, *command: str) -> bool:
        return self._refused.refuse(what, *command) != 0

    def _follow(self) -> None:
        self.undisturbed.run(*RUN)
