"""What stands in the compacted topic comes back as it was."""

from __future__ import annotations

import json
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from headrace.storage.contract import Mark, Refusal
from headrace.storage.kafka.marks import Entry, Owner, entry_key, refusal_key, refusals_in

names = st.text(max_size=5)
offsets = st.dictionaries(names, st.lists(st.integers(0, 2**62), max_size=3), max_size=2)
watermarks = st.dictionaries(names, st.none() | st.integers(-(2**62), 2**62), max_size=2)
identities = st.dictionaries(names, names, max_size=2)
marks = st.builds(
    Mark, names, st.integers(0, 1 << 20), st.integers(0, 1 << 39), offsets, watermarks, identities
)
entries = st.builds(
    Entry, st.builds(Owner, st.integers(0, 1 << 40), names), names, st.none() | marks
)


@given(entries)
def test_an_entry_comes_back(entry: Entry) -> None:
    assert Entry.decoded(entry.encoded()) == entry
    assert entry.number == (-1 if entry.mark is None else entry.mark.number)


@given(st.lists(st.tuples(names, names), min_size=2, max_size=2, unique=True))
def test_outputs_have_keys_of_their_own(outputs: list[tuple[str, str]]) -> None:
    one, two = outputs
    assert entry_key(*one) != entry_key(*two)
    assert refusal_key(*one, 1, 2) != refusal_key(*two, 1, 2)


def test_refusals_come_in_order_and_only_newer_ones() -> None:
    found = [Refusal(number, f"row {row}", "why") for number in (2, 10, 1) for row in range(11)]
    table = {entry_key("j", "o"): b"{}", refusal_key("j", "other", 5, 0): b"{}"}
    for at, refusal in enumerate(found):
        key = refusal_key("j", "o", refusal.number, at % 11)
        table[key] = json.dumps(asdict(refusal)).encode()
    wanted = sorted(found[:22], key=lambda r: r.number)
    assert list(refusals_in(table, "j", "o", 1)) == wanted
