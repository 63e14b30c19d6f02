"""Event classes: plain values alone, nested ones, and the time inside of a struct."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import headrace as hr

Price = Annotated[Decimal, hr.Precision(8, 2)]


class Part(hr.Struct):
    name: str
    score: int | None
    price: Price | None
    seen: datetime | None


class Meta(hr.Struct):
    ms: int
    day: date | None


class Plain(hr.Event):
    moment: datetime
    who: str | None
    kind: Literal["s", "e", "x", "se"]
    n: int | None
    f: float | None
    flag: bool | None
    day: date | None
    text: str

    checks = {"allowed": "text <> 'banned'"}


class Nested(hr.Event):
    moment: datetime
    who: str | None
    kind: Literal["s", "e", "x", "se"]
    n: int | None
    f: float | None
    flag: bool | None
    day: date | None
    text: str
    amount: Annotated[Decimal, hr.Precision(12, 2)] | None
    info: Part | None
    items: list[int | None] | None
    parts: list[Part] | None

    checks = {"allowed": "text <> 'banned'", "sizes": "len(items) < 4"}


class Inside(hr.Event):
    meta: Meta
    who: str | None
    kind: Literal["s", "e", "x", "se"]
    n: int | None
    f: float | None
    text: str
    parts: list[Part] | None


class Counted(hr.Event):
    at: int
    who: str
    kind: Literal["s", "e", "x", "se"]
    n: int | None
    f: float | None
    flag: bool | None
    day: date | None
    text: str


class Widened(hr.Event):
    """`Plain` after a fix: one literal more."""

    moment: datetime
    who: str | None
    kind: Literal["s", "e", "x", "se", "new"]
    n: int | None
    f: float | None
    flag: bool | None
    day: date | None
    text: str

    checks = {"allowed": "text <> 'banned'"}


@dataclass(frozen=True)
class Shape:
    """An event class and how it is read; `fixed` is the class after a fix."""

    event: type[hr.Event]
    options: tuple[tuple[str, Any], ...]
    fixed: type[hr.Event] | None = None

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(self.event.__annotations__)


SHAPES = {
    "plain": Shape(Plain, (("time", "moment"),), Widened),
    "nested": Shape(Nested, (("time", "moment"),)),
    "inside": Shape(Inside, (("time", "meta.ms"), ("time_unit", "ms"))),
    "seconds": Shape(Counted, (("time", "at"), ("time_unit", "s"))),
    "micros": Shape(Counted, (("time", "at"), ("time_unit", "us"))),
    "timeless": Shape(Nested, ()),
}
