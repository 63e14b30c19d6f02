"""Kafka goes away under a job, or is another than it was: the whole way, as a user runs it."""

from __future__ import annotations

import time
from pathlib import Path

from tests.servers.conftest import Undisturbed
from tests.servers.kafka import Kafka
from tests.servers.live import Live, until
from tests.servers.names import Database
from tests.servers.place import FIRST, LATER, Place
from tests.servers.postgres import Postgres
from tests.servers.profiles import profile_text

PAUSE_SECONDS = 30


def placed(directory: Path, kafka: Kafka, database: Database) -> Place:
    lines = "lake_interval_seconds = 0.5\n"
    return Place(directory, profile_text(kafka.bootstrap_servers, database.dsn) + lines)


def test_both_systems_fall_silent_and_the_broker_dies(
    own_kafka: Kafka, own_postgres: Postgres, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """One pause for both; then the broker alone is killed, under the job and before it starts."""
    place = placed(tmp_path, own_kafka, Database(own_postgres))
    place.simulate(FIRST)
    own_kafka.kill()
    for words in (
        ["run", "activity"],
        ["verify", "activity"],
        ["simulate", "activity", "--count", 10],
    ):
        said = place.give(*words, code=4)
        assert own_kafka.bootstrap_servers in said and "Connection refused" in said
    own_kafka.restart()
    with Live(place) as live:
        own_postgres.pause()
        place.simulate(*LATER[:2])
        own_kafka.pause()
        begun = time.monotonic()
        live.until_said("source_down")
        live.until_said("destination_down", destination="page_view_counts")
        until(lambda: time.monotonic() - begun > PAUSE_SECONDS, "the pause")
        own_kafka.resume()
        own_postgres.resume()
        live.until_said("source_back")
        live.until_said("destination_back", destination="page_view_counts")
        place.simulate(*LATER[2:4])
        down, back = len(live.said("source_down")), len(live.said("source_back"))
        own_kafka.kill()
        live.until_said("source_down", down + 1)
        own_kafka.restart()
        live.until_said("source_back", back + 1)
        place.simulate(*LATER[4:])
        live.stop()
    place.catch_up()
    undisturbed.check(place, own_kafka)
