"""Times that expressions make: within the years 1 to 9999, or the row fails.

Beyond them there is no text of RFC 3339 and no value in Python, and functions of times raise:
DuckDB tries some of them on the least and the greatest value that a column may have while it plans
a query, outside of every try(…). A list of one hides these bounds from it.
"""

from __future__ import annotations

from typing import Any

from headrace.plan.parse import Text, Tree, parse, render
from headrace.plan.safety import is_constant
from headrace.values.schema import literal, quote

_LAST = {
    "DATE": "9999-12-31",
    "TIMESTAMP": "9999-12-31 23:59:59.999999",
    "TIMESTAMP_MS": "9999-12-31 23:59:59.999",
    "TIMESTAMP_S": "9999-12-31 23:59:59",
    "TIMESTAMP WITH TIME ZONE": "9999-12-31 23:59:59.999999+00",
}
_TIMES = frozenset((*_LAST, "TIMESTAMP_NS"))
_KEEPING = frozenset(
    (
        "coalesce",
        "date_trunc",
        "datetrunc",
        "greatest",
        "if",
        "ifnull",
        "last_day",
        "least",
        "nullif",
    )
)
"""Functions whose times lie within the calendar when their arguments do."""
_LONG_PARTS = ("decade", "decades", "century", "centuries", "millennium", "millennia")
_PATHS = ("STRUCT_EXTRACT", "ARRAY_EXTRACT")
_FROM_JSON = frozenset(
    ("from_json", "from_json_strict", "json_transform", "json_transform_strict"),
)
_GENTLE = frozenset(("try_strptime", "from_json", "json_transform"))
"""Functions that give null for what they cannot read."""


def within_calendar(node: Tree, types: dict[int, Any]) -> tuple[Tree, bool]:
    """`node` with each time that is made in it bounded, and whether a row may fail by that.

    `types` has the DuckDB type of every node by its id(), also inside of lambdas.
    """
    bounds = _Bounds(types)
    return bounds.below(node), bounds.failing


class _Bounds:
    def __init__(self, types: dict[int, Any]) -> None:
        self.types, self.failing = types, False

    def below(self, value: Any) -> Any:
        """`value`, a tree or a part of one, with what is below it bounded, then itself."""
        if isinstance(value, list):
            return [self.below(v) for v in value]
        if not isinstance(value, dict):
            return value
        kept = ("type_expr", "literal")
        made = {key: v if key in kept else self.below(v) for key, v in value.items()}
        type_ = self.types.get(id(value))
        if type_ is None or not _holds_time(type_) or not self._makes_time(value, type_):
            return made
        return self._bounded(made, type_)

    def _makes_time(self, node: Tree, type_: Any) -> bool:
        if node["class"] not in ("CAST", "FUNCTION", "OPERATOR") or is_constant(node):
            return False
        element = str(type_).removesuffix("[]")
        if node["class"] == "OPERATOR":
            return element in _LAST and node["type"] in _PATHS and not _is_path(node)
        if node["class"] == "CAST":
            given = str(self.types.get(id(node["child"]), ""))
            return given != str(type_) and given.removesuffix("[]") not in _TIMES
        name = node["function_name"]
        if name in _FROM_JSON:
            return True
        if str(type_) not in _LAST:
            # Of what a function passes on, each time was bounded before; so in a lambda, if types
            # are known of it.
            bodies = (a["expression"].get("expr") for a in node["arguments"])
            return any(body is not None and id(body) not in self.types for body in bodies)
        if name not in _KEEPING:
            return True
        part = node["arguments"][0]["expression"]
        return bool(name.startswith("date") and part.get("literal", {}).get("text") in _LONG_PARTS)

    def _bounded(self, made: Tree, type_: Any) -> Tree:
        sql = render({**made, "alias": ""})
        gentle = bool(made.get("try_cast")) or made.get("function_name") in _GENTLE
        if type_.id == "list":
            whole = self._within(sql, type_, gentle, 0)
        else:
            each = self._within("__v", type_, gentle, 1)
            whole = f"(list_transform(list_value({sql}), lambda __v: {each}))[1]"
        return {**parse(Text(whole, "")), "alias": made.get("alias", "")}

    def _within(self, sql: str, type_: Any, gentle: bool, depth: int) -> str:
        """The value `sql` with the times in it bounded; all but a list is cheap to repeat."""
        if not _holds_time(type_):
            return sql
        if type_.id == "struct":
            return f"case when {sql} is not null then {self._fields(sql, type_, gentle, depth)} end"
        if type_.id not in ("list", "array", "map"):
            return self._choice(sql, str(type_), gentle)
        item = f"__v{depth or ''}"
        if type_.id == "map":
            each = self._fields(item, type_, gentle, depth + 1)
            entries = f"list_transform(map_entries({sql}), lambda {item}: {each})"
            return f"case when {sql} is not null then map_from_entries({entries}) end"
        each = self._within(item, type_.children[0][1], gentle, depth + 1)
        listed = f"list_transform({sql}, lambda {item}: {each})"
        return listed if type_.id == "list" else f"cast({listed} as {type_})"

    def _fields(self, sql: str, type_: Any, gentle: bool, depth: int) -> str:
        """A struct of the parts of a struct, or of an entry of a map, whose key cannot be null."""
        parts = []
        for name, inner in type_.children:
            part = f"struct_extract({sql}, {literal(name)})"
            is_key = type_.id == "map" and name == "key"
            bounded = self._within(part, inner, gentle and not is_key, depth)
            parts.append(f"{quote(name)} := {bounded}")
        return f"struct_pack({', '.join(parts)})"

    def _choice(self, sql: str, type_: str, gentle: bool) -> str:
        """SQL of one time, if it lies within the calendar."""
        last = f"cast('{_LAST[type_]}' as {type_})"
        within = f"{sql} between cast('0001-01-01' as {type_}) and {last}"
        if gentle:
            return f"case when {within} then {sql} end"
        self.failing = True
        # Not error(…), which is not tried; nor the value, which may have no text.
        beyond = f"cast('lies outside of the calendar, after it: ' || ({sql} > {last}) as {type_})"
        return f"case when {sql} is null or {within} then {sql} else {beyond} end"


def _holds_time(type_: Any) -> bool:
    """Whether a time stands in values of this type, at any depth."""
    if type_.id in ("struct", "map", "list", "array"):
        return any(_holds_time(inner) for name, inner in type_.children if name != "size")
    return str(type_) in _LAST


def _is_path(node: Tree) -> bool:
    """Whether `node` takes a part of a column."""
    if node["class"] == "OPERATOR" and node["type"] in _PATHS:
        return _is_path(node["children"][0])
    return bool(node["class"] == "COLUMN_REF")
