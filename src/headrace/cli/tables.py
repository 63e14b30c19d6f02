"""Rows as aligned text: the same on a terminal, in a pipe and in a test."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any


def text_table(
    names: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()
) -> str:
    """A heading, a rule and the rows; columns in `right` (by index) stand to the right."""
    body = [[_one_line(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(names, *body, strict=True)]
    to_the_right = set(right)

    def line(cells: Sequence[str]) -> str:
        parts = []
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            space = " " * (width - _width(cell))
            parts.append(space + cell if index in to_the_right else cell + space)
        return "  ".join(parts).rstrip()

    return "\n".join([line(names), "  ".join("-" * width for width in widths), *map(line, body)])


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
