"""A Kafka topic that was made again or lost records: the command that the error names goes on."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.servers.kafka import Kafka
from tests.servers.live import Live
from tests.servers.names import Database
from tests.servers.place import Place
from tests.servers.profiles import profile_text

TOPIC, OUTPUT = "user_activity", "enriched_activity"


def place_of(kafka: Kafka, database: Database, directory: Path) -> Place:
    return Place(directory, profile_text(kafka.bootstrap_servers, database.dsn))


def simulate(place: Place, count: int, seed: int) -> None:
    place.give(
        "simulate", "activity", "--count", count, "--seed", seed, "--malformed-every", 100, *NEW
    )


NEW = ["--create-topics"]


def make_again(kafka: Kafka) -> None:
    kafka.delete_topics([TOPIC])
    kafka.create_topic(TOPIC, 3)


def follow(place: Place, told: str, ways: str) -> None:
    """Does what the error says, as far as it is a command with `ways` in it."""
    found = re.search(rf"headrace (state {ways} activity .*)", told)
    assert found is not None and "Traceback" not in told, told
    place.give(*found[1].split(), "--yes")


def read(place: Place) -> int:
    """Records read and accepted, after everything was proven."""
    rows = place.verified()
    assert rows["activity"] == rows["enriched_activity"]
    return int(rows["activity"])


def test_a_topic_made_again_under_a_stopped_job(
    own_kafka: Kafka, database: Database, tmp_path: Path
) -> None:
    place = place_of(own_kafka, database, tmp_path)
    simulate(place, 5000, 1)
    place.catch_up()
    before = read(place)
    make_again(own_kafka)
    # As many as were read before: only the identity tells them apart.
    simulate(place, 6000, 2)
    told = place.give("run", "activity", "--until", "caught-up", code=5)
    assert "deleted and made again" in told
    follow(place, told, "seek")
    place.catch_up()
    assert read(place) == before + 5940
    place.give("recompute", "activity")
    assert read(place) == before + 5940
    # The other way: a new generation of the state, which has the present topic alone.
    make_again(own_kafka)
    simulate(place, 1000, 3)
    follow(place, place.give("run", "activity", "--until", "caught-up", code=5), "reset")
    place.catch_up()
    place.give("verify", "activity")
    lake = place.rows("select count(*) as n from lake.activity")
    assert lake == [{"n": before + 5940 + 990}]
    views = place.rows("select sum(view_count) as n from page_view_counts")
    assert 0 < int(views[0]["n"]) < 1000


def test_a_topic_made_again_under_a_running_job(
    own_kafka: Kafka, database: Database, tmp_path: Path
) -> None:
    place = place_of(own_kafka, database, tmp_path)
    simulate(place, 5000, 1)
    child = place.start("run", "activity")
    deadline = time.monotonic() + 120
    state = tmp_path / "d" / "jobs" / "activity" / "job.duckdb"
    # Rows are there long before the lake's own interval is over.
    while not (state.exists() and place.rows("select 1 as x from page_view_counts limit 1")):
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.05)
    make_again(own_kafka)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 5 and "Traceback" not in out + err, out + err
    simulate(place, 6000, 2)
    told = place.give("run", "activity", "--until", "caught-up", code=5)
    follow(place, told, "seek")
    place.catch_up()
    assert read(place) == 4950 + 5940


def test_an_output_topic_made_again_under_a_running_job(
    own_kafka: Kafka, database: Database, tmp_path: Path
) -> None:
    place = place_of(own_kafka, database, tmp_path)
    simulate(place, 3000, 1)
    place.catch_up()
    with Live(place) as live:
        own_kafka.delete_topics([OUTPUT])
        own_kafka.create_topic(OUTPUT, 3)
        simulate(place, 1000, 2)
        told = live.ended(5)
    assert "deleted and made again" in told and "seek" not in told
    # A start finds the same, and says the same way on.
    again = place.catch_up(code=5)
    assert "has lost what it was given" in again and "seek" not in again
    follow(place, told, "reset")
    place.catch_up()
    assert read(place) == 2970 + 990


def test_retention_that_passes_a_stopped_job(
    own_kafka: Kafka, database: Database, tmp_path: Path
) -> None:
    from confluent_kafka import TopicPartition

    place = place_of(own_kafka, database, tmp_path)
    simulate(place, 3000, 1)
    place.catch_up()
    before = read(place)
    simulate(place, 3000, 2)
    admin = own_kafka.admin()
    # Offset -1 is the end: the records that nobody read are all gone.
    asked = admin.delete_records([TopicPartition(TOPIC, p, -1) for p in range(3)])
    for answer in asked.values():
        answer.result(30)
    simulate(place, 1000, 3)
    told = place.give("run", "activity", "--until", "caught-up", code=5)
    assert "was to be read next" in told and re.search("reset activity .*--from earliest", told)
    follow(place, told, "seek")
    place.catch_up()
    assert read(place) == before + 990
    counted = place.rows("select read from conservation where kind = 'source'")
    assert counted == [{"read": 4000}]


def test_a_time_is_a_place_in_kafka_too(
    own_kafka: Kafka, database: Database, tmp_path: Path
) -> None:
    place = place_of(own_kafka, database, tmp_path)
    simulate(place, 1000, 1)
    place.catch_up()
    simulate(place, 1000, 2)
    time.sleep(0.01)
    between = datetime.now(UTC).isoformat()
    time.sleep(0.01)
    simulate(place, 500, 3)
    place.give("state", "seek", "activity", "--from", between, "--yes")
    place.catch_up()
    assert read(place) == 990 + 495
    place.give("state", "reset", "activity", "--from", between, "--yes")
    place.catch_up()
    place.give("verify", "activity")
    counted = place.rows("select read from conservation where kind = 'source'")
    assert counted == [{"read": 500}]
    place.give("state", "reset", "activity", "--yes")
    place.catch_up()
    assert read(place) == 990 + 990 + 495
