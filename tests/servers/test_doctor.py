"""`headrace doctor` on a real Kafka and a real PostgreSQL: before and after a run, in trouble."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.main import call
from headrace.storage.kafka.system import KafkaSystem
from tests.servers.kafka import Kafka
from tests.servers.names import Database, Topics
from tests.servers.ports import HOST, free_port
from tests.servers.profiles import profile_text

APP = """
import headrace as hr

class Click(hr.Event):
    user: str

app = hr.App("{app}")
clicks = app.source(Click, topic="{clicks}", key="user", partitions=2)
app.table("totals", clicks.by("user").agg(clicks="count(*)"))
app.topic("{kept}", clicks)
"""


class Place:
    """A directory with an app and a profile; `doctor` gives exit code and findings."""

    def __init__(self, directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.directory, self._capfd = directory, capfd
        self.secrets: list[str] = []

    def profile(self, text: str) -> None:
        (self.directory / "headrace.toml").write_text(text)

    def give(self, *words: str) -> tuple[int, str]:
        self._capfd.readouterr()
        code = call([*words, "--profile", "servers"])
        text = "".join(self._capfd.readouterr())
        assert not [s for s in self.secrets if s in text] and "Traceback" not in text
        return code, text

    def doctor(self, *words: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
        code, text = self.give("doctor", *words, "--json")
        found: dict[str, list[dict[str, Any]]] = {}
        for finding in json.loads(text)["findings"]:
            found.setdefault(finding["subject"], []).append(finding)
        return code, found


def errors(found: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [f for several in found.values() for f in several if f["level"] == "error"]


@pytest.fixture
def place(tmp_path: Path, capfd, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path, capfd)


@pytest.fixture
def login(database: Database) -> Iterator[tuple[str, str]]:
    """A user of this test, with a password that stands in no other text."""
    user, password = f"u{secrets.token_hex(4)}", f"p{secrets.token_hex(8)}"
    with database.connect() as connection:
        connection.execute(f"create role {user} login superuser password '{password}'")
    yield user, password
    with database.connect() as connection:
        connection.execute(f"reassign owned by {user} to postgres")
        connection.execute(f"drop role {user}")


def url_of(database: Database, user: str, password: str) -> str:
    return f"postgresql://{user}:{password}@{database.dsn.rpartition('@')[2]}"


def test_before_and_after_a_run(
    kafka: Kafka, topics: Topics, database: Database, login: tuple[str, str], place: Place
) -> None:
    clicks, kept = topics.name("clicks"), topics.name("kept")
    text = APP.format(app=clicks, clicks=clicks, kept=kept)
    (place.directory / "doctored.py").write_text(text)
    place.secrets.append(login[1])
    place.profile(profile_text(kafka.bootstrap_servers, url_of(database, *login)))
    code, found = place.doctor("doctored.py")
    mend = "headrace run doctored.py --profile servers --create-topics"
    assert (code, [f["subject"] for f in errors(found)]) == (
        5,
        [f"topic {clicks}", f"topic {kept}"],
    )
    assert {f["remedy"] for f in errors(found)} == {mend}
    assert "is not there yet" in found["table totals"][0]["text"]
    assert mend in [line.strip() for line in place.give("doctor", "doctored.py")[1].splitlines()]
    # What it says is done, word for word.
    assert place.give(*mend.split()[1:], "--until", "caught-up")[0] == 0
    code, found = place.doctor("doctored.py")
    assert (code, errors(found)) == (0, [])
    assert found[f"topic {clicks}"][0]["text"] == "2 partitions, 0 offsets"
    assert "its columns and key fit" in found["table totals"][0]["text"]
    lines = place.give("doctor", "doctored.py")[1].splitlines()
    assert max(map(len, lines)) <= 80
    with database.connect() as connection:
        connection.execute("alter table totals rename column clicks to other")
    code, found = place.doctor("doctored.py")
    assert code == 5 and {f["subject"] for f in errors(found)} == {"table totals"}


def test_a_wrong_password(kafka: Kafka, database: Database, place: Place) -> None:
    place.secrets.append("geheim-4711")
    wrong = url_of(database, "postgres", "geheim-4711")
    place.profile(profile_text(kafka.bootstrap_servers, wrong))
    code, found = place.doctor()
    assert (code, len(errors(found))) == (5, 1)
    assert "refused the login" in errors(found)[0]["text"]
    assert errors(found)[0]["remedy"] == "Check user, password and database in the URL."


def test_nobody_there(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KafkaSystem.__init__.__kwdefaults__, "answer_seconds", 1.0)
    place.secrets += ["geheim-4711", "geheim-4712"]
    place.profile(
        profile_text(
            f"u:geheim-4712@{HOST}:{free_port()}", "postgresql://u:geheim-4711@x.invalid/d"
        )
    )
    code, found = place.doctor("activity")
    assert (code, len(errors(found))) == (4, 2)
    kafka, database = errors(found)
    assert "u:***@" in kafka["subject"] and kafka["remedy"]
    assert "x.invalid" in database["text"] and "pg_isready" in database["remedy"]


def test_settings_of_topics_that_lose_records(
    kafka: Kafka, topics: Topics, place: Place, tmp_path: Path
) -> None:
    clicks = topics.create(
        "clicks",
        2,
        {
            "cleanup.policy": "compact,delete",
            "retention.ms": "3600000",
            "unclean.leader.election.enable": "true",
        },
    )
    kept = topics.create("kept", 3, {"min.insync.replicas": "2"})
    (tmp_path / "doctored.py").write_text(APP.format(app=clicks, clicks=clicks, kept=kept))
    place.profile(f'[profile.servers]\ntopics = "kafka://{kafka.bootstrap_servers}"\n')
    code, found = place.doctor("doctored.py")
    assert code == 5
    (refused,) = errors(found)
    assert refused["subject"] == f"topic {kept}" and "no delivery can land" in refused["text"]
    told = [f for f in found[f"topic {clicks}"] if f["level"] == "warning"]
    assert [word for word in ("compact", "1 hours", "unclean") if word in str(told)] == [
        "compact",
        "1 hours",
        "unclean",
    ]
    # What the commands say is done, setting by setting.
    for finding in [refused, *told]:
        begin, name, changed = finding["remedy"].partition(f"--entity-name {clicks} ")
        if not name:
            begin, name, changed = finding["remedy"].partition(f"--entity-name {kept} ")
        assert f"--bootstrap-server {kafka.bootstrap_servers} --alter" in begin
        topic = name.split()[1]
        setting, value = changed.removeprefix("--add-config ").split("=")
        kafka.configure_topic(topic, setting, value)
    code, found = place.doctor("doctored.py")
    assert (code, errors(found)) == (0, [])
    assert [f["level"] for f in found[f"topic {clicks}"]] == ["ok"]
