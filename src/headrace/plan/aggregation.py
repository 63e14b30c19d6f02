"""Takes the aggregates out of what `agg` was given.

`100.0 * sum(a) / count(*)` becomes two calls, a0 and a1, and a result over their values. A call
that several results share stands once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

import duckdb

from headrace.language.aggregates import AGGREGATES, REFUSED, Aggregate, is_aggregate
from headrace.plan.bind import Bound, bind_tree, settle
from headrace.plan.functions import ALLOWED
from headrace.plan.operators import AggregateCall, Expression, Named
from headrace.plan.parse import Text, Tree, column, fill, parse, render, types_of
from headrace.plan.rewrite import NO_PARAMETER, check_kind, lambda_parameters
from headrace.plan.safety import is_constant, words
from headrace.plan.scope import Scope
from headrace.plan.wide_sums import WideSum, wide_sum


@dataclass
class Aggregation:
    """Collects the calls of one view; `rows` are the columns that their arguments may read."""

    rows: Scope
    keys: tuple[str, ...]
    results: tuple[str, ...]
    calls: list[AggregateCall] = field(default_factory=list)

    def result(self, name: str, text: Text) -> Named:
        """One result of `agg`, over the ids of the calls."""
        rest = self._extract(parse(text, self.rows.names), text, frozenset())
        values = Scope(tuple((c.id, c.type) for c in self.calls), "agg")
        return Named(name, settle(bind_tree(rest, text, values)).expression)

    def _extract(self, node: Tree, text: Text, parameters: frozenset[str]) -> Tree:
        check_kind(text, node)
        if node["class"] == "FUNCTION":
            name = node["function_name"].lower()
            if is_aggregate(name) and name not in ALLOWED:
                return self._call(node, name, text)
            if name not in ALLOWED:
                _suggest(node, name, text)
        if node["class"] == "COLUMN_REF" and node["column_names"][0].lower() not in parameters:
            raise self._outside(node, text)
        if node["class"] == "LAMBDA":
            parameters |= lambda_parameters(node)
        made: Tree = self._inside(node, text, parameters)
        return made

    def _inside(self, value: Any, text: Text, parameters: frozenset[str]) -> Any:
        if isinstance(value, list):
            return [self._below(v, text, parameters) for v in value]
        return {
            key: v if key in ("type_expr", "literal", "lhs") else self._below(v, text, parameters)
            for key, v in value.items()
        }

    def _below(self, value: Any, text: Text, parameters: frozenset[str]) -> Any:
        if isinstance(value, dict) and "class" in value:
            return self._extract(value, text, parameters)
        return self._inside(value, text, parameters) if isinstance(value, dict | list) else value

    def _outside(self, node: Tree, text: Text) -> Exception:
        name = node["column_names"][0]
        if name.lower() in (key.lower() for key in self.keys):
            remedy = f'"{name}" is a key: the view has it as a column of its own.'
        elif name.lower() in (result.lower() for result in self.results):
            remedy = "Results do not read each other; write its aggregate again: it is kept once."
        elif self.rows.find(name):
            remedy = f"Say which of the rows' values: first({name}), max({name}), list({name})."
        else:
            remedy = "Write aggregates of columns, such as sum(x) or count(*)."
        return text.refused(f'"{name}" stands outside of an aggregate', node, remedy=remedy)

    def _call(self, node: Tree, name: str, text: Text) -> Tree:
        if name in REFUSED:
            raise text.refused(f"{name}(…) is refused: {REFUSED[name]}", node)
        known = AGGREGATES[name]
        if node["order_bys"]["orders"]:
            raise text.refused(
                f"{name}(… order by …): the order inside of an aggregate is that of the events",
                node,
                remedy="For the value at the least or greatest of another: arg_min, arg_max.",
            )
        if node["distinct"] and known.distinct == "refused":
            raise text.refused(
                f"{name}(distinct …) would need every value to be kept",
                node,
                remedy="distinct is known in count(distinct x).",
            )
        owner = ".".join(node["qualified_name"]["path"][:-1])
        if owner:
            raise text.refused(f"write {name}({owner}) for {owner}.{name}()", node)
        arguments, constants = self._arguments(node, name, known, text)
        condition, function = node["filter"], known.canonical
        if function == "count_if":
            counted = node["arguments"][0]["expression"]
            self._condition(counted, text)
            condition = counted if condition is None else _both(counted, condition)
            function, arguments = "count_star", []
        kept = None if condition is None else self._condition(condition, text)
        wide = wide_sum(arguments[0].expression.type) if function in ("sum", "avg") else None
        if wide is not None:
            made = self._in_parts(function, wide, arguments[0], kept, node, text)
        else:
            distinct = bool(node["distinct"]) and known.distinct == "own"
            made = self._kept(function, arguments, constants, distinct, kept, node, text)
        place = {k: v for k, v in node.items() if k.startswith("query_location")}
        return {**made, **place, "alias": node["alias"]}

    def _kept(
        self,
        function: str,
        arguments: list[Bound],
        constants: tuple[str, ...],
        distinct: bool,
        condition: Expression | None,
        node: Tree,
        text: Text,
    ) -> Tree:
        """The column under which results read a call that is kept as it is."""
        made = AggregateCall(
            id=f"a{len(self.calls)}",
            function=function,
            arguments=tuple(bound.expression for bound in arguments),
            type=self._type(function, arguments, constants, node, text),
            distinct=distinct,
            filter=condition,
            constants=constants,
        )
        return {**column(self._id(made)), NO_PARAMETER: True}

    def _in_parts(
        self,
        function: str,
        wide: WideSum,
        argument: Bound,
        condition: Expression | None,
        node: Tree,
        text: Text,
    ) -> Tree:
        """The expression over the calls that keep a sum or mean whose plain sum could overflow."""
        sums = {}
        given = node["arguments"][0]["expression"]
        for name, template in (("l", wide.low), ("h", wide.high)):
            part = self._row(fill(template, text.where, x=given), text)
            # Taking a value apart cannot fail.
            said, can_fail = argument.expression.text, argument.expression.can_fail
            expression = replace(part.expression, text=said, can_fail=can_fail)
            part = replace(part, expression=expression)
            sums[name] = self._kept("sum", [part], (), False, condition, node, text)
        if function == "sum":
            return fill(wide.total, text.where, **sums)
        count = self._kept("count", [argument], (), False, condition, node, text)
        return fill(wide.mean, text.where, **sums, n=count)

    def _id(self, made: AggregateCall) -> str:
        """The id of an equal call that is there already, else of `made`."""
        for other in self.calls:
            if _same(other) == _same(made):
                return other.id
        self.calls.append(made)
        return made.id

    def _arguments(
        self, node: Tree, name: str, known: Aggregate, text: Text
    ) -> tuple[list[Bound], tuple[str, ...]]:
        given = [argument["expression"] for argument in node["arguments"]]
        if len(given) != known.arguments + known.constants:
            wanted = known.arguments + known.constants
            raise text.refused(
                f"{name}(…) takes {wanted} argument{'s' if wanted != 1 else ''}, not {len(given)}",
                node,
            )
        fixed = given[known.arguments :]
        for constant in fixed:
            if not is_constant(constant):
                raise text.refused(f"{text.part(constant)} has to be a constant", constant)
        constants = (*known.given, *(self._row(c, text).expression.sql for c in fixed))
        rows = [self._row(tree, text) for tree in given[: known.arguments]]
        for bound, tree in zip(rows, given, strict=False):
            if bound.expression.type == '"NULL"':
                raise text.refused(f"{text.part(tree)} is always null", tree)
        return rows, constants

    def _row(self, tree: Tree, text: Text) -> Bound:
        return bind_tree(tree, text, self.rows, shown=text.part(tree))

    def _condition(self, tree: Tree, text: Text) -> Expression:
        bound = self._row(tree, text)
        if bound.expression.type != "BOOLEAN":
            raise text.refused(
                f"a condition is true or false; this is {bound.expression.type}", tree
            )
        return bound.expression

    def _type(
        self,
        function: str,
        arguments: list[Bound],
        constants: tuple[str, ...],
        node: Tree,
        text: Text,
    ) -> str:
        """The type of the value, as DuckDB's binder gives it to the plain aggregate."""
        inputs = [a.expression.sql for a in arguments]
        try:
            if function == "count_star":
                return "BIGINT"
            call = f"{function}({', '.join([*inputs, *constants])})"
            type_ = str(types_of([call], self.rows.table)[0])
        except duckdb.Error as error:
            if arguments and "No function matches" in str(error):
                types = ", ".join(a.expression.type for a in arguments)
                raise text.refused(f"{function}(…) does not take {types}", node) from None
            raise text.refused(words(error), node) from None
        if function == "approx_quantile" and type_.endswith("]"):
            raise text.refused(
                "approx_quantile(…) takes one fraction, not a list",
                node,
                remedy="Write a result for each: p50=…, p90=….",
            )
        if function == "avg" and type_ != "DOUBLE":
            raise text.refused(
                f"avg(…) is of numbers; this is {arguments[0].expression.type}",
                node,
                remedy="Of times: make_timestamp(cast(avg(epoch_us(…)) as bigint)).",
            )
        return type_


