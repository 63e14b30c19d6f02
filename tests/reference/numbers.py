"""What numbers do in expressions: whole ones of 64 and of 128 bits, decimals, floats; and casts."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

_EXACT = Context(prec=80, rounding=ROUND_HALF_UP)


class Failure(Exception):
    """The expression fails on this row."""


class Huge(int):
    """A whole number of 128 bits; the others have 64."""


def fits(value: Any) -> Any:
    """The value; Failure where its type cannot hold it."""
    bits = 127 if isinstance(value, Huge) else 63
    if isinstance(value, int) and not -(2**bits) <= value < 2**bits:
        raise Failure
    return value


def whole(text: str) -> int:
    """A whole number as it stands in an expression."""
    number = int(text)
    return number if number < 2**63 else Huge(number)


def decimal_cast(precision: int, scale: int) -> Callable[[Any], Decimal]:
    """A cast to a decimal with so many digits, so many of them behind the point."""

    def cast(value: Any) -> Decimal:
        rounded = Decimal(value).quantize(Decimal(1).scaleb(-scale), context=_EXACT)
        if abs(rounded) >= Decimal(10) ** (precision - scale):
            raise Failure
        return rounded

    return cast


def _alike(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A decimal beside a float is one too; a whole number of 128 bits makes the other one wide."""

    def computed(a: Any, b: Any) -> Any:
        if isinstance(a, float) or isinstance(b, float):
            a, b = (float(v) if isinstance(v, Decimal) else v for v in (a, b))
        made = compute(a, b)
        wide = isinstance(a, Huge) or isinstance(b, Huge)
        return fits(Huge(made) if wide and type(made) is int else made)

    return computed


def _divided(a: Any, b: Any) -> float | None:
    return None if b == 0 else float(a) / float(b)


def _towards_zero(a: int, b: int) -> int | None:
    """SQL's `//` of whole numbers drops the fraction; Python's goes down."""
    if b == 0:
        return None
    return int(fits(abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)))


def _rest(a: int, b: int) -> int | None:
    quotient = _towards_zero(a, b)
    return None if quotient is None else a - b * quotient


def _to_whole(value: Any) -> int:
    if isinstance(value, str):
        if re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)\s*", value, re.ASCII) is None:
            raise Failure
        return int(fits(int(_EXACT.quantize(Decimal(value.strip()), Decimal(1)))))
    return int(fits(int(round(value))))


def _to_text(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


CASTS: dict[str, Callable[[Any], Any]] = {
    "BIGINT": _to_whole,
    "HUGEINT": Huge,
    "DOUBLE": float,
    "VARCHAR": _to_text,
}
COMPUTE: dict[str, Callable[[Any, Any], Any]] = {
    "+": _alike(operator.add),
    "-": _alike(operator.sub),
    "*": _alike(operator.mul),
    "/": _divided,
    "//": _towards_zero,
    "%": _rest,
    "||": lambda a, b: a + b,
}
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": _alike(operator.eq),
    "!=": _alike(operator.ne),
    "<>": _alike(operator.ne),
    "<": _alike(operator.lt),
    "<=": _alike(operator.le),
    ">": _alike(operator.gt),
    ">=": _alike(operator.ge),
}
