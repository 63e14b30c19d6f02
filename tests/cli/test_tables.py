"""Tables as text: whole, or folded to a width."""

from __future__ import annotations

import os
import pty
import re
import sys
from itertools import groupby

import pytest

from headrace.cli.tables import WHOLE, text_table
from tests.cli.terminal import rest_of

NAMES = ("name", "what it is", "how many")
ROWS = [
    ("a", "where topics are: kafka://host:9092; by default in the data directory", "1"),
    ("some_setting_that_has_a_long_name", "", "22,000,000"),
    ("b", '{"a":"' + "x" * 60 + '"}', "3"),
]


def test_without_a_terminal_it_is_whole() -> None:
    lines = text_table(NAMES, ROWS, right=(2,)).splitlines()
    assert text_table(NAMES, ROWS, right=(2,), columns=WHOLE).splitlines() == lines
    assert len(lines) == 5 and ROWS[0][1] in lines[2] and ROWS[2][1] in lines[4]


@pytest.mark.parametrize("columns", [46, 60, 80, 100])
def test_folded_it_fits_and_lacks_nothing(columns: int) -> None:
    lines = text_table(NAMES, ROWS, right=(2,), columns=columns).splitlines()
    assert max(map(len, lines)) <= columns
    [rule] = [line for line in lines if not line.strip("- ")]
    spans = [match.span() for match in re.finditer("-+", rule)]
    body = lines[lines.index(rule) + 1 :]
    numbers = [n for n, line in enumerate(body) if line[slice(*spans[2])].strip()]
    # A number stands on the first line of its row.
    rows = [list(group) for _, group in groupby(body, lambda line: _row(body.index(line), numbers))]
    told = [
        tuple("".join(line[slice(*span)] for line in row).replace(" ", "") for span in spans)
        for row in rows
    ]
    assert told == [tuple(cell.replace(" ", "") for cell in row) for row in ROWS]


def _row(line: int, firsts: list[int]) -> int:
    return sum(first <= line for first in firsts)


def test_what_cannot_fit_stays_readable() -> None:
    lines = text_table(NAMES, ROWS, right=(2,), columns=20).splitlines()
    assert max(map(len, lines)) == 16 + 2 + 16 + 2 + 10


def test_wide_characters_count_twice() -> None:
    lines = text_table(("a", "b"), [("漢" * 30, "1")], columns=21).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["漢" * 9] * 3 + ["漢" * 3]


def test_a_terminal_gets_its_width() -> None:
    program = "from headrace.cli.main import call; call(['settings'])"
    child, terminal = pty.fork()
    if child == 0:
        os.environ["COLUMNS"] = "90"
        os.execv(sys.executable, [sys.executable, "-c", program])
    shown = rest_of(terminal)
    os.waitpid(child, 0)
    lines = shown.decode().splitlines()
    assert lines[0].startswith("setting") and 80 < max(map(len, lines)) <= 90, shown
