"""Topics, states and destinations that are not what a job left behind; and what only looks so."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from headrace.apps.activity import app
from headrace.cli.main import call
from headrace.ops.jobs.states import reset
from headrace.storage.topics.log import LocalTopic
from headrace.values.settings import load_settings
from tests.faults.activity_runs import check_same, result, run, write_log
from tests.faults.conftest import Undisturbed
from tests.proof.letting_go import take_all


def test_a_log_of_dead_letters_alone_is_read_again_and_again(tmp_path: Path) -> None:
    LocalTopic.ensure(tmp_path / "topics", "user_activity", 3).append(pa.array([b"nonsense"]))
    for _ in range(2):
        done = run(tmp_path)
        assert done.returncode == 0, done.stderr
    [proof] = app.verify(data=tmp_path)
    assert proof.holds


@pytest.mark.parametrize("way", ["seek", "run"])
def test_an_older_state_whose_next_records_are_gone_is_told_the_way_that_leads_on(
    way: str, small: Undisturbed, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Reading on behind what is gone is a way for the state that delivered last alone."""
    data = small.copy(tmp_path / "d")
    done = run(data, kill_at="state.committed:5", settings={"epoch_records_max": 2000})
    assert done.returncode == -9
    shutil.copytree(data / "jobs", tmp_path / "older")
    assert run(data).returncode == 0
    take_all(LocalTopic.open(data / "topics", "user_activity"))
    shutil.rmtree(data / "jobs")
    shutil.copytree(tmp_path / "older", data / "jobs")
    if way == "run":
        done = run(data)
        code, told = done.returncode, done.stderr
    else:
        line = ["state", "seek", "activity", "user_activity", "--from", "earliest", "--yes"]
        code, told = call([*line, "--data", str(data)]), capfd.readouterr().err
    assert code == 5 and "the state is older than what it delivered" in told
    found = re.findall(r"headrace (state .*?) (?:APP|activity)", told)
    assert found == ["state reset"]
    assert call([*found[0].split(), "activity", "--yes", "--data", str(data)]) == 0
    done = run(data)
    assert done.returncode == 0, done.stderr
    [proof] = app.verify(data=data)
    assert proof.holds


def test_a_state_whose_next_records_are_gone_and_that_delivered_last_goes_on(
    small: Undisturbed, tmp_path: Path
) -> None:
    data = small.finished(tmp_path / "d")
    write_log(data, 1000, seed=8)
    topic = LocalTopic.open(data / "topics", "user_activity")
    for reader in topic.readers():
        topic.forget_reader(reader)
    take_all(topic)
    done = run(data)
    assert done.returncode == 5 and "was to be read next" in done.stderr
    [found] = re.findall(r"headrace (state seek) APP (user_activity --from earliest)", done.stderr)
    line = [*found[0].split(), "activity", *found[1].split()]
    assert call([*line, "--yes", "--data", str(data)]) == 0
    done = run(data)
    assert done.returncode == 0, done.stderr


def test_a_topic_made_again(small: Undisturbed, tmp_path: Path) -> None:
    data = small.finished(tmp_path / "d")
    aside = data / "topics" / "user_activity"
    kept = aside.rename(tmp_path / "kept")
    write_log(data, 1000, seed=8)
    done = run(data)
    assert done.returncode == 5
    assert done.stderr == (
        'TopicRefused: Topic "user_activity" was deleted and made again since this job read it, '
        "or is another cluster's\n"
        "Go on with the new one, and keep what is computed: "
        "headrace state seek APP user_activity --from earliest\n"
        "Or begin anew with it: headrace state reset APP\n"
    )
    shutil.rmtree(aside)
    kept.rename(aside)
    assert run(data).returncode == 0
    check_same(result(data), small.result)


def test_a_new_generation_goes_on_behind_what_the_last_delivered(
    small: Undisturbed, tmp_path: Path
) -> None:
    data = small.finished(tmp_path / "d")
    assert reset("activity", load_settings(overrides={"data": data})) == 2
    done = run(data, kill_at="state.committed:5", settings={"epoch_records_max": 2000})
    assert done.returncode == -9
    done = run(data)
    assert done.returncode == 0, done.stderr
    check_same(result(data), small.result)


def test_an_older_state_goes_on_behind_what_was_delivered(
    small: Undisturbed, tmp_path: Path
) -> None:
    data = small.copy(tmp_path / "d")
    done = run(data, kill_at="state.committed:5", settings={"epoch_records_max": 2000})
    assert done.returncode == -9
    shutil.copytree(data / "jobs", tmp_path / "older")
    assert run(data).returncode == 0
    shutil.rmtree(data / "jobs")
    shutil.copytree(tmp_path / "older", data / "jobs")
    done = run(data)
    assert done.returncode == 5
    assert "the state is older than what it delivered" in done.stderr
    assert reset("activity", load_settings(overrides={"data": data})) == 2
    done = run(data)
    assert done.returncode == 0, done.stderr
    check_same(result(data), small.result)


@pytest.mark.parametrize("start", [(), ("--from", "earliest")], ids=["", "earliest"])
def test_a_state_that_was_lost_is_reset_before_anything_runs(
    start: tuple[str, ...], small: Undisturbed, tmp_path: Path
) -> None:
    # No run has told the state how far the epochs are that the lake holds; there are fewer now.
    data = small.finished(tmp_path / "d")
    shutil.rmtree(data / "jobs")
    assert call(["state", "reset", "activity", "--yes", "--data", str(data), *start]) == 0
    done = run(data, settings={"epoch_records_max": 100_000})
    assert done.returncode == 0, done.stderr
    check_same(result(data), small.result)


def test_a_state_of_another_format(small: Undisturbed, tmp_path: Path) -> None:
    data = small.finished(tmp_path / "d")
    before = _set_format(data, "999")
    done = run(data)
    assert done.returncode == 5
    assert "has format 999, this version reads" in done.stderr
    assert "Use the version of Headrace that wrote it" in done.stderr
    _set_format(data, before)
    assert run(data).returncode == 0
    check_same(result(data), small.result)


def test_a_state_that_is_no_state(small: Undisturbed, tmp_path: Path) -> None:
    data = small.copy(tmp_path / "d")
    state = data / "jobs" / "activity" / "job.duckdb"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"nothing that a database ever wrote" * 1000)
    done = run(data)
    assert done.returncode == 5
    assert done.stderr.startswith(f"StateDamaged: {state} cannot be read: ")


def test_a_lake_that_was_deleted(small: Undisturbed, tmp_path: Path) -> None:
    data = small.finished(tmp_path / "d")
    lake = data / "lakes" / "activity"
    kept = lake.rename(tmp_path / "kept")
    done = run(data)
    assert done.returncode == 5
    assert done.stderr.startswith("StateRefused: lake activity has lost what ")
    shutil.rmtree(lake, ignore_errors=True)
    kept.rename(lake)
    assert run(data).returncode == 0
    check_same(result(data), small.result)


def _set_format(data: Path, number: str) -> str:
    """Writes the number of another format into a state; returns the one that was there."""
    with duckdb.connect(str(data / "jobs" / "activity" / "job.duckdb")) as state:
        [(found,)] = state.execute("select value from meta.facts where name = 'format'").fetchall()
        state.execute("update meta.facts set value = ? where name = 'format'", [number])
    return str(found)
