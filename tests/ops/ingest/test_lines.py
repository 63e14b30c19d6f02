"""Blocks to lines: whatever the bytes and however they are cut, the lines are the same."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
import xxhash
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.ops.ingest.lines import LineReader, Place
from headrace.ops.ingest.streams import Torn
from headrace.values.oversize import KEPT_BYTES, Oversize, cut, oversize_of

LIMIT = 100


def expected(content: bytes, limit: int) -> tuple[list[bytes], int, int]:
    """Lines, empty lines and all lines, one byte at a time."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    lines, line = [], bytearray()
    for byte in content:
        if byte == 10:
            lines.append(bytes(line))
            line.clear()
        else:
            line.append(byte)
    if line:
        lines.append(bytes(line))
    stripped = [line[:-1] if line.endswith(b"\r") else line for line in lines]
    full = [line for line in stripped if line]
    return [shortened(line, limit) for line in full], len(lines) - len(full), len(lines)


def shortened(line: bytes, limit: int) -> bytes:
    if len(line) <= limit:
        return line
    return cut(line, Oversize(len(line), xxhash.xxh3_128(line).hexdigest()))


def blocks_of(content: bytes, cuts: list[int]) -> Iterator[bytes]:
    bounds = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    return (content[a:b] for a, b in zip(bounds, bounds[1:], strict=False))


line_ends = st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r", b""])
some_lines = st.lists(
    st.tuples(st.binary(max_size=8) | st.just(b"x" * 150) | st.just(b"\xef\xbb\xbf"), line_ends)
).map(lambda parts: b"".join(line + end for line, end in parts))


@given(some_lines | st.binary(max_size=300), st.lists(st.integers(0, 1_000), max_size=8))
@example(b"\xef\xbb\xbf\r\n", [1, 2])
@example(b"x" * 150 + b"\r\n" + b"y" * 150, [101, 151])
@example(b"x" * 150 + b"\r" + b"x" * 150 + b"\r", [101, 151, 152])
@example(b"x" * 150 + b"\r\r\n", [])
@example(b"x" * 150 + b"\r\r\n", [151, 152])
@example(b"", [])
def test_lines_are_those_of_a_plain_loop(content: bytes, cuts: list[int]) -> None:
    hasher = xxhash.xxh3_128()
    # Empty blocks are pauses: what there is by then is given at once, in many small batches.
    blocks = [part for block in blocks_of(content, cuts) for part in (block, b"")]
    reader = LineReader(iter(blocks), Place(), LIMIT, hasher)
    found, place = [], Place()
    for batch in reader:
        found += batch.values.to_pylist()
        place = batch.place
        assert batch.digest == xxhash.xxh3_128_hexdigest(content[: place.bytes])
    lines, empty, count = expected(content, LIMIT)
    assert found == lines
    if count:
        assert (place.lines, place.empty) == (count, empty)
        assert place.bytes == len(content)
    unended = bool(count) and not content.endswith(b"\n")
    assert (place.last_line_bytes > 0) == unended
    assert reader.torn is None


@given(some_lines, st.lists(st.integers(0, 1_000), max_size=8), st.integers(0, 1_000))
@example(b"x" * 150 + b"\r\r\n", [], 0)
def test_reading_goes_on_at_any_place(content: bytes, cuts: list[int], stop: int) -> None:
    blocks = [part for block in blocks_of(content, cuts) for part in (block, b"")]
    batches = list(LineReader(iter(blocks), Place(), LIMIT))
    if not batches:
        return
    before = batches[: stop % len(batches) + 1]
    place = before[-1].place
    rest = LineReader(iter([content[place.bytes :]]), place, LIMIT)
    found = [value for batch in (*before, *rest) for value in batch.values.to_pylist()]
    lines, empty, count = expected(content, LIMIT)
    assert found == lines
    assert (rest.place.lines, rest.place.empty) == (count, empty)


def test_a_torn_stream_gives_its_whole_lines() -> None:
    def blocks() -> Iterator[bytes]:
        yield b"one\ntwo\nthr"
        raise Torn("it is cut off")

    reader = LineReader(blocks(), Place(), LIMIT)
    assert [batch.values.to_pylist() for batch in reader] == [[b"one", b"two"]]
    assert str(reader.torn) == "it is cut off"
    assert reader.place == Place(8, 2, 0)


@pytest.mark.parametrize("ended", [True, False])
def test_a_line_of_any_length_takes_little_memory(ended: bool) -> None:
    block = b"x" * (1 << 20)

    def blocks() -> Iterator[bytes]:
        yield b"before\n"
        for _ in range(200):
            yield block
        if ended:
            yield b"\r\nafter\n"

    tracemalloc.start()
    found = [
        v for batch in LineReader(blocks(), Place(), 1 << 20) for v in batch.values.to_pylist()
    ]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80 << 20
    assert found[0] == b"before"
    assert found[1].startswith(b"x" * KEPT_BYTES + b"\x00")
    digest = xxhash.xxh3_128_hexdigest(block * 200)
    assert oversize_of(found[1]) == Oversize(200 << 20, digest)
    assert found[2:] == ([b"after"] if ended else [])


def test_only_a_mark_at_the_end_tells_of_a_cut() -> None:
    value = cut(b"[" * 100_000, Oversize(100_000, "0" * 32))
    assert oversize_of(value) == Oversize(100_000, "0" * 32)
    assert oversize_of(value + b" ") is None
    assert oversize_of(b'{"a":1}') is None
