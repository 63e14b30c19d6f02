"""`headrace doctor` without a server: the machine, what is embedded, systems it cannot make."""

from __future__ import annotations

import fcntl
import json
import os
import resource
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from headrace.cli.commands.doctor import findings_text
from headrace.cli.main import call
from headrace.ops.doctor import examine, machine
from headrace.ops.owner import acquire
from headrace.storage import systems
from headrace.storage.contract import Finding
from headrace.storage.state.store import FILE_NAME as STATE
from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.murmur2 import partitions_of
from headrace.values.settings import Settings

SECRET = "geheim-4711"
SHOP = """
import headrace as hr

class Place(hr.Struct):
    lat: float

class Line(hr.Struct):
    sku: str

class Order(hr.Event):
    id: str
    totals: int | None
    at: Place | None
    lines: list[Line] | None

app = hr.App("shop")
orders = app.source(Order, topic="orders", key="id", partitions=2)
app.table("counts", orders.by("id").agg(n="count(*)"))
"""
Doctor = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def doctor(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Doctor:
    """Calls it on `tmp_path`/d; gives exit code and findings by subject."""

    def go(*words: str) -> tuple[int, dict[str, Any]]:
        code = call(["doctor", *words, "--data", str(tmp_path / "d"), "--json"])
        out, err = capfd.readouterr()
        assert SECRET not in out + err and "Traceback" not in err
        found = json.loads(out)
        assert found["holds"] == (code == 0)
        return code, {f["subject"]: f for f in found["findings"]}

    return go


def test_a_machine_with_nothing_yet(doctor: Doctor, tmp_path: Path) -> None:
    code, found = doctor()
    assert (code, [f["level"] for f in found.values()]) == (0, ["ok"] * len(found))
    assert list(found) == ["versions", "data directory", "disk", "open files", "memory"]
    code, found = doctor("activity")
    assert code == 0 and "not there yet" in found["topic user_activity"]["text"]
    assert "no state yet" in found["job activity"]["text"]
    assert not (tmp_path / "d").exists()


def test_topics_and_state_after_a_run(doctor: Doctor, tmp_path: Path, capfd) -> None:
    data = ["--data", str(tmp_path / "d")]
    assert call(["simulate", "activity", "--count", "100", *data]) == 0
    assert call(["run", "activity", "--until", "caught-up", *data]) == 0
    capfd.readouterr()
    code, found = doctor("activity")
    assert code == 0
    assert found["topic user_activity"]["text"] == "3 partitions, 100 records"
    assert found["job activity"]["text"].endswith("nobody runs it")
    with acquire(tmp_path / "d" / "jobs" / "activity", "run"):
        code, found = doctor("activity")
    assert code == 0 and f"(process {os.getpid()}, since" in found["job activity"]["text"]
    # Whoever looks leaves the lock free.
    with (tmp_path / "d" / "jobs" / "activity" / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_topic_with_other_partitions_or_damage(doctor: Doctor, tmp_path: Path) -> None:
    topics = tmp_path / "d" / "topics"
    LocalTopic.create(topics, "user_activity", 5)
    LocalTopic.create(topics, "enriched_activity", 3)
    (topics / "enriched_activity" / "topic.json").write_text("{")
    code, found = doctor("activity")
    wrong = found["topic user_activity"]
    assert (code, wrong["text"]) == (5, "has 5 partitions, 3 are declared")
    assert wrong["remedy"].startswith("Declare 5 partitions")
    assert "is damaged" in found["topic enriched_activity"]["text"]
    assert "backup" in found["topic enriched_activity"]["remedy"]


def test_fields_that_nobody_declared(doctor: Doctor, tmp_path: Path) -> None:
    """Seen in a sample of the newest records; one that may be a misspelt declaration is a warning.

    Nothing on the disk is changed by looking.
    """
    (tmp_path / "shop.py").write_text(SHOP)
    topic = LocalTopic.create(tmp_path / "d" / "topics", "orders", 2)
    old = [b'{"id": "a", "old": 1}'] * 3_000
    new = [b'{"id": "b", "at": {"lat": 1, "city": "x"}, "lines": [{"sku": "s", "qty": 2}]}'] * 900
    new += [b'{"id": "c", "total": 5, "Note": null}'] * 90 + [b'{"id": "d", "a\\u001bb": 1}'] * 9
    new += [b"no JSON"]
    topic.append(pa.array(old + new))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "d").rglob("*")}
    code, found = doctor(str(tmp_path / "shop.py"))
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "d").rglob("*")}
    event = found["event Order"]
    assert (code, event["level"]) == (0, "warning")
    assert event["text"] == (
        "the newest 1,000 records of orders also have at.city (90%), lines.qty (90%), Note (9%), "
        "total (9%), a\\u001bb (< 1%): not declared, so no view sees them; the log keeps them"
    )
    assert event["remedy"].startswith('Did you mean "total" where Order declares "totals"?')


