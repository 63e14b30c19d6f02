"""Times that expressions make: within the years 1 to 9999, or the row fails.

Beyond them there is no text of RFC 3339 and no value in Python, and functions of times raise:
DuckDB tries some of them on the least and the greatest value that a column may have while it plans
a query, outside of every try(…). A list of one hides these bounds from it.
"""

from __future__ import annotations

from typing import Any

from headrace.plan.parse import Text, Tree, parse, render
from headrace.plan.safety import is_constant

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


def within_calendar(node: Tree, types: dict[int, Any]) -> tuple[Tree, bool]:
    """`node` with each time that is made in it bounded, and whether a row may fail by that.

    `types` has the DuckDB type of every node by its id(), as `safety.Judge`.
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
        type_ = str(self.types.get(id(value), ""))
        element = type_.removesuffix("[]")
        if element not in _LAST or not self._makes_time(value, type_):
            return made
        return self._bounded(made, type_, element)

    def _makes_time(self, node: Tree, type_: str) -> bool:
        if node["class"] not in ("CAST", "FUNCTION", "OPERATOR") or is_constant(node):
            return False
        if node["class"] == "OPERATOR":
            return node["type"] in _PATHS and not _is_path(node)
        if node["class"] == "CAST":
            given = str(self.types.get(id(node["child"]), ""))
            return given.removesuffix("[]") not in _TIMES
        name = node["function_name"]
        if name not in _KEEPING:
            # Of a list that a function passes on, each element was bounded before.
            return not type_.endswith("[]") or _has_lambda(node)
        part = node["arguments"][0]["expression"]
        return bool(name.startswith("date") and part.get("literal", {}).get("text") in _LONG_PARTS)

    def _bounded(self, made: Tree, type_: str, element: str) -> Tree:
        sql, time = render(made), f"cast('{_LAST[element]}' as {element})"
        within = f"__v between cast('0001-01-01' as {element}) and {time}"
        values = sql if type_.endswith("[]") else f"list_value({sql})"
        if made.get("try_cast") or made.get("function_name") == "try_strptime":
            choice = f"case when {within} then __v end"
        else:
            self.failing = True
            # Not error(…), which is not tried; nor the value, which may have no text.
            beyond = (
                f"cast('lies outside of the calendar, after it: ' || (__v > {time}) as {element})"
            )
            choice = f"case when __v is null or {within} then __v else {beyond} end"
        whole = f"list_transform({values}, lambda __v: {choice})"
        bounded = parse(Text(whole if type_.endswith("[]") else f"({whole})[1]", ""))
        return {**bounded, "alias": made.get("alias", "")}


def _is_path(node: Tree) -> bool:
    """Whether `node` takes a part of a column."""
    if node["class"] == "OPERATOR" and node["type"] in _PATHS:
        return _is_path(node["children"][0])
    return bool(node["class"] == "COLUMN_REF")


def _has_lambda(node: Tree) -> bool:
    return any(a["expression"]["class"] == "LAMBDA" for a in node["arguments"])
