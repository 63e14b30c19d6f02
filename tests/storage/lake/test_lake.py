"""Deliveries land once, with their mark, and every reader sees the same rows."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from headrace.storage.contract import Mark
from headrace.storage.lake.columns import METADATA
from headrace.storage.lake.lake import DeltaLake
from headrace.storage.lake.reading import live_files, read_mark, relation_sql, version
from headrace.values.errors import DefinitionError, StateRefused
from tests.storage.lake.lakes import (
    EVENT,
    JOB,
    delta_rows,
    event,
    events,
    lake,
    mark,
    ordered,
    rows,
)


def test_rows_and_mark_land_together_and_all_readers_agree(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake")
    assert target.open(JOB, 1) is None
    assert target.deliver(events(0, 100), mark(1)) == 100
    assert target.deliver(events(100, 50), mark(3)) == 50
    target.close()
    wanted = ordered([event(n) for n in range(150)])
    assert rows(target.directory) == wanted
    assert delta_rows(target.directory) == wanted
    table = DeltaTable(str(target.directory))
    counted = QueryBuilder().register("l", table).execute("select count(*) n from l").read_all()
    assert pa.table(counted).to_pylist() == [{"n": 150}]
    assert read_mark(target.directory, JOB) == mark(3)


def test_other_tools_need_no_special_features(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    target.deliver(events(0, 10), mark(1))
    table = DeltaTable(str(target.directory))
    protocol = table.protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)
    fields = {f.name: f.type for f in pa.schema(table.schema().to_arrow())}
    assert fields["event_time"] == fields["_arrival_time"] == pa.timestamp("us", tz="UTC")


def test_a_delivery_again_adds_nothing(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    target.deliver(events(0, 10), mark(4))
    for epoch in (4, 3):
        assert target.deliver(events(0, 10), mark(epoch)) == 10
    again = lake(tmp_path / "lake")
    assert again.open(JOB, 2) == mark(4)
    assert again.deliver(events(0, 10), mark(4)) == 10
    assert len(rows(target.directory)) == 10


def test_a_greater_generation_goes_on(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    target.deliver(events(0, 10), mark(7, generation=1))
    target.deliver(events(10, 10), mark(1, generation=2))
    assert target.deliver(events(10, 10), mark(8, generation=1)) == 10
    assert rows(target.directory) == ordered([event(n) for n in range(20)])
    assert read_mark(target.directory, JOB) == mark(1, generation=2)


def test_a_delivery_without_rows_moves_the_mark(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    assert target.deliver(events(0, 0), mark(1)) == 0
    assert read_mark(target.directory, JOB) == mark(1)
    assert rows(target.directory) == [] == live_files(target.directory)
    with duckdb.connect() as connection:
        types = connection.sql(relation_sql(target.directory)).types
    assert [str(t) for t in types[:3]] == ["TIMESTAMP", "VARCHAR", "DATE"]


def test_before_anything_was_written(tmp_path: Path) -> None:
    directory = tmp_path / "lake"
    assert (version(directory), read_mark(directory, JOB), live_files(directory)) == (
        None,
        None,
        [],
    )
    with pytest.raises(StateRefused, match="There is no lake"):
        relation_sql(directory)
    with duckdb.connect() as connection:
        empty = connection.sql(relation_sql(directory, schema=EVENT))
        assert empty.columns == EVENT.names and empty.fetchall() == []
    assert not directory.exists()


def test_an_older_version_stays_readable(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    target.deliver(events(0, 10), mark(1))
    then = version(target.directory)
    assert then is not None
    target.deliver(events(10, 10), mark(2))
    assert len(live_files(target.directory, then)) == 1
    with duckdb.connect() as connection:
        assert len(connection.sql(relation_sql(target.directory, then)).fetchall()) == 10


def test_nested_times_and_lists_come_back_as_they_went(tmp_path: Path) -> None:
    inner = pa.struct([pa.field("at", pa.timestamp("us")), pa.field("n", pa.decimal128(18, 2))])
    schema = pa.schema(
        [
            pa.field("one", inner),
            pa.field("many", pa.list_(inner)),
            pa.field("days", pa.list_(pa.date32())),
            pa.field("raw", pa.binary()),
            *METADATA,
        ]
    )
    meta = {name: event(3)[name] for name in METADATA.names}
    value = {
        "at": event(3)["event_time"],
        "n": pa.scalar("12.50").cast(pa.decimal128(18, 2)).as_py(),
    }
    sent = [
        {
            "one": value,
            "many": [value, None],
            "days": [event(0)["event_date"]],
            "raw": b"\0",
            **meta,
        },
        {"one": None, "many": None, "days": [], "raw": None, **meta},
        {"one": {"at": None, "n": None}, "many": [], "days": None, "raw": b"", **meta},
    ]
    target = DeltaLake(tmp_path / "lake", schema)
    target.open(JOB, 1)
    target.deliver(pa.Table.from_pylist(sent, schema=schema), mark(1))
    assert rows(target.directory) == sent


def test_a_lake_belongs_to_one_job(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    target.deliver(events(0, 10), mark(1))
    for call in (
        lambda: lake(target.directory).open("other", 9),
        lambda: read_mark(target.directory, "other"),
    ):
        with pytest.raises(StateRefused, match='belongs to the job "activity"'):
            call()
    with pytest.raises(StateRefused, match='delivery is of "other"'):
        target.deliver(events(0, 10), mark(2, job="other"))


def test_a_table_of_another_tool_is_refused(tmp_path: Path) -> None:
    DeltaTable.create(str(tmp_path / "lake"), pa.schema([("a", pa.int64())]))
    with pytest.raises(StateRefused, match="holds no mark of a Headrace job"):
        lake(tmp_path / "lake").open(JOB, 1)
    with pytest.raises(StateRefused, match="holds no mark"):
        read_mark(tmp_path / "lake", JOB)


def test_what_delta_cannot_name_is_refused_when_declared(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="'a b'"):
        DeltaLake(tmp_path, pa.schema([("a b", pa.int64())]))
    with pytest.raises(DefinitionError, match='Did you mean "event_date"'):
        DeltaLake(tmp_path, EVENT, ("evnt_date",))
    with pytest.raises(DefinitionError, match=r"VARCHAR\[\]"):
        DeltaLake(tmp_path, EVENT, ("_late",))
    with pytest.raises(DefinitionError, match=r"DECIMAL\(9,2\)"):
        DeltaLake(tmp_path, pa.schema([("d", pa.decimal128(9, 2))]), ("d",))


def test_a_mark_keeps_its_content(tmp_path: Path) -> None:
    target = lake(tmp_path / "lake")
    target.open(JOB, 1)
    offsets, watermarks_us = {"a/b": [2**62, 0], "é": []}, {"a/b": None, "é": -(2**62)}
    kept = Mark(JOB, 3, 2**40 - 1, offsets, watermarks_us, {"a/b": "é"})
    target.deliver(events(0, 1), kept)
    assert read_mark(target.directory, JOB) == kept


def test_types_that_delta_lacks(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        made = connection.sql(
            "select 250::utinyint a, 18446744073709551615::ubigint b, 'x'::enum('x', 'y') c, "
            "10::hugeint d, 1.5::float e, {'n': 7::uinteger} f"
        ).to_arrow_table()
    target = DeltaLake(tmp_path / "lake", made.schema)
    target.open(JOB, 1)
    target.deliver(made, mark(1))
    with duckdb.connect() as connection:
        found = connection.sql(relation_sql(target.directory)).fetchall()
    assert [tuple(map(str, row)) for row in found] == [
        ("250", "18446744073709551615", "x", "10", "1.5", "{'n': 7}")
    ]
    with pytest.raises(DefinitionError, match="cannot hold the column 'i'"):
        DeltaLake(tmp_path / "other", pa.schema([("i", pa.list_(pa.duration("us")))]))


@pytest.mark.parametrize("name", ["my data", "dürr", "50%", "a+b&c=d", "it's", "x[1]", "*"])
def test_any_name_of_the_directory(name: str, tmp_path: Path) -> None:
    target = lake(tmp_path / name / "lake")
    target.open(JOB, 1)
    for epoch in range(1, 10):
        target.deliver(events(epoch * 2, 2), mark(epoch))
    assert rows(target.directory) == ordered([event(n) for n in range(2, 20)])
    assert all(path.exists() for path in live_files(target.directory))
    assert lake(target.directory).open(JOB, 2) == mark(9)


@pytest.mark.parametrize("name", ["a%20b", "C#", "what?"])
def test_a_name_that_delta_takes_for_another_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(StateRefused, match="keeps no lake in .*parts of a URI") as refused:
        lake(tmp_path / name / "lake").open(JOB, 1)
    assert name in str(refused.value) and "--data" in str(refused.value.remedy)