def test_records_as_declared_need_no_word(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    topic = LocalTopic.create(tmp_path / "d" / "topics", "orders", 2)
    values = [b'{"id": "a", "totals": 1, "lines": null}', b"[1]", b"[" * 9_000, None]
    topic.append(pa.array(values))
    code, found = doctor(str(tmp_path / "shop.py"))
    assert code == 0 and not [subject for subject in found if subject.startswith("event")]


def test_a_data_directory_that_cannot_be_one(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "d").write_text("a file")
    code, found = doctor()
    assert (code, found["data directory"]["level"]) == (5, "error")
    assert "--data DIR" in found["data directory"]["remedy"]


def test_what_room_memory_and_open_files_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = [machine.room(Path("d"), n).level for n in (10**7, 10**9, 10**11)]
    assert levels == ["error", "warning", "ok"]
    assert machine.memory("1GB", 8 << 30).level == "ok"
    small = machine.memory("1GiB", 1 << 30)
    assert (small.level, small.remedy) == ("warning", "export HEADRACE_MEMORY_LIMIT=536MB")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 2048))
    few = next(f for f in machine.machine(Settings()) if f.subject == "open files")
    assert (few.level, few.remedy) == ("warning", "ulimit -n 2048")


@pytest.mark.parametrize(
    ("variable", "url", "words"),
    [
        ("TOPICS", f"kafak://u:{SECRET}@host", 'Did you mean "kafka"?'),
        ("TOPICS", f"kafka://u:{SECRET}@host/path", "kafka://user:password@host:port"),
        ("TOPICS", f"postgresql://u:{SECRET}@host/db", "holds no topics"),
        ("TOPICS", f"kafka://u:{SECRET}@[host", "Check the URL"),
        ("TABLES", f"postgresql://u:{SECRET}@x@host/db", "is not the URL of a PostgreSQL"),
    ],
)
def test_a_system_that_cannot_be_made_is_a_finding(
    variable: str, url: str, words: str, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"HEADRACE_{variable}", url)
    code, found = doctor("activity")
    wrong = [f for f in found.values() if f["level"] == "error"]
    assert code == 5 and len(wrong) == 1
    assert words in f"{wrong[0]['text']} {wrong[0]['remedy']}"


def test_a_client_library_that_is_missing(doctor: Doctor, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    monkeypatch.setenv("HEADRACE_TABLES", f"postgresql://u:{SECRET}@host/db")
    code, found = doctor("activity")
    assert (code, found["PostgreSQL"]["level"]) == (5, "error")
    assert 'pip install "headrace[postgres]"' in found["PostgreSQL"]["remedy"]


class Broken:
    """A connector of somebody else's that breaks its promise never to raise."""

    address = "odd://place"
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, url: str) -> None:
        self.url = url

    def findings(self, targets: Any, topics: Any) -> Any:
        raise RuntimeError(f"no way to {self.url}")

    def close(self) -> None:
        pass


def test_a_connector_that_raises_is_a_finding_without_its_words(monkeypatch) -> None:
    monkeypatch.setattr(systems, "maker_of", lambda scheme, setting: Broken)
    found = examine(Settings(tables=f"odd://u:{SECRET}@place"))[-1]
    assert (found.level, found.subject) == ("error", "odd://place")
    assert "RuntimeError" in found.text and SECRET not in str(found)


