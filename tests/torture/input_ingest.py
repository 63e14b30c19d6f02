"""Mutated files through `ingest` in every format, and bytes cut anywhere as a request's body is.

What is split into lines is held against plain Python; of other formats the sums are checked. Then a
job reads what came in: everything is accepted or a dead letter, and `verify` holds.
"""

from __future__ import annotations

import gzip
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet
import xxhash
import zstandard

import headrace as hr
from headrace.ops.ingest.formats import Input, Reading
from headrace.ops.ingest.ingest import ingest
from headrace.ops.ingest.lines import Place
from headrace.ops.ingest.report import IngestRefused
from headrace.storage.topics.log import LocalTopic
from headrace.values.errors import UsageError
from headrace.values.oversize import KEPT_BYTES, Oversize, cut
from tests.ops.ingest.topics import contents
from tests.torture.mutations import spoilt

_ENDS = (b"\n", b"\n", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n")
_BOM = b"\xef\xbb\xbf"
_OF_FORMAT = {
    "NDJSON": "of these from NDJSON",
    "csv": "of these from csv",
    "combined": "of these from combined",
    "parquet": "of these from parquet",
}
_EXPRESSIONS = (
    "1",
    "null",
    "a",
    "'x' || a",
    "cast(a as int)",
    "try_cast(a as timestamp)",
    "chr(0)",
    "[a]",
    "{'k': a}",
    "repeat(a, 3)",
    "a / 0",
    "timestamp 'infinity'",
    "'nan'::double",
    "1::hugeint << 100",
    "error(a)",
    "(select 1)",
    "count(*)",
    "unnest([1, 2])",
    "nothing",
    "interval 1 day",
    "'\\xff'::blob",
    "a ->> '$'",
)


@dataclass(frozen=True)
class Ingested:
    """A data directory, the app that reads it and how many records it was given."""

    app: hr.App
    directory: Path

    @property
    def topic(self) -> LocalTopic:
        source = self.app.plan.jobs[0].sources[0]
        return LocalTopic.ensure(self.directory / "topics", source.topic, source.partitions)

    def take(self, path: Path, **options: object) -> int | None:
        """Ingests a file; None if it is refused in words. What it says it added is there."""
        source, topic = self.app.plan.jobs[0].sources[0], self.topic
        before = sum(topic.end_offsets())
        reading = Reading(schema=source.schema, value_bytes_max=source.value_bytes_max, **options)  # type: ignore[arg-type]
        added: int | None = None
        try:
            report = ingest(topic, [path], key=source.key, reading=reading)
            added = report.added
        except IngestRefused as refused:
            assert refused.remedy and all(f.refused or f.known for f in refused.report.files)
            assert refused.report.added == sum(topic.end_offsets()) - before
        except UsageError:
            assert sum(topic.end_offsets()) == before
        else:
            assert added == sum(topic.end_offsets()) - before
            assert ingest(topic, [path], key=source.key, reading=reading).added == 0
        return added

    def run(self) -> int:
        """Runs the app over what came in; checks its sums and its proof. Returns the records."""
        given = sum(self.topic.end_offsets())
        if not given:
            return 0
        self.app.run(until="caught-up", data=self.directory)
        sums = self.app.query("from conservation", data=self.directory).to_pylist()
        assert all(row["balanced"] for row in sums), sums
        [source] = [row for row in sums if row["kind"] == "source"]
        assert source["read"] == given == source["accepted"] + source["dead_lettered"], source
        assert all(proof.holds for proof in self.app.verify(data=self.directory))
        return given


def check_stream(chance: Random, values: Sequence[bytes], limit: int) -> Mapping[str, int]:
    """Lines of a body that comes in pieces of any size, with pauses, are those that it holds."""
    content = body(chance, values)
    found: list[bytes] = []
    place = Place()
    source = Input("body", "ndjson", Reading(value_bytes_max=limit))
    for part in source.lines(_pieces(chance, content), Place(), xxhash.xxh3_128()):
        found += part.values.to_pylist()
        assert part.place is not None
        place = part.place
    wanted, empty = lines_of(content, limit)
    assert found == wanted
    assert source.torn is None
    assert (place.bytes, place.lines, place.empty) == (len(content), len(wanted) + empty, empty)
    return {"lines of request bodies": len(found)}


def check_lines(chance: Random, into: Ingested, values: Sequence[bytes]) -> Mapping[str, int]:
    """NDJSON files, packed or not, whole or torn."""
    limit = into.app.plan.jobs[0].sources[0].value_bytes_max
    content = body(chance, values)
    path = into.directory / f"lines-{chance.getrandbits(40)}.ndjson"
    before = Counter(_values(into.topic))
    packed = chance.choice((_plain, _gzipped, _zipped))(chance, content)
    torn = chance.random() < 0.3
    path.write_bytes(spoilt(chance, packed) if torn else packed)
    added = into.take(path)
    there = Counter(_values(into.topic)) - before
    if not torn:
        wanted, _ = lines_of(content, limit)
        assert there == Counter(wanted)
        assert added == len(wanted)
    return _told(added, "NDJSON", sum(there.values()))


def check_file(chance: Random, into: Ingested, format_: str, content: bytes) -> Mapping[str, int]:
    """A file of another format with its bytes spoilt, now and then with expressions."""
    path = into.directory / f"file-{chance.getrandbits(40)}.{format_}"
    # Hardly a spoilt Parquet file can be read.
    if chance.random() < (0.3 if format_ == "parquet" else 0.8):
        content = spoilt(chance, content)
    path.write_bytes(content if format_ == "parquet" else _packed(chance, content))
    options: dict[str, object] = {"format": format_}
    if chance.random() < 0.4:
        fields = into.app.plan.jobs[0].sources[0].schema.fields
        chosen = chance.sample(fields, 1)
        options["expressions"] = {f.name: chance.choice(_EXPRESSIONS) for f in chosen}
    added = into.take(path, **options)
    return _told(added, format_, added or 0)


def _told(added: int | None, format_: str, records: int) -> Mapping[str, int]:
    """What came of a file; one that was refused may have given some of its records."""
    became = "files refused" if added is None else "files ingested"
    return {"records ingested": records, _OF_FORMAT[format_]: records, became: 1}


def parquet_of(chance: Random, values: Sequence[bytes]) -> bytes:
    """Parquet with a column of each type, values and all."""
    count = len(values)
    columns = {
        "a": pa.array([v.decode("utf-8", "replace") for v in values]),
        "b": pa.array(values, pa.binary()),
        "c": pa.array([chance.choice((None, 0, -(2**63), 2**63 - 1)) for _ in values], pa.int64()),
        "d": pa.array([chance.choice((None, 0.5, float("nan"), 1e308)) for _ in values]),
        "event_time": pa.array(
            [chance.choice((None, 0, -(2**62), 2**62)) for _ in values], pa.timestamp("us")
        ),
        "user_id": pa.array([[None, 1]] * count),
        "page_url": pa.array([{"x": None, "y": "\x00"}] * count),
        "event_type": pa.array([chance.choice(("click", "page_view", None)) for _ in values]),
    }
    kept = {n: c for n, c in columns.items() if chance.random() < 0.9} or columns
    out = io.BytesIO()
    pyarrow.parquet.write_table(
        pa.table(kept), out, compression=chance.choice(("none", "snappy", "zstd"))
    )
    return out.getvalue()


def body(chance: Random, values: Sequence[bytes]) -> bytes:
    """`values` as lines with ends of all kinds, perhaps a BOM before them and no end behind."""
    ends = chance.choices(_ENDS, k=len(values))
    content = b"".join(v + e for v, e in zip(values, ends, strict=True))
    if chance.random() < 0.05:
        content += b"x" * (chance.choice((1, 2)) << 20) + b"\r\n{}\n"
    content = chance.choice((b"", b"", _BOM, b"\r\n", b"\n" + _BOM)) + content
    return content[: chance.choice((len(content), len(content) - 1, len(content) - 2))]


def lines_of(content: bytes, limit: int) -> tuple[list[bytes], int]:
    """The records of a text of lines, as semantics, section 2, has them, and its empty lines."""
    lines = content.removeprefix(_BOM).split(b"\n")
    if not lines[-1]:
        lines.pop()
    kept = [line.removesuffix(b"\r") for line in lines]
    return [_short(line, limit) for line in kept if line], kept.count(b"")


def _short(line: bytes, limit: int) -> bytes:
    if len(line) <= limit:
        return line
    return cut(line[:KEPT_BYTES], Oversize(len(line), xxhash.xxh3_128_hexdigest(line)))


def _pieces(chance: Random, content: bytes) -> Iterator[bytes]:
    """`content` in pieces; an empty one says that nothing comes for a while."""
    size = chance.choice((7, 1000, 65_536, 1 << 22))
    at = 0
    # Where pieces are small, so is what is cut this way: each pause makes a batch.
    small = 3000 if size < 100 else len(content)
    while at < len(content):
        step = chance.randint(1, size if at < small else 1 << 20)
        yield content[at : at + step]
        at += step
        if chance.random() < 0.1:
            yield b""


def _values(topic: LocalTopic) -> list[bytes]:
    return [value for records in contents(topic).values() for _, value in records]


def _packed(chance: Random, content: bytes) -> bytes:
    return chance.choice((_plain, _plain, _gzipped, _zipped))(chance, content)


def _plain(chance: Random, content: bytes) -> bytes:
    return content


def _gzipped(chance: Random, content: bytes) -> bytes:
    """One member or two, perhaps filled up with zeros."""
    at = chance.randrange(len(content) + 1)
    zeros = b"\x00" * chance.choice((0, 0, 512))
    return gzip.compress(content[:at], 1) + gzip.compress(content[at:], 1) + zeros


def _zipped(chance: Random, content: bytes) -> bytes:
    at = chance.randrange(len(content) + 1)
    packer = zstandard.ZstdCompressor(level=1)
    return packer.compress(content[:at]) + packer.compress(content[at:])
