"""What would end a whole query instead of failing on one row: refused, or bounded.

DuckDB's `try(…)` turns nearly all that a value does wrong into null. Some errors pass through it
(a part of a time or a pattern that means nothing, an unknown time zone), some end the database
(numbers without limit), and a size taken from an event may ask for all the memory there is. None
of that may hang on what an event holds: what steers such a function has to be constant, sizes are
bounded, and each call is tried once on plain values when the app is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from headrace.plan.parse import Text, Tree, call, children, constant, fill, one_value, render
from headrace.plan.safety import is_constant, words
from headrace.plan.steering import JSON_PATHS, check_index, check_steering_text, plain_path

_PARTS = "date_part datepart date_trunc datetrunc date_diff datediff date_sub datesub"
_ESCAPES = "like_escape not_like_escape ilike_escape not_ilike_escape"
_STEERING: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys((*_PARTS.split(), "time_bucket"), (0,)),
    **dict.fromkeys(_ESCAPES.split(), (1, 2)),
    **dict.fromkeys(("format", "printf"), (0,)),
    "to_base": (1, 2),
}
"""Positions of arguments that have to be constant."""

_SIZES: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("repeat", "lpad", "rpad", "list_resize", "array_resize"), (1,)),
    **dict.fromkeys(("range", "generate_series"), (0, 1, 2)),
}
"""Positions of arguments that say how large the result is."""

_COMPARED = frozenset(("damerau_levenshtein", "editdist3", "levenshtein"))
"""Functions that compare each character of a text with each of another."""
_SHORT = (
    "case when length(x) <= 4096 then x "
    "else cast(cast('is too long: ' || length(x) as bigint) as varchar) end"
)
"""SQL of a text x that takes no gigabytes, or many minutes, to compare; a longer one fails."""

_SIZE_MAX = 1_000_000
_REDUCERS = frozenset(("list_reduce", "array_reduce", "reduce"))
_DIGITS = "For long whole numbers write decimal(38, 0), or double."
_NO_CASTS = {
    **dict.fromkeys(("bignum", "varint", "bit", "bitstring"), _DIGITS),
    # Of JSON that is nested deeply enough it ends the process.
    "variant": "Read a value out of JSON with json_extract_string(…) and cast that.",
}
"""Types that nothing is cast to, and what to write."""
_SAME_DIGITS = re.compile(r"DECIMAL\((\d+),\1\)")
_SAMPLES = {
    **dict.fromkeys(("VARCHAR", "BLOB"), "a"),
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UBIGINT"), "1"),
    **dict.fromkeys(("UHUGEINT", "UINTEGER", "USMALLINT", "UTINYINT", "FLOAT", "DOUBLE"), "1"),
    **dict.fromkeys(("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"), "2000-01-01"),
    **dict.fromkeys(("TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), "2000-01-01"),
    **dict.fromkeys(("TIME", "TIME WITH TIME ZONE"), "00:00:00"),
    **{"INTERVAL": "1 day", "BOOLEAN": "true", "JSON": "{}"},
}


def check_call(text: Text, node: Tree, name: str, arguments: list[Tree]) -> None:
    """Refuses a call that an event could steer into ending the query."""
    for place in _STEERING.get(name, ()):
        if place < len(arguments) and not is_constant(arguments[place]["expression"]):
            raise _must_be_constant(text, arguments[place]["expression"], name)
    if name == "timezone" and len(arguments) == 2 and not is_constant(arguments[0]["expression"]):
        raise _must_be_constant(text, arguments[0]["expression"], name)
    check_steering_text(text, node, name, [a["expression"] for a in arguments])
    if name == "array_length" and len(arguments) == 2 and not _is_one(arguments[1]["expression"]):
        raise text.refused("a list has one dimension", arguments[1]["expression"])
    for place in _SIZES.get(name, ()):
        if place < len(arguments) and _is_large(arguments[place]["expression"]):
            raise text.refused(
                f"{name}() makes at most {_SIZE_MAX:,} of something",
                arguments[place]["expression"],
            )


def check_cast(text: Text, node: Tree) -> None:
    """Refuses casts to types on which an error ends the database, or any query."""
    for type_ in _type_names(node["type_expr"]):
        if type_.lower() in _NO_CASTS:
            raise text.refused(
                f"a cast to {type_.lower()} is not possible here",
                node,
                remedy=_NO_CASTS[type_.lower()],
            )


def guarded(name: str, arguments: list[Tree]) -> list[Tree]:
    """`arguments` as an event may give them: a size beyond its bound fails the row."""
    made = list(arguments)
    if name in JSON_PATHS and len(made) == 2 and not is_constant(made[1]["expression"]):
        made[1] = {**made[1], "expression": plain_path(made[1]["expression"])}
    if name in _COMPARED:
        made = [
            a if is_constant(a["expression"]) else {**a, "expression": _short(a["expression"])}
            for a in made
        ]
    if name in _REDUCERS and len(made) == 2:
        # There is nothing to begin with in an empty list: null, as for a sum of nothing.
        whole = made[0]["expression"]
        made[0] = {**made[0], "expression": call("nullif", whole, call("list_value"))}
    for place in _SIZES.get(name, ()):
        if place < len(made) and not is_constant(made[place]["expression"]):
            made[place] = {**made[place], "expression": _bounded(made[place]["expression"])}
    return made


def check_types(text: Text, nodes: Iterable[Tree], types: Mapping[int, Any]) -> None:
    """Refuses what bound, but ends every query that runs it."""
    for node in nodes:
        type_ = types[id(node)]
        if type_.id == "bignum":
            raise text.refused(
                "this is a number without limit; an error on one ends the job",
                node,
                remedy="Cast what it is made of to decimal(38, 0) or double.",
            )
        if node["type"] == "ARRAY_EXTRACT":
            check_index(text, node, types)
        if _makes_json(node, type_):
            _check_json(text, node, types)
        if node["class"] in ("FUNCTION", "CAST") and not is_constant(node):
            _try(text, node, types)


def _check_json(text: Text, node: Tree, types: Mapping[int, Any]) -> None:
    for child in children(node):
        found = _SAME_DIGITS.search(str(types[id(child)])) if id(child) in types else None
        if found is not None:
            digits = int(found[1])
            wider = f"decimal({digits + 1}, {digits})" if digits < 38 else "decimal(38, 37)"
            raise text.refused(
                f"{found[0]} has no digit before the point, and none is written in JSON",
                child,
                remedy=f"Cast it to {wider}.",
            )


def _makes_json(node: Tree, type_: Any) -> bool:
    if node["class"] == "CAST":
        return str(type_) == "JSON"
    name = node.get("function_name", "")
    return node["class"] == "FUNCTION" and ("json" in name or name in ("->", "->>"))


def _try(text: Text, node: Tree, types: Mapping[int, Any]) -> None:
    """Runs `node` once, with plain values for what is not constant, as a row would."""
    sampled = _sampled(node, types)
    if sampled is None:
        return
    sql = render(sampled)
    try:
        # Not the value itself: not all of DuckDB's have a place in Python.
        tried = f"try({sql})" if node["class"] == "FUNCTION" else sql
        one_value(f"select hash({tried})")
    except duckdb.Error as error:
        # What else a cast of a plain value does wrong, another value may do right.
        if node["class"] == "FUNCTION" or "nimplemented" in str(error):
            raise text.refused(words(error), node) from error


def _sampled(node: Tree, types: Mapping[int, Any]) -> Tree | None:
    """`node` with a plain value for each part that is not constant; None where one has none."""
    if node["class"] == "CAST":
        value = _sample(node["child"], types)
        return None if value is None else {**node, "child": value, "alias": ""}
    made = []
    for argument in node["arguments"]:
        value = _sample(argument["expression"], types)
        if value is None:
            return None
        # The name of a struct's field stands there.
        name = argument["expression"].get("alias", "")
        made.append({**argument, "expression": {**value, "alias": name}})
    return {**node, "arguments": made, "alias": ""}


def _sample(node: Tree, types: Mapping[int, Any]) -> Tree | None:
    if is_constant(node):
        return node
    if node["class"] == "LAMBDA" or id(node) not in types:
        return None
    type_ = str(types[id(node)])
    if type_.endswith("[]") and type_[:-2] in _SAMPLES:
        return _cast(call("list_value", constant("STRING", _SAMPLES[type_[:-2]])), type_)
    return _cast(constant("STRING", _SAMPLES[type_]), type_) if type_ in _SAMPLES else None


def _cast(value: Tree, type_: str) -> Tree:
    """A tree of `cast(value as type_)`."""
    names = {"TIMESTAMP WITH TIME ZONE": "timestamptz", "TIME WITH TIME ZONE": "timetz"}
    is_list = type_.endswith("[]")
    name = type_.removesuffix("[]")
    plain = _type(names.get(name, name.lower()), [])
    return {
        "class": "CAST",
        "type": "OPERATOR_CAST",
        "alias": "",
        "child": value,
        "try_cast": False,
        "type_expr": _type("list", [plain]) if is_list else plain,
    }


def _type(name: str, inner: list[Tree]) -> Tree:
    return {
        "class": "TYPE",
        "type": "TYPE",
        "alias": "",
        "catalog": "",
        "schema": "",
        "type_name": name,
        "children": inner,
        "qualified_name": {"path": [name]},
    }


def _short(value: Tree) -> Tree:
    return fill(_SHORT, "", x=value)


def _bounded(size: Tree) -> Tree:
    """`size`, up to 32,767; beyond it the cast fails, and with it the row."""
    place: Tree = {
        key: size[key] for key in ("query_location", "query_location_length") if key in size
    }
    return {**_cast(size, "SMALLINT"), **place}


def _is_one(node: Tree) -> bool:
    return bool(node["class"] == "CONSTANT" and node["literal"].get("text") == "1")


def _is_large(size: Tree) -> bool:
    if not is_constant(size):
        return False
    try:
        found = one_value(f"select abs(try_cast({render(size)} as double))")
    except duckdb.Error:
        return False
    return found is not None and found > _SIZE_MAX


def _type_names(type_: Tree) -> Iterable[str]:
    yield type_.get("type_name", "")
    for inner in type_.get("children", ()):
        if inner.get("class") == "TYPE":
            yield from _type_names(inner)


def _must_be_constant(text: Text, node: Tree, name: str) -> Exception:
    return text.refused(
        f"this argument of {name}() has to be constant: a wrong one in an event would end the job",
        node,
        remedy="Write it out, or choose with case when … then … end.",
    )
