"""Expressions in plain Python: a stated subset of SQL, read and computed without any engine.

Columns and fields of structs, numbers, texts, true, false, null; `+ - * / // %`, comparisons,
`is [not] null`, `is [not] distinct from`, `between`, `in`, `and or not`, `||`; casts between
numbers and text, `try_cast`, `case`, elements of lists, and the functions in `_FUNCTIONS`. Whole
numbers are BIGINT unless they are cast to HUGEINT or too large for it: what does not fit fails, as
a bad cast does.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from tests.reference.numbers import CASTS, COMPARE, COMPUTE, Failure, decimal_cast, fits, whole

Values = Mapping[str, Any]
Meaning = Callable[[Values], Any]

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?)|'(?P<text>(?:[^']|'')*)'|"(?P<quoted>[^"]+)"
    |(?P<word>[A-Za-z_]\w*)|(?P<sign><=|>=|!=|<>|\|\||//|[-+*/%=<>(),.\[\]]))""",
    re.VERBOSE,
)
_LEVELS = (("+", "-", "||"), ("*", "/", "//", "%"))
_COMPARISONS = ("=", "!=", "<>", "<", "<=", ">", ">=")


class Expressions(Mapping[str, Meaning]):
    """What every expression of the subset means, by its SQL."""

    def __getitem__(self, sql: str) -> Meaning:
        return meaning(sql)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@functools.cache
def meaning(sql: str) -> Meaning:
    """The function of a row that `sql` stands for; AssertionError outside of the subset."""
    reader = _Reader(sql)
    found = reader.either()
    assert reader.at == len(reader.tokens), f"nobody said what {sql} means"
    return found


class _Reader:
    """Reads tokens from left to right; every method returns the meaning of what it read."""

    def __init__(self, sql: str) -> None:
        self.sql, self.at = sql, 0
        self.tokens: list[tuple[str, str]] = []
        end = 0
        while end < len(sql.rstrip()):
            found = _TOKEN.match(sql, end)
            assert found is not None, f"nobody said what {sql} means"
            kind = found.lastgroup or ""
            self.tokens.append((kind, found[kind]))
            end = found.end()

    def either(self) -> Meaning:
        found = self.both()
        while self.takes("or"):
            found = _logic(found, self.both(), True)
        return found

    def both(self) -> Meaning:
        found = self.negated()
        while self.takes("and"):
            found = _logic(found, self.negated(), False)
        return found

    def negated(self) -> Meaning:
        return _strict(lambda a: not a, self.negated()) if self.takes("not") else self.compared()

    def compared(self) -> Meaning:
        left = self.computed(0)
        for sign in _COMPARISONS:
            if self.takes(sign):
                return _strict(COMPARE[sign], left, self.computed(0))
        if self.takes("is"):
            return self._is(left)
        if self.takes("between"):
            low = self.computed(0)
            assert self.takes("and")
            high = self.computed(0)
            return _logic(
                _strict(COMPARE[">="], left, low), _strict(COMPARE["<="], left, high), False
            )
        if self.takes("in"):
            items = self._arguments()
            return functools.reduce(
                lambda a, b: _logic(a, b, True), [_strict(COMPARE["="], left, i) for i in items]
            )
        return left

    def _is(self, left: Meaning) -> Meaning:
        no = self.takes("not")
        if self.takes("null"):
            return lambda row: (left(row) is None) != no
        assert self.takes("distinct") and self.takes("from")
        right = self.computed(0)
        return lambda row: (left(row) != right(row)) != no

    def computed(self, level: int) -> Meaning:
        if level == len(_LEVELS):
            return self.signed()
        found = self.computed(level + 1)
        while (sign := self.sign(_LEVELS[level])) is not None:
            found = _strict(COMPUTE[sign], found, self.computed(level + 1))
        return found

    def signed(self) -> Meaning:
        return _strict(lambda a: fits(-a), self.signed()) if self.takes("-") else self.inside()

    def inside(self) -> Meaning:
        """A value, then the field of it or the element."""
        found = self.value()
        while True:
            if self.takes("."):
                name = self.tokens[self.at][1]
                self.at += 1
                found = _strict(lambda a, name=name: a[name], found)
            elif self.takes("["):
                found = _strict(_element, found, self.either())
                assert self.takes("]")
            else:
                return found

    def value(self) -> Meaning:
        if self.takes("("):
            found = self.either()
            assert self.takes(")")
            return found
        kind, text = self.tokens[self.at]
        self.at += 1
        name, called = text.lower(), self.peek() == "("
        if kind == "number":
            return _constant(Decimal(text) if "." in text else whole(text))
        if kind == "text":
            return _constant(text.replace("''", "'"))
        if kind == "word" and name in ("cast", "try_cast"):
            return self._cast(name == "try_cast")
        if kind == "word" and name == "case":
            return self._case()
        if kind == "word" and name in _CONSTANTS:
            return _constant(_CONSTANTS[name])
        assert kind in ("word", "quoted"), f"nobody said what {self.sql} means"
        if called:
            assert name in _FUNCTIONS, f"nobody said what {name} in {self.sql} means"
            return _FUNCTIONS[name](self._arguments())
        return lambda row: row[text]

    def _arguments(self) -> list[Meaning]:
        assert self.takes("(")
        found = [self.either()]
        while self.takes(","):
            found.append(self.either())
        assert self.takes(")")
        return found

    def _cast(self, tries: bool) -> Meaning:
        assert self.takes("(")
        value = self.either()
        assert self.takes("as")
        type_ = self.tokens[self.at][1].upper()
        self.at += 1
        if type_ == "DECIMAL":
            precision, scale = (int(part({})) for part in self._arguments())
            cast: Callable[[Any], Any] = decimal_cast(precision, scale)
        else:
            cast = CASTS[type_]
        assert self.takes(")")
        made = _strict(cast, value)

        def tried(row: Values) -> Any:
            try:
                return made(row)
            except Failure:
                return None

        return tried if tries else made

    def _case(self) -> Meaning:
        branches = []
        while self.takes("when"):
            condition = self.either()
            assert self.takes("then")
            branches.append((condition, self.either()))
        other = self.either() if self.takes("else") else _constant(None)
        assert self.takes("end")

        def chosen(row: Values) -> Any:
            return next((value for holds, value in branches if holds(row)), other)(row)

        return chosen

    def peek(self) -> str | None:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else None

    def sign(self, signs: tuple[str, ...]) -> str | None:
        return next((sign for sign in signs if self.takes(sign)), None)

    def takes(self, token: str) -> bool:
        """Whether the next token is this word or sign; then it is read."""
        if self.at == len(self.tokens):
            return False
        kind, text = self.tokens[self.at]
        is_it = kind in ("word", "sign") and text.lower() == token
        self.at += is_it
        return is_it


