"""What is done to a job with topics in Kafka and tables in PostgreSQL, and to the two."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from tests.servers.kafka import Kafka
from tests.servers.postgres import Postgres
from tests.servers.process import Server
from tests.torture.kills import leading
from tests.torture.kills.again import Again
from tests.torture.kills.ordeal import BEGIN, MORE, RUN, Ordeal
from tests.torture.kills.place import Place
from tests.torture.kills.points import served

_NOTING = ("kafka.records.produced", "kafka.noted", "kafka.records.committed")
APPENDING = ("kafka.initialised", "kafka.transaction.begun", *_NOTING)
MADE = "kafka.topic.made"
_MAKING = ("postgres.created", "postgres.opened", "lake.created", MADE, "kafka.claimed")
_REPLACING = ("postgres.staged", "postgres.cleared", "postgres.replaced")
_FILLING = (*_REPLACING, "postgres.replacement.marked", "fill.replaced")
_ELSEWHERE = ("state.before_commit", "state.committed", "lake.files.synced", "lake.committed")
_OFTEN = ("postgres.copied", "postgres.applied", "postgres.marked", "postgres.committed")
_AGAIN = (
    *(point for point in leading.DELIVERING if not point.startswith("topic.")),
    *("kafka.transaction.begun", "kafka.produced", *_OFTEN),
)


class Troubles(Ordeal):
    """An ordeal with servers that are killed too."""

    recomputing = 0.6
    restorable = ("lake",)
    # Nobody here sees who waits for a lock in the database.
    begun_seconds = 10.0
    stopped_at = ("state.before_commit", "kafka.produced", "postgres.applied", "lake.files.synced")

    def __init__(self, place: Place, undisturbed: Place, kafka: Kafka, postgres: Postgres) -> None:
        super().__init__(place, undisturbed)
        self.kafka, self.postgres = kafka, postgres
        self.retains = False
        self.anew = self.chance.random() < 0.5
        self.again = Again(place, undisturbed, self.follow, _AGAIN, tries=(1, 1, 2, 3))
        apart = (*_MAKING, *_FILLING, "postgres.emptied")
        self._points = [*(p for p in served() if p not in apart), *_ELSEWHERE]
        self.chance.shuffle(self._points)

    def begin(self) -> None:
        """The first records, and the first runs, killed while they make the job's outputs."""
        self.feed(BEGIN)
        for point in _MAKING:
            self.place.kill_at(point, *RUN, **self.settings())
        if again := self._computing_again():
            self.chance.choice(again)()

    def acts(self) -> list[Callable[[], None]]:
        acts = [*[self.at_a_point] * 12, *[self.at_any_time] * 3, self.while_it_recovers]
        acts += [self.two_at_once, self.a_zombie, self.a_broker_dies, self.a_database_dies]
        acts += self._computing_again() * 2
        if not self.anew:
            return acts
        acts += [self.an_older_database, self.begun_again, self.an_older_destination]
        return acts + [self.an_older_state] * self.restores

    def _computing_again(self) -> list[Callable[[], None]]:
        commands = [self.again.recompute, self.again.rebuild] if self.recomputes else []
        # Who begins anew would read what was replayed in the order of the log.
        return commands if self.anew else [*commands, self.again.replay]

    def feed(self, count: int = MORE) -> None:
        self._written(self.place.fill(count))

    def follow(self) -> None:
        self.undisturbed.run(*RUN)

    def at_a_point(self) -> None:
        self._points.append(point := self._points.pop(0))
        if point in APPENDING and (point in _NOTING or self.chance.random() < 0.3):
            self._written(self.place.fill(MORE, point))
            return
        self.feed_if_idle()
        nth = self.chance.choice([1, 1, 1, 2, 3, 7] if point in _OFTEN else [1, 1, 1, 2])
        self.place.kill_at(f"{point}:{nth}", *RUN, **self.settings())

    def a_broker_dies(self) -> None:
        self._dies(self.kafka, "kills of the broker")

    def a_database_dies(self) -> None:
        self._dies(self.postgres, "kills of the database")

    def an_older_database(self) -> None:
        """A backup put back: its tables are filled again, killed on the way."""
        self.postgres.stop()
        backup = self.postgres.back_up()
        self.postgres.start()
        self.feed_if_idle()
        self.place.kill_at("postgres.committed:3", *RUN, **self.settings())
        if self.chance.random() < 0.3:
            self.at_any_time()
        else:
            # What the state has noted as delivered cannot be given again epoch by epoch.
            self.place.finish()
        self.postgres.stop()
        self.postgres.restore(backup)
        shutil.rmtree(backup.parent)
        self.postgres.start()
        self.place.done["database backups put back"] += 1
        points = [*_FILLING]
        self.chance.shuffle(points)
        for point in points:
            self.place.kill_at(point, *RUN, **self.settings())

    def begun_again(self) -> None:
        """A greater generation, whose rows replace those of the tables in one delivery."""
        self.place.run("state", "reset", "APP", "--yes")
        self.place.kill_at("postgres.emptied", *RUN, **self.settings())

    def _written(self, command: tuple[str, ...]) -> None:
        """The undisturbed run has the same records, in a log of its own."""
        (self.undisturbed.data / "topics").mkdir(parents=True, exist_ok=True)
        self.undisturbed.run(*command)

    def _dies(self, server: Server, what: str) -> None:
        """Killed under a run, which waits until it is back, or says what is down."""
        self.feed_if_idle()
        run = self.place.start(*RUN, **self.settings())
        run.end(self.chance.uniform(0.1, 1.5))
        server.kill()
        server.start()
        code = run.end()
        assert code in (0, 4) and "Traceback" not in run.text, f"{code}: {run.text}"
        self.place.idle = code == 0
        self.place.done[what] += 1
