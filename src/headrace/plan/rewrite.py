"""From the tree that a user wrote to the tree that the plan keeps.

Names are checked and written as declared, functions are held against the allow-list, division
by zero becomes null, and what depends on a setting of DuckDB is written in the form that does
not: lambdas with the keyword and names of their own, `x.f()` as `f(x)`, `(a, b)` as a struct,
`x -> '$.a'` as json_extract.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from headrace.language.aggregates import AGGREGATES, is_aggregate
from headrace.plan.functions import (
    ALLOWED,
    DIVISIONS,
    LAMBDA_TAKERS,
    PROCESSING_TIME,
    PROCESSING_TIME_COLUMN,
    REASONS,
)
from headrace.plan.guards import check_call, check_cast, guarded
from headrace.plan.parse import Text, Tree, call, column, constant
from headrace.plan.scope import Scope
from headrace.plan.types import fields, is_list
from headrace.values.errors import did_you_mean

_GRAMMAR = {
    "SUBQUERY": "an expression cannot hold a query of its own; for a list write list_contains(…)",
    "WINDOW": "an expression is of one row; over (…) looks at others",
    "STAR": "* stands for many columns; name the one",
    "PARAMETER": "an expression has no parameters",
    "POSITIONAL_REFERENCE": "columns go by name, not by number",
    "DEFAULT": "default has no meaning here",
    "COLLATE": "a collation has no effect on grouping; compare lower(…) or strip_accents(…)",
}
_KINDS = "COMPARISON CONJUNCTION OPERATOR CASE BETWEEN CAST CONSTANT COLUMN_REF FUNCTION LAMBDA"
_PLAIN = frozenset(_KINDS.split())
NO_PARAMETER = "no_parameter"
"""Marks a column that nobody wrote: whatever a lambda calls its parameters, it is none of them."""


@dataclass
class Rewriter:
    """Rewrites the trees of one expression; collects the columns that they read."""

    text: Text
    scope: Scope
    columns: dict[str, None] = field(default_factory=dict)
    changes_with_run: bool = False

    def rewrite(self, node: Tree, parameters: frozenset[str] = frozenset()) -> Tree:
        """The tree to keep. `parameters` are the names that lambdas around it bring."""
        check_kind(self.text, node)
        kind = node["class"]
        if kind == "COLUMN_REF":
            return self._column(node, parameters)
        if kind == "FUNCTION":
            return self._function(node, parameters)
        if kind == "LAMBDA":
            return self._arrow(node, parameters)
        if kind == "CAST":
            check_cast(self.text, node)
        made: Tree = self._inside(node, parameters)
        return made

    def _inside(self, value: Any, parameters: frozenset[str]) -> Any:
        if isinstance(value, list):
            return [self._below(v, parameters) for v in value]
        return {
            key: v if key in ("type_expr", "literal") else self._below(v, parameters)
            for key, v in value.items()
        }

    def _below(self, value: Any, parameters: frozenset[str]) -> Any:
        if isinstance(value, dict) and "class" in value:
            return self.rewrite(value, parameters)
        return self._inside(value, parameters) if isinstance(value, dict | list) else value

    def _column(self, node: Tree, parameters: frozenset[str]) -> Tree:
        path: list[str] = node["column_names"]
        if path[0].lower() in parameters and not node.get(NO_PARAMETER):
            return {**node, "column_names": [_own_name(path[0]), *path[1:]]}
        name = self.scope.find(path[0])
        if name is None:
            raise self._unknown(node, path)
        self.columns[name] = None
        self.changes_with_run |= name in self.scope.changing
        found, type_ = [name], self.scope.type_of(name)
        for part in path[1:]:
            inner = fields(type_)
            if inner is None:
                raise self._no_fields(node, ".".join(found), type_)
            field_name = next((f for f in inner if f.lower() == part.lower()), None)
            if field_name is None:
                raise self.text.refused(
                    f'{".".join(found)} has no field "{part}"',
                    node,
                    remedy=did_you_mean(part, inner),
                )
            found.append(field_name)
            type_ = inner[field_name]
        return _at(node, column(*found))

    def _unknown(self, node: Tree, path: list[str]) -> Exception:
        name = path[0]
        if len(path) == 1 and name.lower() in REASONS:
            return self.text.refused(f"{name} is refused: {REASONS[name.lower()]}", node)
        own = {"window_start", "window_end"}
        if name.lower() in own:
            return self.text.refused(f"{name} is known only once agg(…) has made a view", node)
        remedy = did_you_mean(name, self.scope.names)
        return self.text.refused(
            f'{self.scope.noun} has no column "{name}"',
            node,
            remedy=remedy or None,
        )

    def _no_fields(self, node: Tree, path: str, type_: Any) -> Exception:
        if is_list(type_):
            return self.text.refused(
                f"{path} is a list",
                node,
                remedy=f"Take one element ({path}[1]), or make rows of it with explode(…).",
            )
        return self.text.refused(f"{path} is {type_}, which has no fields", node)

    def _function(self, node: Tree, parameters: frozenset[str]) -> Tree:
        name: str = node["function_name"].lower()
        arguments: list[Tree] = list(node["arguments"])
        owner = node["qualified_name"]["path"][:-1]
        if owner:
            arguments.insert(0, {"name": "", "expression": self._owner(node, owner, parameters)})
        self._check_function(node, name)
        if name == PROCESSING_TIME:
            return self._clock(node, arguments)
        check_call(self.text, node, name, arguments)
        made = []
        for argument in arguments:
            inner = argument["expression"]
            if name in LAMBDA_TAKERS and inner["class"] == "LAMBDA":
                made.append({**argument, "expression": self._lambda(inner, parameters)})
            else:
                made.append({**argument, "expression": self.rewrite(inner, parameters)})
        made = guarded(name, made)
        if name in DIVISIONS and len(made) == 2:
            made[1] = {**made[1], "expression": _null_if_zero(made[1]["expression"])}
        if name == "row":
            name = "struct_pack"
            made = [
                {"name": f"v{i}", "expression": {**a["expression"], "alias": f"v{i}"}}
                for i, a in enumerate(made, 1)
            ]
        bare = {"function_name": name, "schema": "", "catalog": ""}
        return {**node, **bare, "arguments": made, "qualified_name": {"path": [name]}}

    def _owner(self, node: Tree, owner: list[str], parameters: frozenset[str]) -> Tree:
        """The column before the point of `column.function()`."""
        if owner[0].lower() not in parameters and self.scope.find(owner[0]) is None:
            raise self.text.refused(
                f"{'.'.join(owner)} is no column; a function goes by its name alone", node
            )
        return _at(node, {**column(owner[0]), "column_names": owner})

    def _check_function(self, node: Tree, name: str) -> None:
        if is_aggregate(name) and name not in ALLOWED:
            raise self.text.refused(
                f"{self.text.part(node)} computes one value from many rows",
                node,
                remedy='Aggregates belong in agg(name="…"), one not inside of another.',
            )
        if name in REASONS:
            raise self.text.refused(f"{name}() is refused: {REASONS[name]}", node)
        if name not in ALLOWED and name != PROCESSING_TIME:
            near = get_close_matches(name, [*ALLOWED, *AGGREGATES], n=1, cutoff=0.7)
            raise self.text.refused(
                f"no function {name}() is known",
                node,
                remedy=f'Did you mean "{near[0]}"?' if near else None,
            )
        if node["distinct"] or node["filter"] or node["order_bys"]["orders"]:
            raise self.text.refused(
                f"{name}() is of one row: distinct, filter and order by belong to aggregates", node
            )

    def _clock(self, node: Tree, arguments: list[Tree]) -> Tree:
        if arguments:
            raise self.text.refused("processing_time() takes no arguments", node)
        if not self.scope.clock:
            raise self.text.refused(
                "processing_time() differs from run to run; it may stand only in columns "
                "that with_columns(…) adds on the way to a lake or a topic",
                node,
            )
        self.changes_with_run = True
        return _at(node, column(PROCESSING_TIME_COLUMN))

    def _lambda(self, node: Tree, parameters: frozenset[str]) -> Tree:
        own = lambda_parameters(node)
        body = self.rewrite(node["expr"], parameters | own)
        lhs = _named_apart(node["lhs"])
        return {**node, "lhs": lhs, "expr": body, "syntax_type": "LAMBDA_KEYWORD"}

    def _arrow(self, node: Tree, parameters: frozenset[str]) -> Tree:
        if node.get("syntax_type") != "SINGLE_ARROW":
            raise self.text.refused("a lambda stands only inside of a function on lists", node)
        sides = [{"name": "", "expression": node[side]} for side in ("lhs", "expr")]
        check_call(self.text, node, "json_extract", sides)
        made = [{**s, "expression": self.rewrite(s["expression"], parameters)} for s in sides]
        read = (a["expression"] for a in guarded("json_extract", made))
        return _at(node, call("json_extract", *read))


def check_kind(text: Text, node: Tree) -> None:
    """Refuses what is no plain expression: queries, windows over rows, stars, parameters."""
    kind = node["class"]
    if kind in _GRAMMAR:
        raise text.refused(_GRAMMAR[kind], node)
    if kind not in _PLAIN or node["type"] == "GROUPING_FUNCTION":
        raise text.refused(f"an expression cannot hold {text.part(node)}", node)


def lambda_parameters(node: Tree) -> frozenset[str]:
    """The names, in small letters, that a LAMBDA node brings to its body."""
    return frozenset(name.lower() for name in parameters_of(node["lhs"]))


def parameters_of(lhs: Tree) -> list[str]:
    """The names of a lambda's parameters, in their order."""
    if lhs["class"] == "COLUMN_REF":
        return [lhs["column_names"][0]]
    return [n for a in lhs.get("arguments", ()) for n in parameters_of(a["expression"])]


def _is_zero(number: str) -> bool:
    try:
        return float(number) == 0
    except ValueError:  # no number, so nobody knows yet
        return True


def _named_apart(lhs: Tree) -> Tree:
    """Parameters under names that no column has: DuckDB would take the column for `x.field`."""
    if lhs["class"] == "COLUMN_REF":
        return {**lhs, "column_names": [_own_name(lhs["column_names"][0])]}
    arguments = [{**a, "expression": _named_apart(a["expression"])} for a in lhs["arguments"]]
    return {**lhs, "arguments": arguments}


def _own_name(parameter: str) -> str:
    return f"__{parameter.lower()}"


def _null_if_zero(divisor: Tree) -> Tree:
    if divisor["class"] == "CONSTANT" and not _is_zero(divisor["literal"]["text"]):
        return divisor
    return _at(divisor, call("nullif", divisor, constant("INTEGER", "0")))


def _at(node: Tree, made: Tree) -> Tree:
    """`made` at the place in the text where `node` stood."""
    place = ("query_location", "query_location_length")
    return {**made, **{key: node[key] for key in place if key in node}}