def _constant(value: Any) -> Meaning:
    return lambda row: value


def _strict(compute: Callable[..., Any], *parts: Meaning) -> Meaning:
    """Null where a part is null."""

    def computed(row: Values) -> Any:
        values = [part(row) for part in parts]
        return None if any(v is None for v in values) else compute(*values)

    return computed


def _logic(left: Meaning, right: Meaning, decides: bool) -> Meaning:
    """`or` (true decides) and `and` (false decides): null where it hangs on a null."""

    def computed(row: Values) -> Any:
        values = (left(row), right(row))
        if decides in values:
            return decides
        return None if None in values else not decides

    return computed


def _element(items: list[Any], at: int) -> Any:
    return items[at - 1] if 0 < at <= len(items) else None


_CONSTANTS = {"true": True, "false": False, "null": None}


def _of(compute: Callable[..., Any]) -> Callable[[list[Meaning]], Meaning]:
    return lambda parts: _strict(compute, *parts)


def _coalesce(parts: list[Meaning]) -> Meaning:
    return lambda row: next((v for part in parts if (v := part(row)) is not None), None)


def _nullif(parts: list[Meaning]) -> Meaning:
    def computed(row: Values) -> Any:
        value, other = (part(row) for part in parts)
        return None if value == other else value

    return computed


_FUNCTIONS: dict[str, Callable[[list[Meaning]], Meaning]] = {
    "abs": _of(lambda a: fits(abs(a))),
    "coalesce": _coalesce,
    "isfinite": _of(math.isfinite),
    "len": _of(len),
    "length": _of(len),
    "list_contains": _of(lambda items, item: item in items),
    "lower": _of(str.lower),
    "nullif": _nullif,
    "upper": _of(str.upper),
}
