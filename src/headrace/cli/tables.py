"""Rows as aligned text: whole, but on a terminal folded to its width."""

from __future__ import annotations

import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

_FOLDED_MIN = 16
WHOLE = 0


def text_table(
    names: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Iterable[int] = (),
    columns: int | None = None,
) -> str:
    """A heading, a rule and the rows; columns in `right` (by index) stand to the right.

    The others are folded until a line has `columns` characters, as far as that goes: None stands
    for the width of the terminal where standard output is one, WHOLE for no limit.
    """
    if columns is None:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else WHOLE
    to_the_right = set(right)
    body = [[_one_line(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(names, *body, strict=True)]
    if columns != WHOLE:
        widths = _narrowed(widths, to_the_right, columns)

    def line(cells: Sequence[str]) -> str:
        parts = []
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            space = " " * (width - _width(cell))
            parts.append(space + cell if index in to_the_right else cell + space)
        return "  ".join(parts).rstrip()

    def lines(cells: Sequence[str]) -> list[str]:
        parts = [_folded(cell, width) for cell, width in zip(cells, widths, strict=True)]
        return [line(one) for one in zip_longest(*parts, fillvalue="")]

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([*lines(names), rule, *(text for row in body for text in lines(row))])


def _narrowed(widths: list[int], fixed: set[int], columns: int) -> list[int]:
    """`widths` with the widest made narrower, those in `fixed` never, until they fit `columns`."""
    found = list(widths)
    while sum(found) + 2 * (len(found) - 1) > columns:
        free = [i for i, width in enumerate(found) if i not in fixed and width > _FOLDED_MIN]
        if not free:
            break
        found[max(free, key=found.__getitem__)] -= 1
    return found


def _folded(cell: str, width: int) -> list[str]:
    """`cell` on lines of `width` at most, between words where that is possible."""
    if _width(cell) <= width:
        return [cell]
    if cell.isascii():
        return textwrap.wrap(cell, width, break_on_hyphens=False) or [""]
    found = [""]
    for character in cell:
        if _width(found[-1]) + _width(character) > width:
            found.append("")
        found[-1] += character
    return found


def plural(count: int, noun: str) -> str:
    """ "1 row", "2,000 rows"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def down_lines(found: dict[str, Any]) -> list[str]:
    """What does not answer, and why: a line for all that give the same reason."""
    down: dict[str, list[str]] = {}
    for source in found["sources"]:
        if source["down"] is not None:
            down.setdefault(source["down"], []).append(source["topic"])
    for destination in found["destinations"]:
        if destination["down"] is not None:
            down.setdefault(destination["down"], []).append(destination["name"])
    return [
        f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} down: {words}"
        for words, names in down.items()
    ]


def nulls_lines(found: dict[str, Any]) -> list[str]:
    """A line for each view that gave out null where it could not compute a result."""
    given = {view["name"]: view.get("failed_results", 0) for view in found["views"]}
    return [
        f"view {name}: {plural(count, 'result')} that could not be computed, given as null"
        for name, count in given.items()
        if count
    ]


def _one_line(cell: str) -> str:
    return (
        cell if cell.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in cell)
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _width(text: str) -> int:
    """Columns on a terminal: wide East Asian characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
