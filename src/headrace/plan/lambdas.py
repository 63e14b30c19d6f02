"""The types of what stands inside of lambdas.

DuckDB's binder says nothing of a lambda's body by itself. So the body is bound as if its parameters
were columns, of the types that the function gives them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import duckdb

from headrace.plan.functions import LAMBDA_TAKERS
from headrace.plan.parse import Tree, children, render, types_of
from headrace.plan.rewrite import parameters_of
from headrace.plan.types import is_list
from headrace.values.schema import quote

_Typed = tuple[Tree, Any]


def typed_nodes(node: Tree) -> Iterator[Tree]:
    """All nodes outside of lambdas that have a type of their own, parts before their wholes."""
    for child in children(node):
        if child["class"] != "LAMBDA":
            yield from typed_nodes(child)
    yield node


def inside_of_lambdas(
    nodes: Iterable[Tree],
    types: Mapping[int, Any],
    table: str,
    outer: Mapping[str, str] | None = None,
) -> Iterator[_Typed]:
    """The nodes of all lambdas in `nodes`, whose own types `types` has by id(), with theirs.

    `outer` has the types of parameters of lambdas around. A body that cannot be bound so is left
    out.
    """
    for node in nodes:
        for body, given in _bodies(node, types):
            known = {**(outer or {}), **given}
            columns = "".join(f", null::{type_} as {quote(n)}" for n, type_ in known.items())
            parts = list(typed_nodes(body))
            try:
                found = types_of([render(*parts)], f"(select *{columns} from {table})")
            except duckdb.Error:
                continue
            typed = list(zip(parts, found, strict=True))
            yield from typed
            by_id = {id(part): type_ for part, type_ in typed}
            yield from inside_of_lambdas(parts, by_id, table, known)


def _bodies(node: Tree, types: Mapping[int, Any]) -> Iterator[tuple[Tree, dict[str, str]]]:
    """The body of a lambda that `node` takes, and the types of the parameters that it names."""
    if node["class"] != "FUNCTION" or node["function_name"] not in LAMBDA_TAKERS:
        return
    values, *others = [a["expression"] for a in node["arguments"]]
    listed = types.get(id(values))
    if listed is None or not is_list(listed):
        return
    element = str(listed.children[0][1])
    if "reduce" in node["function_name"]:
        # What the lambda gives is what it gets again.
        given = [str(types[id(node)]), element, "BIGINT"]
    else:
        given = [element, "BIGINT"]
    for other in others:
        if other["class"] == "LAMBDA":
            names = parameters_of(other["lhs"])
            yield other["expr"], dict(zip(names, given, strict=False))
