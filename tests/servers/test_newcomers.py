"""Starts without the job's state: refused, however often, and the rightful job notices nothing."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from headrace.apps.activity import app
from headrace.engines.embedded.deliveries.targets import target_of
from headrace.storage.contract import Target
from headrace.storage.kafka.system import KafkaSystem
from tests.servers.kafka import Kafka
from tests.servers.names import Database
from tests.servers.place import Place, results
from tests.servers.profiles import profile_text

RUN = ("run", "activity", "--until", "caught-up")


def starts(kafka: Kafka, database: Database) -> list[int]:
    """The numbers of the starts that have the outputs."""
    with database.connect() as connection:
        found = connection.execute("select incarnation from headrace_marks").fetchall()
    system = KafkaSystem(f"kafka://{kafka.bootstrap_servers}")
    claim = system.destination(_copies()).look("activity")
    system.close()
    assert claim is not None
    return [*(number for (number,) in found), claim.incarnation]


def _copies() -> Target:
    (job,) = app.plan.jobs
    return target_of(job, next(o for o in job.outputs if o.name == "enriched_activity"))


def test_an_empty_directory_is_refused_however_often_it_starts(
    own_kafka: Kafka, database: Database, tmp_path: Path
) -> None:
    place = Place(tmp_path, profile_text(own_kafka.bootstrap_servers, database.dsn))
    place.give("simulate", "activity", "--count", 5000, "--seed", 1, "--create-topics")
    place.catch_up()
    before = results(place)
    begun = starts(own_kafka, database)
    rightful = place.start("run", "activity")
    while min(starts(own_kafka, database)) <= max(begun):
        assert rightful.poll() is None
        time.sleep(0.1)
    held = starts(own_kafka, database)
    for _ in range(5):
        refused = place.give(*RUN, data="other", code=5)
        assert "this data directory has no state of it" in refused
        assert "Traceback" not in refused
    assert starts(own_kafka, database) == held
    place.give("simulate", "activity", "--count", 5000, "--seed", 2)
    rows = place.verified()  # asked while it runs
    rightful.send_signal(signal.SIGINT)
    _, said = rightful.communicate(timeout=60)
    assert rightful.returncode == 0, said
    assert "destination_down" not in said
    assert rows["activity"] == 10_000
    assert results(place) != before


def test_after_a_reset_a_new_directory_goes_on_at_once(
    own_kafka: Kafka, database: Database, tmp_path: Path
) -> None:
    """Where the directory is lost for good: the command that the refusal names."""
    place = Place(tmp_path, profile_text(own_kafka.bootstrap_servers, database.dsn))
    place.give("simulate", "activity", "--count", 3000, "--seed", 1, "--create-topics")
    for _ in range(2):
        place.catch_up()
        place.give("state", "reset", "activity", "--yes")
    place.catch_up()
    rows = place.verified()
    refused = place.give(*RUN, data="new", code=5)
    assert "headrace state reset" in refused
    place.give("state", "reset", "activity", "--yes", data="new")
    place.give(*RUN, data="new")
    # The topic keeps what it has and goes on behind it; the tables are replaced.
    assert place.verified(data="new") == rows
    refused = place.give(*RUN, code=5)
    assert "headrace state reset" in refused
