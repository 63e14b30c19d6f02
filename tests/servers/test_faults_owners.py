"""Two processes that take themselves for the same job: one goes on, the other is told so."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from tests.servers.conftest import Undisturbed
from tests.servers.kafka import Kafka
from tests.servers.live import Live
from tests.servers.names import Database
from tests.servers.place import FIRST, LATER, Place
from tests.servers.profiles import profile_text


def placed(directory: Path, kafka: Kafka, database: Database) -> Place:
    lines = "lake_interval_seconds = 0.5\n"
    return Place(directory, profile_text(kafka.bootstrap_servers, database.dsn) + lines)


def test_the_same_directory_twice(
    own_kafka: Kafka, database: Database, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """The second is told who holds the job; whoever only asks is answered by the first."""
    place = placed(tmp_path, own_kafka, database)
    place.simulate(FIRST)
    with Live(place) as live:
        said = place.catch_up(code=5)
        assert "job 'activity' is held by `" in said and f"(process {live.pid}," in said
        place.simulate(*LATER)
        place.verified()
        assert live.running
        live.stop()
    place.catch_up()
    undisturbed.check(place, own_kafka)


def test_a_zombie_that_wakes_after_its_successor_has_begun(
    own_kafka: Kafka, database: Database, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """The successor has a copy of the state, as a machine has that takes over from another."""
    place = placed(tmp_path, own_kafka, database)
    place.simulate(FIRST)
    place.catch_up()
    shutil.copytree(tmp_path / "d", tmp_path / "older")
    with Live(place) as zombie:
        # A copy from before this start does not know of it.
        assert "runs elsewhere" in place.catch_up(data="older", code=5)
        place.simulate(LATER[0])
        zombie.send(signal.SIGSTOP)
        shutil.copytree(tmp_path / "d", tmp_path / "successor")
        place.simulate(*LATER[1:4])
        place.catch_up(data="successor")
        zombie.send(signal.SIGCONT)
        said = zombie.ended(5)
        assert "runs elsewhere" in said, said
    place.simulate(*LATER[4:])
    place.catch_up(data="successor")
    undisturbed.check(place, own_kafka, data="successor")
    assert "runs elsewhere" in place.catch_up(code=5)
