"""Columns that come as dictionaries: the files and what is read of them are as ever."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from headrace.storage.lake.columns import METADATA
from headrace.storage.lake.lake import DeltaLake
from tests.storage.lake.lakes import JOB, delta_rows, event, events, lake, mark, ordered, rows

NAMES = ("user_id", "_topic", "_topic_generation", "_epoch")


def encoded(table: pa.Table) -> pa.Table:
    """`table` in two chunks, each with dictionaries of its own."""
    parts = []
    for part in (table.slice(0, len(table) // 3), table.slice(len(table) // 3)):
        for name in NAMES:
            at = part.schema.get_field_index(name)
            part = part.set_column(at, name, pc.dictionary_encode(part.column(name)))
        parts.append(part)
    return pa.concat_tables(parts)


def test_files_are_the_same_but_for_what_they_are_made_of(tmp_path: Path) -> None:
    plain, other = lake(tmp_path / "plain"), lake(tmp_path / "other")
    for target in (plain, other):
        target.open(JOB, 1)
    plain.deliver(events(0, 100), mark(1))
    other.deliver(encoded(events(0, 100)), mark(1))
    assert rows(other.directory) == ordered([event(n) for n in range(100)])
    assert delta_rows(other.directory) == ordered([event(n) for n in range(100)])
    files = [sorted(t.directory.rglob("*.parquet")) for t in (plain, other)]
    assert len(files[0]) == len(files[1]) == 2
    for mine, theirs in zip(*files, strict=True):
        assert pq.read_schema(mine) == pq.read_schema(theirs)
        assert pq.read_metadata(mine).metadata == pq.read_metadata(theirs).metadata
    actions = [
        pa.table(DeltaTable(str(t.directory)).get_add_actions(flatten=True)) for t in (plain, other)
    ]
    for name in actions[0].column_names:
        if name not in ("path", "size_bytes", "modification_time"):
            assert actions[0].column(name).to_pylist() == actions[1].column(name).to_pylist()


def test_a_lake_partitioned_by_one(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("p", pa.string()), *METADATA])
    values = ["a", None, "b", "a", "", None]
    meta = [{name: event(n)[name] for name in METADATA.names} for n in range(len(values))]
    table = pa.Table.from_pylist(
        [
            {"p": p, **m, "_offset": n, "_partition": 0}
            for n, (p, m) in enumerate(zip(values, meta, strict=True))
        ],
        schema=schema,
    )
    # A value that no row has must not become a partition.
    column = pa.DictionaryArray.from_arrays([0, None, 1, 0, 2, None], ["a", "b", "", "nobody"])
    target = DeltaLake(tmp_path / "lake", schema, ("p",))
    target.open(JOB, 1)
    target.deliver(table.set_column(0, "p", column), mark(1))
    assert [row["p"] for row in rows(tmp_path / "lake")] == values


def test_more_dictionaries_than_one_has_room_for(tmp_path: Path) -> None:
    """The epochs of ten seconds are more than a small dictionary of all of them could number."""
    schema = pa.schema([pa.field("p", pa.string()), *METADATA])
    meta = [{name: event(n)[name] for name in METADATA.names} for n in range(8)]
    parts = []
    for epoch in range(200):
        written = [
            {**m, "p": f"p{n}", "_offset": 8 * epoch + n, "_epoch": epoch}
            for n, m in enumerate(meta)
        ]
        part = pa.Table.from_pylist(written, schema=schema)
        number = pa.array([0] * len(part), pa.int8())
        column = pa.DictionaryArray.from_arrays(number, pa.array([epoch]))
        parts.append(part.set_column(part.schema.get_field_index("_epoch"), "_epoch", column))
    target = DeltaLake(tmp_path / "lake", schema, ("p",))
    target.open(JOB, 1)
    target.deliver(pa.concat_tables(parts), mark(1))
    found = rows(tmp_path / "lake")
    assert sorted((row["_epoch"], row["p"]) for row in found) == [
        (epoch, f"p{n}") for epoch in range(200) for n in range(8)
    ]
    for file in (tmp_path / "lake").rglob("*.parquet"):
        assert pq.read_schema(file).field("_epoch").type == pa.int64()
