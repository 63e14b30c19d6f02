"""Binding: from a text to an `Expression`, with DuckDB's binder as the judge of types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb

from headrace.plan.calendar import within_calendar
from headrace.plan.guards import check_types
from headrace.plan.lambdas import inside_of_lambdas, typed_nodes
from headrace.plan.operators import Expression
from headrace.plan.parse import Text, Tree, parse, render, types_of
from headrace.plan.rewrite import Rewriter
from headrace.plan.safety import Judge, words
from headrace.plan.scope import Scope
from headrace.plan.types import ZONED, refusal, settled


@dataclass(frozen=True)
class Bound:
    """An expression with what the plan no longer needs: its tree and DuckDB's type object."""

    expression: Expression
    tree: Tree
    type: Any
    text: Text


def bind(text: Text, scope: Scope) -> Bound:
    """One expression over the columns of `scope`, with the type that DuckDB gives it."""
    return bind_tree(parse(text, scope.names), text, scope)


def bind_tree(tree: Tree, text: Text, scope: Scope, shown: str | None = None) -> Bound:
    """As `bind`, for (a part of) a parsed text; `shown` is its text if it is not all of it."""
    rewriter = Rewriter(text, scope)
    kept = rewriter.rewrite(tree)
    nodes = list(typed_nodes(kept))
    types = _types(nodes, text, scope)
    can_fail = Judge(text, types).can_fail(kept)
    inside = list(inside_of_lambdas(nodes, types, scope.table))
    all_types = {**types, **{id(node): found for node, found in inside}}
    check_types(text, [*nodes, *(node for node, _ in inside)], all_types)
    type_ = types[id(kept)]
    bounded, may_lie_beyond = within_calendar(kept, all_types)
    expression = Expression(
        text=(text.sql if shown is None else shown).strip(),
        sql=render(bounded),
        type=str(type_),
        columns=tuple(rewriter.columns),
        can_fail=can_fail or may_lie_beyond,
        changes_with_run=rewriter.changes_with_run,
    )
    return Bound(expression, kept, type_, text)


def bind_condition(text: Text, scope: Scope) -> Expression:
    """An expression that is true or false."""
    bound = bind(text, scope)
    if bound.expression.type != "BOOLEAN":
        raise text.refused(
            f"a condition is true or false; this is {bound.expression.type}",
            bound.tree,
            remedy="Compare it with something.",
        )
    return bound.expression


def bind_column(text: Text, scope: Scope) -> Bound:
    """An expression whose value leaves as a column: cast to a type that destinations know."""
    return settle(bind(text, scope))


def settle(bound: Bound) -> Bound:
    """`bound` with the type that a column has; see `types.py`."""
    reason = refusal(bound.type)
    if reason is not None:
        raise bound.text.refused(f"this {reason}", bound.tree)
    type_, expression = settled(bound.type), bound.expression
    if type_ == expression.type:
        return bound
    if expression.type == ZONED:
        sql, can_fail = f"timezone('UTC', {expression.sql})", expression.can_fail
    else:
        sql = f"CAST({expression.sql} AS {type_})"
        can_fail = expression.can_fail or type_ != "VARCHAR"
    kept = Expression(
        expression.text, sql, type_, expression.columns, can_fail, expression.changes_with_run
    )
    return Bound(
        kept, bound.tree, types_of([f"cast(null as {type_})"], "(select 1)")[0], bound.text
    )


def _types(nodes: list[Tree], text: Text, scope: Scope) -> dict[int, Any]:
    try:
        found = types_of([render(*nodes)], scope.table)
    except duckdb.Error:
        raise _first_refused(nodes, text, scope) from None
    return {id(node): type_ for node, type_ in zip(nodes, found, strict=True)}


def _first_refused(nodes: list[Tree], text: Text, scope: Scope) -> Exception:
    """The error for the smallest part that DuckDB refuses; parts come before their wholes."""
    for node in nodes:
        try:
            types_of([render(node)], scope.table)
        except duckdb.Error as error:
            return text.refused(_said(node, text, error, scope), node)
    return text.refused("DuckDB refuses this expression")


def _said(node: Tree, text: Text, error: duckdb.Error, scope: Scope) -> str:
    if node["class"] != "FUNCTION" or "No function matches" not in str(error):
        return words(error)
    types = []
    for argument in node["arguments"]:
        try:
            types.append(str(types_of([render(argument["expression"])], scope.table)[0]))
        except duckdb.Error:
            types.append("a lambda")
    name = node["function_name"]
    if node["is_operator"] and len(types) == 2:
        return f"{types[0]} {name} {types[1]} is not possible"
    return f"{name}(…) does not take {', '.join(types) or 'no argument'}"
