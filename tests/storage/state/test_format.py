"""A state file of another format, or of another engine, is refused and stays as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from headrace.storage.state.schema import FORMAT
from headrace.storage.state.store import ENGINE_VERSION, FILE_NAME, StateStore
from headrace.values.errors import StateRefused


@pytest.mark.parametrize(("name", "value"), [("format", "77"), ("duckdb", "1.9")])
@pytest.mark.parametrize("logged", [False, True], ids=["closed", "killed"])
def test_it_is_not_touched(name: str, value: str, logged: bool, tmp_path: Path) -> None:
    directory = _of_another(tmp_path, name, value, logged)
    before = _contents(directory)
    with pytest.raises(StateRefused, match=value):
        StateStore(directory, threads=1, memory_limit="200MB")
    assert _contents(directory) == before


def test_parts_of_state_are_no_longer_named_as_other_views_may_be(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / FILE_NAME)) as connection:
        for statement in ("create schema meta", "create schema state", *_OF_FORMAT_4):
            connection.execute(statement)
        views = ["orders", "marked", "orders.open", "plain.x.seen"]
        parts = ["orders.changed", "marked.open", "marked.seen0", "orders.open.seen12"]
        # Of a stream, which is no view.
        parts.append("copies.of-all.seen1")
        for name in [*views, *parts]:
            connection.execute(f"""create table state."{name}" as select '{name}' as name""")
        connection.executemany("insert into meta.views values (?, '', 1)", [[v] for v in views])
        connection.execute("insert into meta.outbox values (7, 'orders', 0, null, 'abc'::blob)")
    with StateStore(tmp_path, threads=1, memory_limit="200MB") as store:
        tables = store.rows(
            "select table_name from information_schema.tables where table_schema = 'state'"
        )
        renamed = {p: ":".join(p.rsplit(".", 1)) for p in parts}
        assert {name for (name,) in tables} == {*views, *renamed.values()}
        for before, now in [*zip(views, views, strict=True), *renamed.items()]:
            assert store.rows(f'select name from state."{now}"') == [(before,)]
        assert store.rows("from meta.outbox") == [(7, "orders", b"abc")]
        assert store.fact("format") == str(FORMAT)


_OF_FORMAT_4 = (
    "create table meta.facts (name varchar primary key, value varchar)",
    f"insert into meta.facts values ('format', '4'), ('duckdb', '{ENGINE_VERSION}')",
    "create table meta.views (view varchar, fingerprint varchar, since_epoch bigint)",
    "create table meta.outbox "
    "(epoch bigint, output varchar, position bigint, key blob, value blob)",
)


def _of_another(directory: Path, name: str, value: str, logged: bool) -> Path:
    """A state whose tables are not ours; `logged`, its last change stands in the engine's log."""
    made = directory / "made"
    made.mkdir()
    connection = duckdb.connect(str(made / FILE_NAME))
    connection.execute("create schema meta")
    connection.execute("create table meta.facts (name varchar primary key, value varchar)")
    connection.execute("create table meta.other (n integer)")
    facts = {"format": str(FORMAT), "duckdb": ENGINE_VERSION} | {name: value}
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
