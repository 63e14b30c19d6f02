"""A file that a bad disk cut, changed or lost: refused in words that name it and the way on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace import HeadraceError, StateRefused, UsageError
from headrace.apps.activity import app
from headrace.cli.main import call
from headrace.ops.jobs.opened import opened
from headrace.ops.jobs.states import what_a_reset_loses
from headrace.values.settings import load_settings
from tests.faults.activity_runs import check_same, result, run
from tests.faults.conftest import Undisturbed

_COMMIT = "lakes/activity/_delta_log/00000000000000000000.json"


def test_a_commit_of_a_lake_that_is_gone(small: Undisturbed, tmp_path: Path) -> None:
    data = small.finished(tmp_path / "d")
    (data / _COMMIT).unlink()
    done = run(data)
    assert done.returncode == 5, done.stderr
    assert str((data / _COMMIT).parent) in done.stderr and "is damaged" in done.stderr
    assert "from a backup" in done.stderr


@pytest.mark.parametrize("command", ["verify", "recompute"])
def test_a_bit_of_a_lake(
    command: str, small: Undisturbed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Most of them decode, as other values: a recompute would then "correct" what is right.
    data = small.finished(tmp_path / "d")
    path = max((data / "lakes").rglob("headrace-*.parquet"), key=lambda p: p.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)
    assert call([command, "activity", "--data", str(data)]) == 5
    said = "".join(capsys.readouterr().err.split())
    assert str(path) in said and "isnotwhatwaswritten" in said and "fromabackup" in said


@pytest.mark.parametrize("how", ["cut", "flipped", "missing"])
def test_a_data_file_of_a_lake(how: str, small: Undisturbed, tmp_path: Path) -> None:
    data = small.finished(tmp_path / "d")
    path = max((data / "lakes").rglob("*.parquet"), key=lambda p: p.stat().st_size)
    if how == "cut":
        os.truncate(path, path.stat().st_size - 1)
    elif how == "flipped":
        path.write_bytes(path.read_bytes()[:-4] + b"QAR1")
    else:
        path.unlink()
    with pytest.raises(StateRefused, match=r"(?s)is damaged or missing.*from a backup") as refused:
        app.verify(data=data)
    assert str(path) in str(refused.value)


def test_a_query_names_the_damaged_file_of_a_lake(small: Undisturbed, tmp_path: Path) -> None:
    # DuckDB itself names it seldom, and often says nothing that sounds of damage.
    data = small.finished(tmp_path / "d")
    path = max((data / "lakes").rglob("headrace-*.parquet"), key=lambda p: p.stat().st_size)
    whole = path.read_bytes()
    [job] = app.plan.jobs
    refused = 0
    with opened(job, load_settings(overrides={"data": data})) as answers:
        for at in range(len(whole) - 1500, len(whole), 7):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
            try:
                answers["query"]({"sql": "from lake.activity"}, lambda content: None)
            except HeadraceError as error:
                assert isinstance(error, StateRefused) and str(path) in str(error), (at, error)
                assert "Restore the lake's directory from a backup" in str(error)
                refused += 1
        path.write_bytes(whole)
        for sql in ("from lake.nothing, lake.activity", "select 1 +, a from lake.activity"):
            with pytest.raises(UsageError):
                answers["query"]({"sql": sql}, lambda content: None)
    assert refused > 10


_STATE = "jobs/activity/job.duckdb"
_HEADERS_BYTES, _BLOCK_BYTES = 3 << 12, 1 << 18


def _data(data: Path) -> list[str]:
    return ["--data", str(data)]


def _damage_blocks(data: Path) -> None:
    path = data / _STATE
    content = bytearray(path.read_bytes())
    # Behind the headers, so that it opens.
    for at in range(1 << 18, len(content), 1 << 12):
        content[at] ^= 1
    path.write_bytes(content)


def _cut(data: Path) -> None:
    os.truncate(data / _STATE, 100)


def _lose_all_but_the_log(data: Path) -> None:
    (data / _STATE).rename(data / f"{_STATE}.wal")


_DAMAGES = [_damage_blocks, _cut, _lose_all_but_the_log]


@pytest.mark.parametrize(
    "command",
    [
        ["run", "APP", "--until", "caught-up"],
        ["verify", "APP"],
        ["query", "APP", "from active_users"],
        ["state", "rebuild", "APP", "active_users"],
        ["state", "seek", "APP", "--from", "latest", "--yes"],
        ["dead-letters", "replay", "APP"],
    ],
    ids=" ".join,
)
def test_a_state_whose_blocks_are_not_what_they_were(
    command: list[str], small: Undisturbed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = small.finished(tmp_path / "d")
    _damage_blocks(data)
    words = ["activity" if word == "APP" else word for word in command]
    code, said = call([*words, "--data", str(data)]), capsys.readouterr().err
    assert code == 5, said
    assert f"error: {data / _STATE} is damaged: " in said
    assert "headrace state reset activity --data" in said


def test_any_block_of_a_state(
    small: Undisturbed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Most are read late, by whoever needs them, and a reset needs few of them.
    codes = set()
    for at in range(_HEADERS_BYTES, (small.whole / _STATE).stat().st_size, _BLOCK_BYTES):
        data = small.finished(tmp_path / "d")
        with (data / _STATE).open("r+b") as file:
            file.seek(at + 5000)
            file.write(b"damaged")
        codes.add(call(["state", "seek", "activity", "--from", "latest", "--yes", *_data(data)]))
        said = capsys.readouterr().err
        assert not said or f"error: {data / _STATE} is damaged: " in said, at
        assert call(["state", "reset", "activity", "--yes", *_data(data)]) == 0, at
        lost = what_a_reset_loses("activity", load_settings(overrides={"data": data}))
        assert lost["damaged"] is None and lost["generation"] == 2, at
        shutil.rmtree(data)
    assert codes == {0, 5}


@pytest.mark.parametrize("damage", _DAMAGES)
def test_a_reset_begins_anew_where_the_state_cannot_be_read(
    damage: Callable[[Path], None],
    small: Undisturbed,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = small.finished(tmp_path / "d")
    damage(data)
    there = {p.name: p.read_bytes() for p in (data / _STATE).parent.glob("job.duckdb*")}
    done = run(data)
    assert done.returncode == 5, done.stderr
    assert done.stderr.startswith(f"StateDamaged: {data / _STATE} ")
    assert "headrace state reset APP" in done.stderr
    assert call(["state", "reset", "activity", "--yes", "--data", str(data)]) == 0
    capsys.readouterr()
    # What was there is kept, for whoever can read it.
    aside = {p.name: p.read_bytes() for p in (data / _STATE).parent.glob("*.damaged")}
    assert aside == {f"{name}.damaged": content for name, content in there.items()}
    # Fewer epochs than the lake holds.
    done = run(data, settings={"epoch_records_max": 100_000})
    assert done.returncode == 0, done.stderr
    check_same(result(data), small.result)


def test_a_reset_says_first_that_nothing_can_be_read(
    small: Undisturbed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = small.finished(tmp_path / "d")
    _cut(data)
    wanted = (data / _STATE).read_bytes()
    # Nobody is there to agree.
    assert call(["state", "reset", "activity", "--data", str(data)]) == 2
    said = capsys.readouterr().err
    assert f"{data / _STATE} " in said and "This puts it aside" in said
    assert (data / _STATE).read_bytes() == wanted


def _forget(data: Path) -> None:
    for path in (data / _STATE).parent.glob("job.duckdb*"):
        path.unlink()


def _forget_the_last_epochs(data: Path) -> None:
    log = data / f"{_STATE}.wal"
    os.truncate(log, log.stat().st_size // 2)


@pytest.mark.parametrize(
    ("point", "lose"),
    [
        # One output was opened and given nothing; some were; all have all.
        ("lake.created", _forget),
        ("state.committed:4", _forget),
        ("", _forget),
        ("state.committed:5", _forget_the_last_epochs),
    ],
)
def test_a_state_that_is_lost_or_older_is_named(
    point: str, lose: Callable[[Path], None], small: Undisturbed, tmp_path: Path
) -> None:
    data = small.copy(tmp_path / "d")
    run(data, kill_at=point, settings={"epoch_records_max": 2000})
    lose(data)
    done = run(data)
    assert done.returncode == 5, done.stderr
    assert f" {data / _STATE} " in done.stderr and "headrace state reset APP" in done.stderr
