"""SQL text to trees and back, by DuckDB's own parser.

A tree is what `json_serialize_sql` gives: nested dicts, every expression node with `class`,
`type` and its place in the text. Trees live only while an app is loaded.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb

from headrace.values.errors import DefinitionError
from headrace.values.schema import quotes_missing

Tree = dict[str, Any]

_PREFIX = "select "
_NOWHERE = 18446744073709551615
_EMPTY_TABLE = {"type": "EMPTY", "alias": "", "sample": None}
_LOCK = threading.RLock()


@dataclass(frozen=True)
class Text:
    """An expression as the user wrote it, and the file and line of the call."""

    sql: str
    where: str

    def refused(
        self, what: str, node: Tree | None = None, *, remedy: str | None = None
    ) -> DefinitionError:
        """The error that shows this expression, with a caret at `node`."""
        position = None if node is None else self.position(node)
        return self.refused_at(what, position, remedy=remedy)

    def refused_at(
        self, what: str, position: int | None, *, remedy: str | None = None
    ) -> DefinitionError:
        """As `refused`, with the caret at a character (0-based) of the text."""
        shown = " ".join(self.sql.split("\n")).replace("\t", " ").rstrip()
        lead = len(shown) - len(shown.lstrip())
        if position is not None:
            position = max(0, min(position, len(shown)) - lead)
        return DefinitionError(
            what, expression=shown[lead:], position=position, where=self.where, remedy=remedy
        )

    def position(self, node: Tree) -> int | None:
        """The character of the text at which `node` stands; None when the parser did not say."""
        start = node.get("query_location", _NOWHERE)
        if start == _NOWHERE or start < len(_PREFIX):
            return next((p for c in children(node) if (p := self.position(c)) is not None), None)
        return len(self.sql.encode()[: start - len(_PREFIX)].decode(errors="ignore"))

    def part(self, node: Tree) -> str:
        """What the user wrote for `node`; its canonical SQL when the parser did not say where."""
        start, length = node.get("query_location", _NOWHERE), node.get("query_location_length", 0)
        if start == _NOWHERE or not length:
            return render(node)
        raw = self.sql.encode()[start - len(_PREFIX) : start - len(_PREFIX) + length]
        return raw.decode(errors="replace")


@cache
def duck() -> duckdb.DuckDBPyConnection:
    """The connection that parses and binds: in memory, without files, network or extensions."""
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "enable_external_access": False,
            "threads": 1,
        }
    )
    connection.execute("set TimeZone = 'UTC'")
    return connection


def one_value(sql: str, parameters: Sequence[Any] = ()) -> Any:
    """The single value of a query; duckdb.Error when it fails."""
    with _LOCK:
        row = duck().execute(sql, list(parameters)).fetchone()
    return None if row is None else row[0]


def types_of(expressions: Sequence[str], table: str) -> list[Any]:
    """The DuckDB types of expressions over a table, by binding only; duckdb.Error if one fails."""
    with _LOCK:
        return list(duck().sql(f"select {', '.join(expressions)} from {table}").types)


def execute(sql: str) -> None:
    with _LOCK:
        duck().execute(sql)


def parse(text: Text, columns: Sequence[str] = ()) -> Tree:
    """The tree of exactly one expression; DefinitionError for anything else.

    A column (or a path into one) alone needs no quotes, whatever words of SQL are in it.
    """
    alone = text.sql.strip().split(".")
    if all(p.isidentifier() for p in alone) and alone[0].lower() in (c.lower() for c in columns):
        return {**column(alone[0]), "column_names": alone, "query_location": len(_PREFIX)}
    tree = json.loads(one_value("select json_serialize_sql(?)", [_PREFIX + text.sql]))
    if tree["error"] and tree["error_type"] != "parser":  # it parses, but not as one select
        raise text.refused("an expression is one value, not a statement")
    if tree["error"]:
        at = tree.get("position")
        position = (
            None if at is None else len(text.sql.encode()[: int(at) - 7].decode("utf-8", "ignore"))
        )
        remedy = _quotes_missing(text, columns)
        raise text.refused_at(_syntax_words(tree["error_message"]), position, remedy=remedy)
    statements = tree["statements"]
    if len(statements) != 1:
        raise text.refused("an expression is one value, not a statement")
    node = statements[0]["node"]
    if not _is_bare(node):
        raise text.refused(
            "an expression is one value: no from, where, group by, order by, limit or union",
            remedy="Filters, keys and orders are steps of their own: where(…), by(…), top(…).",
        )
    if len(node["select_list"]) != 1:
        raise text.refused(
            "this is several expressions", node["select_list"][1], remedy="Name each of them."
        )
    expression: Tree = node["select_list"][0]
    if expression.get("alias"):
        raise text.refused(
            f'the name "{expression["alias"]}" stands inside of the expression',
            expression,
            remedy=f'Write {expression["alias"]}="…" in the call instead of "as".',
        )
    return expression


def render(*nodes: Tree) -> str:
    """The canonical SQL of expression trees, separated by commas."""
    select: Tree = {
        "type": "SELECT_NODE",
        "modifiers": [],
        "cte_map": {"map": []},
        "select_list": list(nodes),
        "from_table": _EMPTY_TABLE,
        "where_clause": None,
        "group_expressions": [],
        "group_sets": [],
        "aggregate_handling": "STANDARD_HANDLING",
        "having": None,
        "sample": None,
        "qualify": None,
    }
    statement = {"error": False, "statements": [{"node": select, "named_param_map": []}]}
    text: str = one_value("select json_deserialize_sql(?::json)", [json.dumps(statement)])
    return text.removeprefix("SELECT ")


def children(node: Tree) -> Iterator[Tree]:
    """The expression nodes directly below `node`, in the order of the text."""
    for key, value in node.items():
        if key in ("type_expr", "literal"):
            continue
        for child in value if isinstance(value, list) else [value]:
            yield from _expressions(child)


def _expressions(value: Any) -> Iterator[Tree]:
    if not isinstance(value, dict):
        return
    if "class" in value:
        yield value
    else:  # arguments, case_checks, order_bys: plain holders of expressions
        yield from children(value)


def column(*path: str) -> Tree:
    """A tree that reads a column, or a path into one, whatever tables are called."""
    tree: Tree = {
        "class": "COLUMN_REF",
        "type": "COLUMN_REF",
        "alias": "",
        "column_names": [path[0]],
    }
    for part in path[1:]:
        tree = {
            "class": "OPERATOR",
            "type": "STRUCT_EXTRACT",
            "alias": "",
            "children": [tree, constant("STRING", part)],
        }
    return tree


def constant(kind: str, text: str) -> Tree:
    """A literal; `kind` is STRING, INTEGER, NUMERIC or BOOLEAN."""
    return {
        "class": "CONSTANT",
        "type": "VALUE_CONSTANT",
        "alias": "",
        "literal": {"kind": kind, "text": text},
    }


def call(function: str, *arguments: Tree) -> Tree:
    """A call of a scalar function."""
    return {
        "class": "FUNCTION",
        "type": "FUNCTION",
        "alias": "",
        "function_name": function,
        "schema": "",
        "catalog": "",
        "filter": None,
        "order_bys": {"type": "ORDER_MODIFIER", "orders": []},
        "distinct": False,
        "is_operator": False,
        "export_state": False,
        "arguments": [{"name": "", "expression": argument} for argument in arguments],
        "qualified_name": {"path": [function]},
    }


def fill(template: str, where: str, **trees: Tree) -> Tree:
    """The tree of `template` with `trees` in place of the columns of their names."""
    filled: Tree = _fill(parse(Text(template, where)), trees)
    return filled


def _fill(value: Any, trees: dict[str, Tree]) -> Any:
    if isinstance(value, list):
        return [_fill(v, trees) for v in value]
    if not isinstance(value, dict):
        return value
    if value.get("class") == "COLUMN_REF":
        return trees[value["column_names"][0]]
    return {k: _fill(v, trees) for k, v in value.items() if not k.startswith("query_location")}


def _is_bare(node: Tree) -> bool:
    return (
        node["type"] == "SELECT_NODE"
        and not node["modifiers"]
        and not node["cte_map"]["map"]
        and node["from_table"]["type"] == "EMPTY"
        and not node["group_expressions"]
        and not any(node[part] for part in ("where_clause", "having", "sample", "qualify"))
        and node["aggregate_handling"] == "STANDARD_HANDLING"
    )


@cache
def _words_of_sql() -> frozenset[str]:
    """Words that cannot be a column's name without quotes."""
    with _LOCK:
        found = duck().execute(
            "select keyword_name from duckdb_keywords() where keyword_category <> 'unreserved'"
        )
        return frozenset(str(row[0]) for row in found.fetchall())


def _quotes_missing(text: Text, columns: Sequence[str]) -> str | None:
    used = [c for c in columns if re.search(rf'(?<!")\b{re.escape(c)}\b(?!")', text.sql, re.I)]
    for name in used:
        if name.lower() in _words_of_sql():
            return quotes_missing(name)
    return None


def _syntax_words(message: str) -> str:
    first = message.splitlines()[0]
    return f"this is not an SQL expression: {first[0].lower()}{first[1:]}"