def last_row(columns: tuple[Named, ...]) -> tuple[AggregateCall, tuple[Named, ...]]:
    """The call that keeps the row highest in the order, and the results that read its `columns`.

    Its value is a struct with fields x0, x1, … in the order of the arguments.
    """
    fields = ", ".join(f"x{i} {named.expression.type}" for i, named in enumerate(columns))
    arguments = tuple(named.expression for named in columns)
    made = AggregateCall("a0", "last_row", arguments, f"STRUCT({fields})")
    results = tuple(
        Named(
            named.name,
            Expression(
                text=named.expression.text,
                sql=render(column("a0", f"x{i}")),
                type=named.expression.type,
                columns=("a0",),
            ),
        )
        for i, named in enumerate(columns)
    )
    return made, results


def _same(made: AggregateCall) -> tuple[object, ...]:
    """What makes two calls one: everything but the id and the user's way of writing."""
    bare = replace(made, id="", arguments=(), filter=None)
    return bare, tuple(a.sql for a in made.arguments), made.filter and made.filter.sql


def _both(left: Tree, right: Tree) -> Tree:
    kind = {"class": "CONJUNCTION", "type": "CONJUNCTION_AND", "alias": ""}
    return {**kind, "children": [left, right]}


def _suggest(node: Tree, name: str, text: Text) -> None:
    near = get_close_matches(name, AGGREGATES, n=1, cutoff=0.7)
    if near and not get_close_matches(name, ALLOWED, n=1, cutoff=0.8):
        raise text.refused(
            f"no aggregate {name}() is known", node, remedy=f'Did you mean "{near[0]}"?'
        )
