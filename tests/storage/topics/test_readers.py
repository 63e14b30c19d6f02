"""What one reader alone keeps from retention, counted record by record."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.storage.topics.readers import held_back


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[int], list[int], list[list[int]]]:
    """Where a topic begins and ends, by partition, and the offsets of one to four readers."""
    begin = draw(st.lists(st.integers(0, 5), min_size=1, max_size=3))
    end = [b + draw(st.integers(0, 6)) for b in begin]
    # One may stand before what the topic still has.
    reader = st.tuples(*(st.integers(max(b - 2, 0), e) for b, e in zip(begin, end, strict=True)))
    return begin, end, [list(r) for r in draw(st.lists(reader, min_size=1, max_size=4))]


@given(logs())
def test_a_record_is_held_that_all_others_have(
    log: tuple[list[int], list[int], list[list[int]]],
) -> None:
    begin, end, (reader, *others) = log
    records = [(p, n) for p in range(len(begin)) for n in range(begin[p], end[p])]
    alone = [(p, n) for p, n in records if n >= reader[p] and all(n < o[p] for o in others)]
    assert held_back(reader, others, begin, end) == len(alone)
