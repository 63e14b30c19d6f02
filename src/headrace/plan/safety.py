"""Which expressions can raise on a row, and which could never be right.

An expression that cannot raise is not caught row by row, so what is listed here must be certain;
all else is taken to raise. Constant parts are computed once, here, so that a text that is no date
is refused when the app is loaded and not at the first event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import duckdb

from headrace.plan.functions import DIVISIONS
from headrace.plan.parse import Text, Tree, children, one_value, render
from headrace.plan.types import FLOATS, INTEGERS, TIMES, ZONED

_SAFE_TEXT = """
lower upper lcase ucase length len strlen char_length character_length octet_length bit_length
trim ltrim rtrim concat concat_ws || contains starts_with ends_with prefix suffix replace
reverse strip_accents ascii unicode ord instr position strpos split string_split str_split
split_part md5 sha1 sha256 ~~ !~~ ~~* !~~* nullif if typeof struct_pack struct_extract
list_value list_pack isnan isinf isfinite year month day hour minute second dayofweek isodow
dayofyear dayofmonth weekday week weekofyear quarter dayname monthname epoch to_json
constant_or_null
"""
_SAFE = frozenset(_SAFE_TEXT.split())
_FLOATING = "+ - * abs floor ceil ceiling round trunc sign sqrt cbrt exp pow power ** ln log10 log2"
_SAFE_ON_FLOATS = frozenset(_FLOATING.split())
_STEERED = """
date_part datepart date_trunc datetrunc substring substr left right lpad rpad regexp_matches
regexp_full_match regexp_replace regexp_extract round strftime
"""
_SAFE_WITH_CONSTANTS = frozenset(_STEERED.split())
"""Cannot raise when every argument but the value itself is a constant that worked once."""

_LISTS_TEXT = """
list_contains list_has list_position array_length list_distinct list_sort list_concat list_extract
list_element
"""
_SAFE_ON_LISTS = frozenset(_LISTS_TEXT.split())
"""Cannot raise on lists: a text in the place of one, or of an element, is cast to it."""

_LOOKING = frozenset(("contains", "list_contains", "list_has", "list_position"))
_PADDING = frozenset(("lpad", "rpad"))

_SIZE_MAX = 2**31 - 1
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_ALIKE = frozenset(("coalesce", "greatest", "least", "nullif", "list_value"))
_NUMBERS = frozenset((*INTEGERS, *FLOATS))


@dataclass(frozen=True)
class Judge:
    """Looks at one bound tree; `types` has the DuckDB type of every node by its id().

    Nodes inside of lambdas have none.
    """

    text: Text
    types: dict[int, Any]

    def can_fail(self, node: Tree) -> bool:
        """Whether a row may make `node` raise; DefinitionError when it can never be right."""
        if is_constant(node):
            self._try_constant(node)
            return False
        below = [self.can_fail(child) for child in children(node) if id(child) in self.types]
        return self._fails_itself(node) or any(below)

    def _fails_itself(self, node: Tree) -> bool:
        match node["class"]:
            case "COLUMN_REF":
                return False
            case "COMPARISON":
                return self._unlike(node, [node["left"], node["right"]])
            case "BETWEEN":
                return self._unlike(node, [node["input"], node["lower"], node["upper"]])
            case "CONJUNCTION":
                failing = [self._not_boolean(child) for child in node["children"]]
                return any(failing)
            case "CASE":
                whens = [self._not_boolean(check["when_expr"]) for check in node["case_checks"]]
                thens = [check["then_expr"] for check in node["case_checks"]]
                return any([*whens, self._unlike(node, [*thens, node["else_expr"]])])
            case "CAST":
                return not node["try_cast"] and not self._cast_is_safe(node)
            case "OPERATOR":
                return self._operator_fails(node)
            case "FUNCTION":
                return self._function_fails(node)
        return True

    def _operator_fails(self, node: Tree) -> bool:
        parts: list[Tree] = node["children"]
        match node["type"]:
            case "OPERATOR_NOT":
                return self._not_boolean(parts[0])
            case "OPERATOR_IS_NULL" | "OPERATOR_IS_NOT_NULL" | "STRUCT_EXTRACT":
                return False
            case "COMPARE_IN" | "COMPARE_NOT_IN" | "OPERATOR_COALESCE" | "ARRAY_CONSTRUCTOR":
                return self._unlike(node, parts)
            case "ARRAY_EXTRACT":
                return bool(self._type(parts[0]).id not in ("list", "struct", "map"))
        return bool(node["type"] != "OPERATOR_TRY")

    def _function_fails(self, node: Tree) -> bool:
        name = node["function_name"]
        arguments = [a["expression"] for a in node["arguments"]]
        if name in DIVISIONS and len(arguments) == 2:
            return self._division_fails(name, node, arguments)
        if name in _SAFE_ON_FLOATS and str(self._type(node)) in FLOATS:
            return any(str(self._type(a)) not in _NUMBERS for a in arguments if self._typed(a))
        if name in _SAFE_WITH_CONSTANTS:
            # The value itself is the first argument, or the second after a part's name.
            others = arguments[:1] if name.startswith("date") else arguments[1:]
            return not all(self._is_moderate(a) for a in others) or (
                self._pads_with_nothing(arguments)
                if name in _PADDING
                else name == "round" and str(self._type(arguments[0])) not in FLOATS
            )
        if name in _SAFE_ON_LISTS or (name == "contains" and not self._is_text(arguments[0])):
            return self._list_function_fails(name, arguments)
        if name == "if":
            judged = [self._not_boolean(arguments[0]), self._unlike(node, arguments[1:])]
            return any(judged)
        if name in _ALIKE:
            return self._unlike(node, arguments)
        return name not in _SAFE

    def _list_function_fails(self, name: str, arguments: list[Tree]) -> bool:
        types = [self._type(a) for a in arguments]
        if not types or types[0].id != "list":
            return True
        kinds = {str(types[0])}
        if name == "list_concat":
            kinds.update(str(t) for t in types[1:])
            return len(kinds) > 1
        if name in _LOOKING:
            element, wanted = str(types[0].children[0][1]), str(types[-1])
            return element != wanted and not {element, wanted} <= set(INTEGERS)
        return any(
            not is_constant(a) and str(t) not in INTEGERS
            for a, t in list(zip(arguments, types, strict=True))[1:]
        )

    def _is_text(self, node: Tree) -> bool:
        return bool(self._type(node) == "VARCHAR")

    def _pads_with_nothing(self, arguments: list[Tree]) -> bool:
        """Whether the text to fill with, a constant, is empty: a short value cannot be filled."""
        return bool(one_value(f"select {render(arguments[-1])}") == "")

    def _is_moderate(self, node: Tree) -> bool:
        """Whether `node` is constant and works with any value beside it.

        Not a number beyond 32 bits, which some positions refuse, nor a pattern that takes single
        bytes: a part of a character is no text.
        """
        if not is_constant(node):
            return False
        if str(self._type(node)) not in INTEGERS:
            written = one_value(f"select cast({render(node)} as varchar)")
            return r"\C" not in str(written)
        number = one_value(f"select cast({render(node)} as hugeint)")
        return number is None or abs(number) <= _SIZE_MAX

    def _division_fails(self, name: str, node: Tree, arguments: list[Tree]) -> bool:
        type_ = str(self._type(node))
        if type_ in FLOATS:
            # A text is cast to a number first.
            return any(_digits(t) is None and t not in FLOATS for t in self._types_of(arguments))
        # The least integer divided by -1 is one too many.
        return not (
            type_ in INTEGERS
            and name in ("//", "%", "mod")
            and arguments[1]["class"] == "CONSTANT"
            and not str(arguments[1]["literal"]["text"]).startswith("-")
        )

    def _not_boolean(self, node: Tree) -> bool:
        type_ = str(self._type(node))
        if type_ == "VARCHAR" and not is_constant(node):
            raise self.text.refused(
                "text is not a condition",
                node,
                remedy=f"Compare it: {self.text.part(node)} = '…'.",
            )
        return type_ not in ("BOOLEAN", '"NULL"', *INTEGERS)

    def _unlike(self, node: Tree, parts: Iterable[Tree | None]) -> bool:
        """Whether bringing `parts` to one type may raise; refuses text beside another type."""
        sides = [(part, str(self._type(part))) for part in parts if part is not None]
        others = [(p, t) for p, t in sides if t not in ("VARCHAR", '"NULL"')]
        result = str(self._type(node))
        for part, type_ in sides:
            if type_ != "VARCHAR" or not others:
                continue
            if is_constant(part):
                self._try_cast(part, others[0][1])
            elif result != "VARCHAR" or node["class"] != "FUNCTION":
                raise self._mixed(part, others[0])
        known = {t for _, t in others}
        return not all(_widens(a, b) for a in known for b in known)

    def _mixed(self, part: Tree, other: tuple[Tree, str]) -> Exception:
        node, type_ = other
        shown = self.text.part(node)
        remedy = f"Write '{shown}'." if is_constant(node) else f"Cast {shown} to varchar."
        if type_ in TIMES:
            remedy = f"Cast the text to {type_.lower()}, or declare the field as one."
        return self.text.refused(
            f"{self.text.part(part)} is text and {shown} is {type_}; they do not compare",
            part,
            remedy=remedy,
        )

    def _cast_is_safe(self, node: Tree) -> bool:
        source, target = str(self._type(node["child"])), str(self._type(node))
        if source == target or target == "VARCHAR":
            return True
        if source in INTEGERS and target in INTEGERS:
            return INTEGERS[source] <= INTEGERS[target]
        if source == "BOOLEAN":
            return target in INTEGERS
        if source in INTEGERS or source.startswith("DECIMAL"):
            return target == "DOUBLE" or _fits(source, target)
        return (source in TIMES and target in TIMES) or (source, target) == ("FLOAT", "DOUBLE")

    def _try_constant(self, node: Tree) -> None:
        if node["class"] == "CONSTANT":
            return
        try:
            # Not the value itself: not all of DuckDB's have a place in Python.
            one_value(f"select hash({render(node)})")
        except duckdb.Error as error:
            raise self.text.refused(words(error), node) from error

    def _try_cast(self, node: Tree, type_: str) -> None:
        try:
            one_value(f"select cast({render(node)} as {type_})")
        except duckdb.Error as error:
            what = f"{self.text.part(node)} is not a value of type {type_}"
            raise self.text.refused(what, node) from error

    def _types_of(self, nodes: Iterable[Tree]) -> list[str]:
        return [str(self._type(n)) for n in nodes if self._typed(n)]

    def _typed(self, node: Tree) -> bool:
        return id(node) in self.types

    def _type(self, node: Tree) -> Any:
        return self.types[id(node)]


def is_constant(node: Tree) -> bool:
    """Whether no column and no lambda stands in `node`."""
    if node["class"] in ("COLUMN_REF", "LAMBDA"):
        return False
    return all(is_constant(child) for child in children(node))


def words(error: duckdb.Error) -> str:
    """What DuckDB says of an expression, without its class, candidates and place."""
    first = str(error).splitlines()[0]
    message = first.partition("Error: ")[2] or first
    message = message.replace(". You might need to add explicit type casts.", "")
    message = message.partition(" when casting from source column")[0].strip().rstrip(".")
    return message[0].lower() + message[1:] if message else "DuckDB refuses this expression"


def _widens(a: str, b: str) -> bool:
    """Whether values of `a` and `b` meet in a type that holds all of both."""
    if a == b or (a in TIMES and b in TIMES) or {a, b} <= {"TIMESTAMP", ZONED}:
        return True
    if a in _NUMBERS and b in _NUMBERS:
        return True
    sizes = [_digits(a), _digits(b)]
    if "DOUBLE" in (a, b) and any(sizes):
        return True
    if sizes[0] is None or sizes[1] is None:
        return False
    before = max(whole for whole, _ in (sizes[0], sizes[1]))
    return before + max(scale for _, scale in (sizes[0], sizes[1])) <= 38


def _fits(source: str, target: str) -> bool:
    """Whether every integer or decimal of type `source` has a place in `target`, rounded or not."""
    given, room = _digits(source), _digits(target)
    if given is None or room is None:
        return False
    rounded_up = 1 if given[1] > room[1] else 0
    # All of an integer type's last digit is not there: BIGINT ends at 9.2e18.
    return given[0] + rounded_up <= room[0] - (1 if target in INTEGERS else 0)


def _digits(type_: str) -> tuple[int, int] | None:
    """Digits before and behind the point of an integer or decimal type."""
    if type_ in INTEGERS:
        return INTEGERS[type_], 0
    found = _DECIMAL.fullmatch(type_)
    if found is None:
        return None
    precision, scale = int(found[1]), int(found[2])
    return precision - scale, scale
