"""Where nothing answers: a job says what helps, once, and is asked all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.servers.kafka import Kafka
from tests.servers.place import FIRST, Place, results
from tests.servers.ports import free_port

SETTINGS = {
    "topics": "kafka://127.0.0.1:{port}",
    "tables": "postgresql://nobody@127.0.0.1:{port}/nothing",
}


@pytest.mark.parametrize("setting", list(SETTINGS))
def test_the_error_names_the_command_that_helps(tmp_path: Path, setting: str) -> None:
    url = SETTINGS[setting].format(port=free_port())
    place = Place(tmp_path, f'[profile.servers]\n{setting} = "{url}"\n')
    said = place.catch_up(code=4)
    assert said.count("headrace doctor activity --profile servers --data d") == 1, said


def test_what_the_state_knows_is_answered_while_kafka_is_down(
    own_kafka: Kafka, tmp_path: Path
) -> None:
    place = Place(
        tmp_path, f'[profile.servers]\ntopics = "kafka://{own_kafka.bootstrap_servers}"\n'
    )
    place.simulate(FIRST)
    place.catch_up()
    tables, letters = results(place), place.rows("from dead_letters order by all")
    own_kafka.kill()
    assert results(place) == tables
    assert place.rows("from dead_letters order by all") == letters and letters
    (status,) = json.loads(place.give("status", "activity", "--json"))["jobs"]
    assert status["sources"][0]["read"] == FIRST.count and status["sources"][0]["down"]
    for words in (("state", "list"), ("dead-letters", "list"), ("dead-letters", "show")):
        place.give(words[0], words[1], "activity")
    place.give("state", "inspect", "activity", "page_view_counts")
    place.give("query", "activity", "from topic.user_activity", code=4)
    place.give("verify", "activity", code=4)
    place.give("dead-letters", "replay", "activity", code=4)
    place.catch_up(code=4)
    own_kafka.start()
    place.verified()


def test_a_job_that_never_ran_has_nothing_to_answer(tmp_path: Path) -> None:
    place = Place(tmp_path, f'[profile.servers]\ntopics = "kafka://127.0.0.1:{free_port()}"\n')
    (tmp_path / "d").mkdir()
    assert "headrace doctor activity --profile" in place.give(
        "query", "activity", "select 1", code=4
    )
