"""A writer killed between any two durable steps leaves whole epochs, and goes on exactly."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from headrace.storage.lake.log import load_mended
from headrace.storage.lake.reading import read_mark
from headrace.values.errors import DiskRefused, StateRefused
from tests.storage.deliverer import run
from tests.storage.lake.lakes import (
    EVENT,
    JOB,
    data_files,
    delta_rows,
    event,
    events,
    lake,
    log_files,
    mark,
    ordered,
    rows,
)

POINTS = [
    "lake.created",
    "lake.fenced",
    "lake.file.written:2",
    "lake.file.renamed:2",
    "lake.files.synced:2",
    "lake.committed:3",
    "lake.commit.synced:3",
    "lake.digests.noted:3",
    "lake.compaction.written",
    "lake.committed:10",
    "lake.checkpoint.written",
    "lake.file.removed",
    "lake.log.removed:5",
    "lake.digests.written",
    "lake.digests.replaced",
]
EPOCHS = 60


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_writer_goes_on(tmp_path: Path, point: str) -> None:
    directory = tmp_path / "lake"
    epochs = EPOCHS * 2 if "removed" in point or "digests" in point else EPOCHS
    code, lines = run("lake", directory, 1, epochs, kill_at=point)
    assert code == -9, f"{point} was never reached"
    taken = int(lines[-1].split()[1]) if lines else 0
    there = read_mark(directory, JOB)
    reached = 0 if there is None else there.epoch
    assert taken <= reached <= taken + 1
    whole = ordered([event(n) for n in range(reached * 10)])
    assert rows(directory) == whole
    assert delta_rows(directory) == whole
    code, lines = run("lake", directory, 2, epochs)
    assert (code, lines[0]) == (0, f"mark {reached}")
    wanted = ordered([event(n) for n in range(epochs * 10)])
    assert rows(directory) == delta_rows(directory) == wanted


def test_what_a_crash_left_is_cleaned_up(tmp_path: Path) -> None:
    directory = tmp_path / "lake"
    assert run("lake", directory, 1, 5, kill_at="lake.files.synced:3")[0] == -9
    left = set(data_files(directory)) - {Path(u) for u in DeltaTable(str(directory)).file_uris()}
    assert len(left) == 1
    assert run("lake", directory, 2, 120)[0] == 0
    assert not left & set(data_files(directory))


@pytest.mark.parametrize("torn", [b"", b'{"commitInfo":{"time', b"\0" * 300])
def test_a_torn_last_commit_is_taken_back(tmp_path: Path, torn: bytes) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    target.deliver(events(0, 10), mark(1))
    path = target.directory / "_delta_log" / f"{2:020}.json"
    path.write_bytes(torn)
    again = lake(tmp_path / "lake")
    assert again.open(JOB, 2) == mark(1)
    again.deliver(events(10, 10), mark(2))
    assert rows(target.directory) == ordered([event(n) for n in range(20)])


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_last_commit_that_ends_with_a_line_is_torn_too(tmp_path: Path, lines: int) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    for epoch in (1, 2):
        target.deliver(events((epoch - 1) * 10, 10), mark(epoch))
    log = target.directory / "_delta_log"
    *_, newest = sorted(log.glob("*.json"))
    whole = newest.read_text().splitlines()
    assert len(whole) > lines
    newest.write_text("\n".join(whole[:lines]))
    (log / "_headrace_digests").unlink()
    again = lake(tmp_path / "lake")
    assert again.open(JOB, 2) == mark(1)
    again.deliver(events(10, 10), mark(2))
    assert rows(target.directory) == ordered([event(n) for n in range(20)])


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("separator", ["\n", "\r\n", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_commit_whose_rows_hold_line_ends_is_whole(
    tmp_path: Path, separator: str, noted: bool
) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    row = event(0) | {"user_id": f"one{separator}other"}
    target.deliver(pa.Table.from_pylist([row], schema=EVENT), mark(1))
    if not noted:
        (target.directory / "_delta_log" / "_headrace_digests").unlink()
    assert lake(target.directory).open(JOB, 2) == mark(1)
    assert rows(target.directory) == [row]


@pytest.mark.parametrize("size", [0, 100])
def test_a_torn_checkpoint_is_taken_back(tmp_path: Path, size: int) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    for epoch in range(1, 56):
        target.deliver(events(epoch * 2, 2), mark(epoch))
    (checkpoint,) = (target.directory / "_delta_log").glob("*.checkpoint.parquet")
    checkpoint.write_bytes(checkpoint.read_bytes()[:size])
    again = lake(tmp_path / "lake")
    assert again.open(JOB, 2) == mark(55)
    assert len(rows(target.directory)) == 110
    assert checkpoint.name not in log_files(target.directory)


@pytest.mark.parametrize(
    ("point", "torn"),
    [
        ("lake.hint.removed", True),
        ("lake.torn.removed", True),
        ("lake.mended", True),
        ("lake.damaged.renamed", False),
    ],
)
def test_a_writer_killed_while_it_mends_goes_on(tmp_path: Path, point: str, torn: bool) -> None:
    directory = tmp_path / "lake"
    target = lake(directory)
    target.open(JOB, 1)
    for epoch in range(1, EPOCHS + 1):
        target.deliver(events((epoch - 1) * 10, 10), mark(epoch))
    log = directory / "_delta_log"
    if torn:
        *_, newest = sorted(log.glob("*.json"))
        newest.write_bytes(newest.read_bytes()[:100])
        # It was not noted yet: what was noted is durable, and damaged where it differs.
        (log / "_headrace_digests").unlink()
    else:
        [checkpoint] = log.glob("*.checkpoint.parquet")
        content = bytearray(checkpoint.read_bytes())
        content[len(content) // 2] ^= 1
        checkpoint.write_bytes(content)
    assert run("lake", directory, 2, EPOCHS, kill_at=point)[0] == -9, f"{point} was never reached"
    code, lines = run("lake", directory, 3, EPOCHS + 5)
    assert (code, lines[0]) == (0, f"mark {EPOCHS - torn}")
    wanted = ordered([event(n) for n in range((EPOCHS + 5) * 10)])
    assert rows(directory) == delta_rows(directory) == wanted


def test_nothing_to_mend_is_not_mended(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    before = log_files(target.directory)
    assert load_mended(target.directory) is not None
    assert log_files(target.directory) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("step", ["file", "commit"])
def test_a_full_disk_is_said_and_survived(small_disk: Path, tmp_path: Path, step: str) -> None:
    elsewhere = lake(tmp_path / "lake")
    elsewhere.open(JOB, 1)
    elsewhere.deliver(events(10, 3000), mark(2))
    pages = sum(-(-path.stat().st_size // 4096) for path in data_files(elsewhere.directory))
    target = lake(small_disk / "lake")
    target.open(JOB, 1)
    target.deliver(events(0, 10), mark(1))
    left = pages * 4096 if step == "commit" else 4096
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - left))
    for _ in range(2):
        with pytest.raises(DiskRefused, match="No space left"):
            target.deliver(events(10, 3000), mark(2))
        assert rows(target.directory) == ordered([event(n) for n in range(10)])
        assert len(data_files(target.directory)) == 1
        ballast.write_bytes(b"x" * (shutil.disk_usage(small_disk).free + ballast.stat().st_size))
    ballast.unlink()
    assert target.deliver(events(10, 3000), mark(2)) == 3000
    assert rows(target.directory) == ordered([event(n) for n in range(3010)])


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("pages", [1, 2, 3])
def test_a_disk_that_fills_up_inside_of_a_file_is_said(small_disk: Path, pages: int) -> None:
    target = lake(small_disk / "lake")
    target.open(JOB, 1)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - pages * 4096))
    with pytest.raises(DiskRefused, match="No space left"):
        target.deliver(events(0, 20_000), mark(1))
    ballast.unlink()
    assert target.deliver(events(0, 20_000), mark(1)) == 20_000


def test_no_permission_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskRefused, match="Not a directory"):
        lake(tmp_path / "file" / "lake").open(JOB, 1)


def test_a_lake_that_is_deleted_meanwhile_is_not_begun_anew(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    target.deliver(events(0, 10), mark(1))
    shutil.rmtree(target.directory)
    with pytest.raises(StateRefused, match="deleted while it was in use"):
        target.deliver(events(10, 10), mark(2))
    assert not target.directory.exists()
