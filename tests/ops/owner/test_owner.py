"""One owner, many readers, with real processes and real kills."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from headrace.ops.owner import (
    Client,
    Handler,
    Held,
    HolderFailed,
    HolderGone,
    Owner,
    Reply,
    acquire,
    acquire_to_run,
    perform,
    reach_or_acquire,
    wire,
)
from headrace.ops.owner.lock import Holder, announced, try_lock
from headrace.values.errors import DefinitionError, DiskRefused, UsageError
from tests.ops.owner.worker import HANDLERS, open_job

ROOT = Path(__file__).resolve().parents[3]
Worker = subprocess.Popen[str]


def nothing(content: object) -> None:
    pass


@pytest.fixture
def job(tmp_path: Path) -> Path:
    return tmp_path / "jobs" / "activity"


@pytest.fixture
def start(job: Path) -> Iterator[object]:
    started: list[Worker] = []

    def begin(*arguments: str) -> Worker:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.ops.owner.worker", str(job), *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def line(process: Worker) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def stop(process: Worker) -> list[str]:
    """Lets a run end; returns what it still said."""
    out, _ = process.communicate(timeout=20)
    return out.splitlines()


def test_a_reply_that_json_does_not_know_reaches_who_asked(job: Path) -> None:
    moment = datetime(2026, 1, 1)
    handlers: dict[str, Handler] = {
        "when": lambda request, tell: Reply({"keys": [moment, Decimal("1.50")]}),
        "odd": lambda request, tell: Reply({("no", "key"): 1}),  # type: ignore[dict-item]
    }
    with acquire(job, "query") as owner:
        owner.serve(handlers)
        with reach_or_acquire(job, "query") as reached:
            assert isinstance(reached, Client)
            assert reached.call("when", {}, nothing).header == {"keys": [str(moment), "1.50"]}
            with pytest.raises(HolderFailed, match="TypeError"):
                reached.call("odd", {}, nothing)


def test_the_first_takes_it_and_the_second_reaches_the_first(job: Path) -> None:
    with acquire(job, "query") as owner:
        owner.serve(HANDLERS)
        reached = reach_or_acquire(job, "query")
        assert isinstance(reached, Client)
        with reached:
            assert reached.holder == owner.holder
            assert reached.call("who", {}, nothing).header == {"pid": os.getpid()}
    assert isinstance(free := reach_or_acquire(job, "query"), Owner)
    free.release()


def test_rows_progress_and_errors_cross_the_socket(job: Path) -> None:
    with acquire(job, "query") as owner:
        owner.serve(HANDLERS)
        reached = reach_or_acquire(job, "query")
        assert isinstance(reached, Client)
        with reached:
            for count in (0, 1, 250_001):
                reply = reached.call("rows", {"count": count}, nothing)
                assert reply.table is not None
                assert reply.table.column("n").to_pylist() == list(range(count))
            seen: list[object] = []
            reached.call("slow", {"steps": 3, "seconds": 0}, seen.append)
            assert seen == [{"step": 0}, {"step": 1}, {"step": 2}]
            with pytest.raises(DefinitionError) as wrong:
                reached.call("wrong", {}, nothing)
            assert (wrong.value.position, wrong.value.remedy) == (4, "Look there.")
            with pytest.raises(HolderFailed, match="ZeroDivisionError: oh") as broken:
                reached.call("broken", {}, nothing)
            assert "worker.py" in broken.value.trace
            with pytest.raises(UsageError, match='Did you mean "slow"'):
                reached.call("slo", {}, nothing)
            # the conversation goes on after an error
            assert reached.call("who", {}, nothing).header == {"pid": os.getpid()}


def test_the_own_process_is_answered_until_the_end(job: Path) -> None:
    with acquire(job, "run") as owner, open_job() as handlers:
        owner.serve(handlers)
        reply = owner.answer("who", {})
        assert reply is not None
        assert reply.header == {"pid": os.getpid()}
        with pytest.raises(ZeroDivisionError, match="oh"):
            owner.answer("broken", {})
        owner.drain()
        assert owner.answer("who", {}) is None


def test_requests_wait_until_the_owner_is_ready(job: Path) -> None:
    with acquire(job, "run") as owner:
        answers: list[object] = []

        def ask() -> None:
            answers.append(perform(job, "query", "who", {}, open_job).header["pid"])

        asking = threading.Thread(target=ask)
        asking.start()
        asking.join(0.2)
        assert asking.is_alive() and not answers
        owner.serve(HANDLERS)
        asking.join(10)
        assert answers == [os.getpid()]


def test_socket_and_lock_are_for_this_user_alone(job: Path) -> None:
    with acquire(job, "query") as owner:
        address = Path(owner.holder.address)
        assert address.stat().st_mode & 0o777 == 0o600
        assert address.parent.stat().st_mode & 0o077 == 0
        assert len(str(address).encode()) < 104
    assert not address.exists()


def test_acquire_names_the_holder(job: Path) -> None:
    with acquire(job, "run") as owner, pytest.raises(Held) as refused:
        acquire(job, "reset")
    assert refused.value.exit_code == 5
    assert refused.value.holder == owner.holder
    assert f"process {os.getpid()}, since 20" in str(refused.value)


@pytest.mark.parametrize("left", [b"", b"of a process that was killed"])
def test_acquire_names_who_has_just_taken_it(job: Path, left: bytes) -> None:
    """Between taking the lock and saying so there is a moment, however short."""
    with acquire(job, "run") as before:
        said = (job / "lock").read_bytes()
    lock = try_lock(job)
    assert lock is not None
    (job / "lock").write_bytes(said if left else b"")
    owners: list[Owner] = []
    beginning = threading.Timer(0.3, lambda: owners.append(Owner(lock, "query")))
    beginning.start()
    with pytest.raises(Held) as refused:
        acquire(job, "reset")
    beginning.join()
    with owners[0] as owner:
        assert refused.value.holder == owner.holder != before.holder


def test_a_second_run_is_refused_and_named(start, job: Path) -> None:
    first = start("run")
    assert line(first).startswith("runs")
    second = start("run")
    said = stop(second)[0]
    assert said.startswith("refused Held 5 job 'activity' is held by `worker.py")
    assert f"(process {first.pid}, since" in said
    assert second.returncode == 5
    assert stop(first) == ["stopped"]


def test_a_run_waits_for_a_query_and_takes_over(start, job: Path) -> None:
    query = start("slow", "25")
    assert line(query) == "step 0"
    run = start("run")
    assert line(run) == "waits for query"
    assert query.poll() is None
    assert line(run).startswith("runs")
    assert stop(query)[-1] == f"answered by {query.pid}"
    late = start("who", "0")
    assert stop(late) == [f"answered by {run.pid}"]
    assert stop(run) == ["stopped"]


def test_after_kill_9_the_lock_is_free_at_once(start, job: Path) -> None:
    first = start("run")
    assert line(first).startswith("runs")
    stale = announced(job)
    assert stale is not None and Path(stale.address).exists()
    first.send_signal(signal.SIGKILL)
    first.wait()
    with acquire(job, "query") as owner:  # at once, and on the same socket
        assert owner.holder.address == stale.address
        owner.serve(HANDLERS)
        asking = start("who", "0")
        assert stop(asking) == [f"answered by {os.getpid()}"]


def test_a_request_survives_the_kill_of_the_holder(start, job: Path) -> None:
    first = start("run")
    assert line(first).startswith("runs")
    asking = start("slow", "30")
    assert line(asking) == "step 0"
    first.kill()
    said = stop(asking)  # it begins again, as the owner
    assert said.count("step 0") == 1 and said[-1] == f"answered by {asking.pid}"


def test_a_guest_is_served_before_the_holder_ends(start, job: Path) -> None:
    first = start("run")
    assert line(first).startswith("runs")
    asking = start("slow", "8")
    assert line(asking) == "step 0"
    assert stop(first) == ["stopped"]
    assert stop(asking)[-1] == f"answered by {first.pid}"


def test_work_for_a_guest_that_left_ends(job: Path) -> None:
    ended = threading.Event()

    def endless(request, progress):  # type: ignore[no-untyped-def]
        try:
            while True:
                progress({})
                ended.wait(0.01)
        finally:
            ended.set()

    with acquire(job, "run") as owner:
        owner.serve({"endless": endless})
        reached = reach_or_acquire(job, "query")
        assert isinstance(reached, Client)
        with pytest.raises(KeyboardInterrupt):

            def interrupt(content: object) -> None:
                raise KeyboardInterrupt

            reached.call("endless", {}, interrupt)
        reached.close()
        assert ended.wait(5)


def test_release_ends_idle_conversations(job: Path) -> None:
    owner = acquire(job, "query")
    owner.serve(HANDLERS)
    reached = reach_or_acquire(job, "query")
    assert isinstance(reached, Client)
    owner.release()
    reached.wait_until_gone()
    with pytest.raises(HolderGone):
        reached.call("who", {}, nothing)
    reached.close()


def test_a_run_that_waits_can_be_stopped(job: Path) -> None:
    stop = threading.Event()
    with acquire(job, "query") as owner, pytest.raises(KeyboardInterrupt):
        owner.serve(HANDLERS)
        acquire_to_run(job, lambda holder: stop.set(), stop)


def test_no_conversation_outlives_the_owner(job: Path) -> None:
    """At the end of the process DuckDB would find its cursors in the hands of such a thread."""
    owner = acquire(job, "query")

    def slow(request: object, progress: object) -> wire.Reply:
        time.sleep(0.3)
        return wire.Reply({})

    owner.serve({"slow": slow})
    guests = [reach_or_acquire(job, "query") for _ in range(5)]
    asking = threading.Thread(target=_ask_in_vain, args=(guests[0],))
    asking.start()
    time.sleep(0.1)
    owner.release()
    assert not [t for t in threading.enumerate() if t.name == "headrace-guest"]
    asking.join()


def _ask_in_vain(guest: Client | Owner) -> None:
    assert isinstance(guest, Client)
    with guest, contextlib.suppress(HolderGone):
        guest.call("slow", {}, nothing)


def test_many_at_once_are_all_answered(start, job: Path) -> None:
    processes = [start("slow", "1") for _ in range(8)]
    said = [stop(p) for p in processes]
    assert all(s[-1].startswith("answered by") for s in said)


def test_a_lock_that_cannot_be_written_is_said_in_words(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = try_lock(job)
    assert lock is not None

    def broken(descriptor: int, length: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "ftruncate", broken)
    with pytest.raises(DiskRefused, match=r"lock cannot be written: Input/output error"):
        lock.announce(Holder(1, "run", "headrace run", 0, ""))
    lock.release()
    assert try_lock(job) is not None


def test_a_lock_is_let_go_whatever_closing_it_says(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close, refused = os.close, []

    def refuse(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        close(descriptor)
        if path == job / "lock":
            refused.append(path)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "close", refuse)
    # What ends a run is what went wrong in it, not this.
    with pytest.raises(DiskRefused, match="full"), acquire(job, "run"):
        assert try_lock(job) is None
        raise DiskRefused("full")
    held = try_lock(job)
    assert held is not None and len(refused) == 2
    held.release()