def test_lines_fit_and_commands_stay_whole() -> None:
    command = "kafka-configs.sh --alter " + "--entity-name name " * 5
    found = [
        Finding("ok", "versions", "Python " * 20),
        Finding("error", "postgresql://somebody@a-long-host:5432/db", "no " * 40, command.strip()),
        Finding("warning", "disk", "low", "See what takes it: du -xhd 2 d"),
    ]
    lines = findings_text(found, 80).splitlines()
    assert [line for line in lines if len(line) > 80] == [
        line for line in lines if command.strip() in line
    ]
    assert sum(command.strip() == line.strip() for line in lines) == 1
    assert "du -xhd 2 d" in [line.strip() for line in lines]
    assert lines[-1] == "1 error, 1 warning"


def test_an_app_that_is_none_is_a_usage_error(capfd) -> None:
    assert call(["doctor", "no_such_app"]) == 2
    assert "there is no app called" in capfd.readouterr().err


def test_a_state_of_another_version_is_told_before_a_run(
    doctor: Doctor, tmp_path: Path, capfd
) -> None:
    data = ["--data", str(tmp_path / "d")]
    assert call(["simulate", "activity", "--count", "100", *data]) == 0
    assert call(["run", "activity", "--until", "caught-up", *data]) == 0
    capfd.readouterr()
    with closing(duckdb.connect(str(tmp_path / "d/jobs/activity" / STATE))) as connection:
        connection.execute("update meta.facts set value = '1.4' where name = 'duckdb'")
    code, found = doctor("activity")
    told = found["job activity"]
    assert code == 5 and "aggregate states of DuckDB 1.4" in told["text"]
    mend = f"headrace state reset activity {' '.join(data)}"
    assert told["remedy"].endswith(f": {mend}")
    # What it says is done: the topics are read again.
    assert call([*mend.split()[1:], "--yes"]) == 0
    assert call(["run", "activity", "--until", "caught-up", *data]) == 0
    assert call(["verify", "activity", *data]) == 0
    capfd.readouterr()
    assert doctor("activity")[0] == 0


APP = """
from datetime import datetime
import headrace as hr

class Ping(hr.Event):
    who: str
    at: datetime

app = hr.App("pings")
pings = app.source(Ping, topic="pings", key="who", time="at"{more})
app.table("counts", pings{windows}.agg(n="count(*)"))
"""
MINUTES = '.tumble("1 minute")'


@pytest.mark.parametrize(
    ("more", "windows"),
    [("", MINUTES), (', idle_timeout="1 minute"', MINUTES), ("", '.by("who")')],
)
def test_a_partition_that_holds_windows_back_is_named(
    doctor: Doctor, tmp_path: Path, capfd, more: str, windows: str
) -> None:
    (tmp_path / "pings.py").write_text(APP.format(more=more, windows=windows))
    app = str(tmp_path / "pings.py")
    # Eight keys are in all three partitions: the first is alone in its own.
    lines = [
        json.dumps({"who": f"user{n}", "at": f"2026-03-01T{'10' if n else '01'}:00:00Z"})
        for n in (0, 1, 2, 3, 4, 5, 6, 7)
    ]
    lines[1:] = [line for line in lines[1:] if partition(line) != partition(lines[0])]
    (tmp_path / "pings.jsonl").write_text("\n".join(lines))
    data = ["--data", str(tmp_path / "d")]
    assert call(["ingest", app, "pings", str(tmp_path / "pings.jsonl"), *data]) == 0
    assert call(["run", app, "--until", "caught-up", *data]) == 0
    capfd.readouterr()
    code, found = doctor(app)
    assert code == 0
    held = partition(lines[0])
    if more or windows != MINUTES:
        assert found["topic pings"]["level"] == "ok"
        return
    assert found["topic pings"]["level"] == "warning"
    assert f"partition {held} holds the others back" in found["topic pings"]["text"]
    assert "idle_timeout" in found["topic pings"]["remedy"]
    assert call(["status", app, "--json", *data]) == 0
    (source,) = json.loads(capfd.readouterr().out)["jobs"][0]["sources"]
    assert source["held_back_by"] == [held]


def partition(line: str) -> int:
    return int(partitions_of(pa.array([json.loads(line)["who"].encode()]), 3)[0])
