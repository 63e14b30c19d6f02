"""A state file of another format, or of another engine, is refused and stays as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from headrace.storage.state.store import FILE_NAME, StateStore
from headrace.values.errors import StateRefused


@pytest.mark.parametrize(("name", "value"), [("format", "77"), ("duckdb", "1.9")])
@pytest.mark.parametrize("logged", [False, True], ids=["closed", "killed"])
def test_it_is_not_touched(name: str, value: str, logged: bool, tmp_path: Path) -> None:
    directory = _of_another(tmp_path, name, value, logged)
    before = _contents(directory)
    with pytest.raises(StateRefused, match=value):
        StateStore(directory, threads=1, memory_limit="200MB")
    assert _contents(directory) == before


def _of_another(directory: Path, name: str, value: str, logged: bool) -> Path:
    """A state whose tables are not ours; `logged`, its last change stands in the engine's log."""
    made = directory / "made"
    made.mkdir()
    connection = duckdb.connect(str(made / FILE_NAME))
    connection.execute("create schema meta")
    connection.execute("create table meta.facts (name varchar primary key, value varchar)")
    connection.execute("create table meta.other (n integer)")
    facts = {"format": "4", "duckdb": "2.0"} | {name: value}
    connection.executemany("insert into meta.facts values (?, ?)", list(facts.items()))
    connection.execute("checkpoint")
    if logged:
        connection.execute("insert into meta.other values (1)")
        kept = directory / "kept"
        shutil.copytree(made, kept)
        connection.close()
        return kept
    connection.close()
    return made


def _contents(directory: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in directory.rglob("*") if p.is_file()}
