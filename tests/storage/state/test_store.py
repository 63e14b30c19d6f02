"""A state that is killed, from its first byte on."""

from __future__ import annotations

from pathlib import Path

from headrace.storage.state.store import ENGINE_VERSION, StateStore


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
