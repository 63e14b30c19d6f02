"""A state that is killed, from its first byte on."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

import headrace.storage.state.store as store_module
from headrace.storage.state.store import ENGINE_VERSION, StateStore
from headrace.values.errors import DiskRefused, StateDamaged, StateRefused, UsageError

OPENING = """
import sys, time
from pathlib import Path
from headrace.storage.state.store import StateStore
with StateStore(Path(sys.argv[1]), threads=1, memory_limit="1GB"):
    print("opened", flush=True)
    time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
"""

_OPENS = """
import resource, sys
from pathlib import Path
from headrace.storage.state.store import StateStore
from headrace.values.errors import HeadraceError
directory, room = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
try:
    StateStore(directory, threads=1, memory_limit="200MB")
except HeadraceError as error:
    print(type(error).__name__, error)
"""


def test_a_file_that_was_being_made_opens(tmp_path: Path) -> None:
    # Whoever makes it may be killed at any byte of the engine's log.
    with StateStore(tmp_path / "whole", threads=1, memory_limit="200MB") as store:
        copies = {p.name: p.read_bytes() for p in store.path.parent.iterdir() if p.is_file()}
    log = copies.pop("job.duckdb.wal")
    for number, size in enumerate(range(0, len(log), max(1, len(log) // 60))):
        directory = tmp_path / str(number)
        directory.mkdir()
        for name, content in copies.items():
            (directory / name).write_bytes(content)
        (directory / "job.duckdb.wal").write_bytes(log[:size])
        with StateStore(directory, threads=1, memory_limit="200MB") as again:
            assert again.fact("duckdb") == ENGINE_VERSION


def test_the_log_of_an_earlier_file_is_refused_by_its_name(tmp_path: Path) -> None:
    with StateStore(tmp_path, threads=1, memory_limit="200MB") as store:
        log = store.path.with_name("job.duckdb.wal")
        earlier = log.read_bytes()
        store.connection.execute("checkpoint")
        store.connection.execute("create table t (x integer)")
        store.connection.execute("checkpoint")
    log.write_bytes(earlier)
    with pytest.raises(StateDamaged, match=f"^{log} cannot be read: .*older version") as refused:
        StateStore(tmp_path, threads=1, memory_limit="200MB")
    assert "headrace state reset" in str(refused.value.remedy)


@pytest.mark.parametrize(
    ("limit", "refused"), [("64KB", DiskRefused), ("99999999999GB", UsageError)]
)
def test_a_wrong_memory_limit_is_no_damage(
    tmp_path: Path, limit: str, refused: type[Exception]
) -> None:
    StateStore(tmp_path, threads=1, memory_limit="200MB").close()
    with pytest.raises(refused):
        StateStore(tmp_path, threads=1, memory_limit=limit)
    StateStore(tmp_path, threads=1, memory_limit="200MB").close()


def test_too_little_memory_is_told_in_words_wherever_it_ends(tmp_path: Path) -> None:
    with StateStore(tmp_path, threads=1, memory_limit="200MB") as store, store.transaction():
        store.count(("view", f"view {number}", "applied", 1) for number in range(5_000))
    told = 0
    for limit_kb in range(50, 1_500, 50):
        try:
            StateStore(tmp_path, threads=1, memory_limit=f"{limit_kb}KB").close()
        except DiskRefused as refused:
            told += "HEADRACE_MEMORY_LIMIT" in str(refused)
    assert told


def test_a_log_is_taken_in_the_sooner_the_less_there_is_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.storage.state.store._LOG_BYTES_IDLE", 1 << 10)
    monkeypatch.setattr("headrace.storage.state.store._LOG_BYTES_BUSY", 1 << 18)
    with StateStore(tmp_path, threads=1, memory_limit="200MB") as store:
        log = store.path.with_name("job.duckdb.wal")

        def written(kib: int) -> int:
            store.connection.execute(f"insert into t select repeat('x', 1024) from range({kib})")
            return log.stat().st_size

        store.connection.execute("create table t (x text)")
        assert written(16) > 1 << 10
        assert not store.checkpoint_if_long(busy=True)
        assert store.checkpoint_if_long() and not log.exists()
        assert 1 << 18 < written(300) < 2 * store.path.stat().st_size
        assert not store.checkpoint_if_long(busy=True)
        while written(300) < 2 * store.path.stat().st_size:
            pass
        assert store.checkpoint_if_long(busy=True) and not log.exists()
        assert store.rows("select count(*) > 316 from t") == [(True,)]


@pytest.mark.parametrize("room_bytes", [0, 100, 4096, 8192])
def test_a_file_that_could_not_be_made_whole_is_none(tmp_path: Path, room_bytes: int) -> None:
    made = subprocess.run(
        [sys.executable, "-c", _OPENS, str(tmp_path), str(room_bytes)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout.startswith("DiskRefused"), made.stdout
    assert str(tmp_path) in made.stdout and os.strerror(errno.EFBIG) in made.stdout
    with StateStore(tmp_path, threads=1, memory_limit="200MB") as store:
        assert store.fact("duckdb") == ENGINE_VERSION


LONG = "select count(*) from range(20000) a(i), range(3000000) b(i) where a.i % 7 + b.i % 5 = 3"


def opened_elsewhere(directory: Path) -> str:
    """What another process says that opens the state now."""
    arguments = [sys.executable, "-c", OPENING, str(directory)]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60).stdout


def test_whoever_reads_while_it_is_closed_is_interrupted(tmp_path: Path) -> None:
    store = StateStore(tmp_path, threads=1, memory_limit="1GB")
    cursor = store.cursor()
    said: list[BaseException] = []

    def read() -> None:
        try:
            cursor.execute(LONG).fetchall()
        except duckdb.InterruptException as error:
            said.append(error)

    reading = threading.Thread(target=read)
    reading.start()
    time.sleep(0.5)
    store.close()
    reading.join(10)
    assert len(said) == 1
    assert opened_elsewhere(tmp_path) == "opened\n"


@pytest.mark.parametrize("patience", [20.0, 0.1])
def test_who_had_it_before_may_have_it_open_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    monkeypatch.setattr(store_module, "_ENDING_SECONDS_MAX", patience)
    arguments = [sys.executable, "-c", OPENING, str(tmp_path), "2"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as before:
        assert before.stdout is not None
        assert before.stdout.readline() == "opened\n"
        if patience < 1:
            with pytest.raises(StateRefused, match="open in another program"):
                StateStore(tmp_path, threads=1, memory_limit="1GB")
        else:
            StateStore(tmp_path, threads=1, memory_limit="1GB").close()
        assert before.wait() == 0
