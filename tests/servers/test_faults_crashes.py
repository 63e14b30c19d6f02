"""`kill -9` between each two durable steps, the whole way from Kafka to PostgreSQL and Kafka."""

from __future__ import annotations

import signal
from pathlib import Path

from headrace.values.points import VARIABLE
from tests.servers.conftest import Undisturbed
from tests.servers.kafka import Kafka
from tests.servers.names import Database
from tests.servers.place import FIRST, LATER, Place
from tests.servers.profiles import profile_text

# Records that come, and the points at which a job is killed that has them to read or to deliver.
# What it was killed in is still to be done at the next start, of one system: others may have landed
# by then. The number is how often a point is passed.
ROUNDS = (
    (
        FIRST,
        (
            *("postgres.created", "postgres.opened:2", "lake.created", "kafka.topic.made"),
            *("kafka.initialised", "kafka.claimed", "state.before_commit", "state.committed"),
            # The first transaction is the one that claims the topic.
            *("kafka.transaction.begun:2", "kafka.produced", "kafka.marked", "kafka.committed"),
        ),
    ),
    (LATER[0], ("postgres.copied", "postgres.applied", "postgres.marked", "postgres.committed")),
    (LATER[1], ("lake.fenced", "lake.file.written", "lake.files.synced", "lake.committed")),
    (LATER[2], ("lake.commit.synced",)),
    (LATER[3], ("state.before_commit", "state.committed", "kafka.marked", "kafka.committed")),
    (LATER[4], ("postgres.committed:2",)),
    (LATER[5], ("postgres.marked:3",)),
)


def test_a_job_killed_at_every_point(
    own_kafka: Kafka, database: Database, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    place = Place(tmp_path, profile_text(own_kafka.bootstrap_servers, database.dsn))
    for batch, points in ROUNDS:
        place.simulate(batch)
        for point in points:
            # A point that is not reached is told by the code: the job ends by itself.
            run = ("run", "activity", "--until", "caught-up")
            place.give(*run, settings={VARIABLE: point}, code=-signal.SIGKILL)
    place.simulate(LATER[6])
    place.catch_up()
    undisturbed.check(place, own_kafka)
