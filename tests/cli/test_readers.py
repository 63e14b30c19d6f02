"""A job that is gone keeps retention from going on: `doctor` names it, `state` forgets it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.main import call
from headrace.ops.owner import acquire
from headrace.ops.owner.lock import announced
from headrace.storage.topics.log import LocalTopic

APP = """
from datetime import datetime
import headrace as hr

class Sale(hr.Event):
    shop: str
    at: datetime

app = hr.App("{name}")
sales = app.source(Sale, topic="sales", key="shop", time="at")
app.table("sold", sales.by("shop").agg(n="count(*)"))
"""
BOTH = (
    APP
    + """
returns = app.source(Sale, topic="returns", key="shop", time="at")
app.table("returned", returns.by("shop").agg(n="count(*)"))
"""
)
RETURNS = BOTH.replace(
    """sales = app.source(Sale, topic="sales", key="shop", time="at")
app.table("sold", sales.by("shop").agg(n="count(*)"))
""",
    "",
)
LATER_US = 10**18


class Place:
    """One data directory, and an app there that changes its name."""

    def __init__(self, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.data, self._root, self._capfd = root / "d", root, capfd
        self.app = ""

    def called(self, name: str, app: str = APP) -> None:
        self.app = str(self._root / f"{name}.py")
        Path(self.app).write_text(app.format(name=name))

    def call(self, *words: str) -> tuple[int, str, str]:
        self._capfd.readouterr()
        code = call([*words, "--data", str(self.data)])
        return code, *self._capfd.readouterr()

    def take(self, first: int, count: int) -> None:
        """Ingests `count` more records and reads them."""
        lines = [
            json.dumps({"shop": f"s{n}", "at": "2026-03-01T10:00:00Z"})
            for n in range(first, first + count)
        ]
        path = self._root / f"{first}.jsonl"
        path.write_text("\n".join(lines))
        assert self.call("ingest", self.app, "sales", str(path))[0] == 0
        assert self.call("run", self.app, "--until", "caught-up")[0] == 0

    def told(self) -> list[dict[str, Any]]:
        """The warnings of doctor."""
        code, out, _ = self.call("doctor", self.app, "--json")
        found = json.loads(out)["findings"]
        assert code == 0
        return [f for f in found if f["level"] != "ok" and f["subject"] == "topic sales"]

    @property
    def topic(self) -> LocalTopic:
        return LocalTopic.open(self.data / "topics", "sales")


@pytest.fixture
def place(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Place:
    """`shop` has read 400 records and was then renamed to `store`, which has read 600."""
    place = Place(tmp_path, capfd)
    place.called("shop")
    place.take(0, 400)
    place.called("store")
    place.take(400, 200)
    return place


def test_a_reader_without_state_is_named_and_forgotten(place: Place) -> None:
    shutil.rmtree(place.data / "jobs" / "shop")
    kept = place.topic.retain(age_us=0, now_us=LATER_US)
    assert kept.held_by == "shop" and sum(kept.begin_offsets) < 400
    (warning,) = place.told()
    assert "job shop has no state here" in warning["text"]
    assert "leaves it 200 records that no other reader needs" in warning["text"]
    assert warning["remedy"].startswith("Unless it comes back: headrace state forget-reader")
    code, out, _ = place.call("state", "forget-reader", place.app, "sales", "shop", "--json")
    found = json.loads(out)
    assert (code, found["topic"], found["reader"], found["freed"]) == (0, "sales", "shop", 200)
    assert sum(found["offsets"]) == 400
    assert list(place.topic.readers()) == ["store"] and place.told() == []
    kept = place.topic.retain(age_us=0, now_us=LATER_US)
    assert kept.held_by is None and sum(kept.begin_offsets) == 600
    assert place.call("verify", place.app)[0] == 0
    place.take(600, 50)


def test_the_command_that_is_told_can_be_typed(place: Place) -> None:
    shutil.rmtree(place.data / "jobs" / "shop")
    command = place.told()[0]["remedy"].partition(": headrace ")[2]
    assert call(command.split()) == 0
    assert list(place.topic.readers()) == ["store"]


def test_what_was_forgotten_is_said(place: Place) -> None:
    shutil.rmtree(place.data / "jobs" / "shop")
    code, out, _ = place.call("state", place.app, "forget-reader", "sales", "shop")
    assert code == 0 and "forgot reader shop" in out and "200 records for it alone" in out


def test_a_job_that_has_state_is_not_forgotten(place: Place) -> None:
    for reader in ("shop", "store"):
        code, out, err = place.call("state", "forget-reader", place.app, "sales", reader)
        assert (code, out) == (5, "") and f"job {reader} has state in" in err and "move" in err
    assert list(place.topic.readers()) == ["shop", "store"]


def test_another_app_is_named_only_where_it_keeps_retention_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert place.told() == [], "no retention, no trouble"
    monkeypatch.setenv("HEADRACE_RETENTION_AGE", "7 days")
    (warning,) = place.told()
    assert "job shop is none of this app, and nobody runs it" in warning["text"]
    assert "leaves it 200 records" in warning["text"]
    assert str(place.data / "jobs" / "shop") in warning["remedy"]
    assert "state forget-reader" in warning["remedy"]
    with acquire(place.data / "jobs" / "shop", "run"):
        assert place.told() == []
    place.called("shop")
    assert place.told() == [], "to the other app it is store that is none of its own"
    place.take(600, 10)
    place.called("store")
    assert place.told() == [], "it has more than the app itself"


def test_a_job_of_the_app_without_state_is_about_to_read(place: Place) -> None:
    shutil.rmtree(place.data / "jobs" / "store")
    assert place.told() == []


def test_readers_that_are_damaged_are_an_error(place: Place) -> None:
    (place.data / "topics" / "sales" / "readers.json").write_text("{")
    code, out, _ = place.call("doctor", place.app, "--json")
    wrong = [f for f in json.loads(out)["findings"] if f["level"] == "error"]
    assert code == 5 and "readers.json is damaged" in wrong[0]["text"]


@pytest.mark.parametrize(
    ("topic", "reader", "told"),
    [
        ("sale", "shop", 'Did you mean "sales"?'),
        ("sales", "shops", 'Did you mean "shop"?'),
    ],
)
def test_what_is_not_there_is_the_users(place: Place, topic: str, reader: str, told: str) -> None:
    code, _, err = place.call("state", "forget-reader", place.app, topic, reader)
    assert code == 2 and told in err


def test_topics_elsewhere_ask_no_reader(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_TOPICS", "kafka://nowhere.invalid:9092")
    code, _, err = place.call("state", "forget-reader", place.app, "sales", "shop")
    assert code == 2 and "kafka://nowhere.invalid:9092" in err


@pytest.fixture
def narrowed(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """`shop` has read all 600 sales and reads returns alone now; `store` has read 100 more."""
    monkeypatch.setenv("HEADRACE_RETENTION_AGE", "7 days")
    place.called("shop", BOTH)
    assert place.call("run", place.app, "--rebuild", "--until", "caught-up")[0] == 0
    place.called("store")
    place.take(600, 100)
    place.called("shop", BOTH)
    assert place.told() == []
    place.called("shop", RETURNS)
    return place


@pytest.mark.parametrize("lives", [False, True])
def test_a_source_that_was_taken_out_is_named_and_forgotten(narrowed: Place, lives: bool) -> None:
    place = narrowed
    with running(place.app, place.data) if lives else nullcontext():
        (warning,) = place.told()
        assert "job shop no longer reads it" in warning["text"]
        assert "leaves it 100 records that no other reader needs" in warning["text"]
        command = warning["remedy"].partition(": headrace ")[2].replace("APP", place.app)
        code, out, _ = place.call(*command.split())
        assert code == 0 and "100 records for it alone" in out
        assert list(place.topic.readers()) == ["store"] and place.told() == []
        code, _, err = place.call("state", "forget-reader", place.app, "returns", "shop")
        assert code == 5 and "reads on behind it" in err


def test_a_source_that_the_job_still_runs_with_is_not_forgotten(narrowed: Place) -> None:
    place = narrowed
    place.called("shop", BOTH)
    with running(place.app, place.data):
        place.called("shop", RETURNS)
        code, _, err = place.call("state", "forget-reader", place.app, "sales", "shop")
        assert code == 5 and "reads on behind it" in err


def test_by_another_app_a_job_that_has_state_is_not_forgotten(narrowed: Place) -> None:
    narrowed.called("store")
    code, _, err = narrowed.call("state", "forget-reader", narrowed.app, "sales", "shop")
    assert code == 5 and "name that app here" in err


@contextmanager
def running(app: str, data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs the app, once it answers."""
    command = [sys.executable, "-m", "headrace", "run", app, "--data", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while (holder := announced(data / "jobs" / "shop")) is None or holder.pid != process.pid:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()
