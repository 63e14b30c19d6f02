"""Binding of a stream's steps: which columns a row has behind each of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from headrace.language.steps import (
    DedupeStep,
    ExplodeStep,
    SelectStep,
    StepSpec,
    WhereStep,
)
from headrace.plan.bind import Bound, bind, bind_column, bind_condition
from headrace.plan.operators import (
    Dedupe,
    Explode,
    Expression,
    Filter,
    Named,
    Project,
    Source,
    Step,
)
from headrace.plan.parse import Text, Tree, column, render
from headrace.plan.scope import Columns, Scope
from headrace.plan.types import is_list, refusal
from headrace.values.errors import DefinitionError
from headrace.values.schema import sql_type

Path = tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """The row behind some steps of a source.

    `origins` are the event's paths of columns that only carry one, `made` the expressions of
    the others. `narrowed` says that rows may have been left out or multiplied.
    """

    source: Source
    columns: Columns
    origins: dict[str, Path]
    clock: bool = False
    made: dict[str, Expression] = field(default_factory=dict)
    narrowed: bool = False
    steps: tuple[Step, ...] = ()

    @property
    def scope(self) -> Scope:
        changing = frozenset(n for n, e in self.made.items() if e.changes_with_run)
        noun = f"event {self.source.schema.name}" if not self.steps else "the row"
        return Scope(self.columns, noun, changing)

    @property
    def whole(self) -> bool:
        """Whether every event is there, with all its columns unchanged.

        A column whose expression may fail takes its event along.
        """
        fields = (f.name for f in self.source.schema.fields)
        columns = (c for step in self.steps if isinstance(step, Project) for c in step.columns)
        return (
            not self.narrowed
            and all(self.origins.get(name) == (name,) for name in fields)
            and not any(c.expression.can_fail for c in columns)
        )

    @property
    def added(self) -> tuple[Named, ...]:
        """The columns that are not the event's own."""
        own = {f.name for f in self.source.schema.fields}
        names = [n for n, _ in self.columns if not (n in own and self.origins.get(n) == (n,))]
        return tuple(Named(n, self.made.get(n) or self.carried(n)) for n in names)

    def carried(self, name: str) -> Expression:
        """The expression that passes a column on."""
        changes = name in self.scope.changing
        return Expression(
            name, render(column(name)), dict(self.columns)[name], (name,), False, changes
        )

    def origin(self, bound: Bound) -> Path | None:
        """The event's path whose value `bound` only carries; None for a computed one."""
        path = path_of(bound.tree)
        if path is None or path[0] not in self.origins:
            return None
        return (*self.origins[path[0]], *path[1:])


def rows_of(source: Source, steps: tuple[StepSpec, ...], *, clock: bool = False) -> Rows:
    """The rows of a source behind `steps`; `clock` allows processing_time() in columns."""
    rows = begin(source, clock=clock)
    for step in steps:
        rows = _then(rows, step)
    return rows


def begin(source: Source, *, clock: bool = False) -> Rows:
    """The events of a source, before any step."""
    declared = tuple((f.name, sql_type(f.type)) for f in source.schema.fields)
    scope = Scope(declared, "")
    columns = tuple((name, str(scope.type_of(name))) for name, _ in declared)
    return Rows(source, columns, {name: (name,) for name, _ in columns}, clock)


def path_of(tree: Tree) -> Path | None:
    """The column, or path into one, that a rewritten tree is; None if it computes something."""
    if tree["class"] == "COLUMN_REF":
        return tuple(tree["column_names"])
    if tree["type"] == "STRUCT_EXTRACT" and tree["children"][1]["class"] == "CONSTANT":
        inner = path_of(tree["children"][0])
        return None if inner is None else (*inner, tree["children"][1]["literal"]["text"])
    return None


def _then(rows: Rows, step: StepSpec) -> Rows:
    match step:
        case WhereStep(condition, reason, where):
            bound = bind_condition(Text(condition, where), rows.scope)
            _refuse_clock(bound, where, "where(…)")
            made = Filter(bound, reason)
            return replace(rows, steps=(*rows.steps, made), narrowed=True)
        case SelectStep():
            return _project(rows, step)
        case ExplodeStep():
            return _explode(rows, step)
        case DedupeStep():
            return _dedupe(rows, step)


def _project(rows: Rows, step: SelectStep) -> Rows:
    scope = replace(rows.scope, clock=rows.clock)
    bound = {n: bind_column(Text(text, step.where), scope) for n, text in step.columns}
    if not step.keeps:
        return _projected(rows, bound, keeps=False)
    # A column of the same name in other letters is the same column to SQL.
    names = {rows.scope.find(name) or name: b for name, b in bound.items()}
    keeps = not any(name in rows.scope.names for name in names)
    all_columns: dict[str, Bound | None] = dict.fromkeys(rows.scope.names)
    return _projected(rows, all_columns | names, keeps=keeps)


def _projected(rows: Rows, bound: dict[str, Bound] | dict[str, Bound | None], keeps: bool) -> Rows:
    """`rows` with exactly the columns of `bound`; None stands for a column passed on."""
    columns, origins, made = [], {}, {}
    for name, new in bound.items():
        if new is None:
            columns.append(Named(name, rows.carried(name)))
            origin, expression = rows.origins.get(name), rows.made.get(name)
        else:
            columns.append(Named(name, new.expression))
            origin, expression = rows.origin(new), new.expression
        if origin is not None:
            origins[name] = origin
        if expression is not None:
            made[name] = expression
    added = tuple(name for name in bound if name not in rows.scope.names)
    step = Project(tuple(columns), keeps, added)
    return replace(
        rows,
        columns=tuple((c.name, c.expression.type) for c in columns),
        origins=origins,
        made=made,
        steps=(*rows.steps, step),
    )


def _explode(rows: Rows, step: ExplodeStep) -> Rows:
    text = Text(step.values, step.where)
    bound = bind_column(text, rows.scope)
    _refuse_clock(bound.expression, step.where, "explode(…)")
    if not is_list(bound.type):
        raise text.refused(f"explode takes a list; this is {bound.type}", bound.tree)
    element, name = str(bound.type.children[0][1]), step.name
    taken = rows.scope.find(name)
    held = "_exploded" if taken else name
    gained = replace(
        rows,
        columns=(*rows.columns, (held, element)),
        made={**rows.made, held: Expression(step.values, render(column(held)), element, (held,))},
        steps=(*rows.steps, Explode(bound.expression, held)),
        narrowed=True,
    )
    if taken is None:
        return gained
    # The element takes the place of the column of that name.
    names: dict[str, Bound | None] = {n: None for n in rows.scope.names if n != taken}
    return _projected(gained, {**names, name: bind(Text(held, step.where), gained.scope)}, False)


def _dedupe(rows: Rows, step: DedupeStep) -> Rows:
    source = rows.source
    by = [bind(Text(text, step.where), rows.scope) for text in step.by]
    for bound in by:
        _refuse_clock(bound.expression, step.where, "dedupe(…)")
        _refuse_incomparable(bound)
    if source.key is not None and tuple(source.key.split(".")) not in map(rows.origin, by):
        raise DefinitionError(
            f"dedupe by {', '.join(step.by)}: the key of the topic, {source.key}, is not among "
            "them, so two duplicates could stand in different partitions",
            where=step.where,
            remedy=f'Add it: dedupe(by=("{source.key}", …)).',
        )
    if step.within_us is not None and source.time is None:
        raise DefinitionError(
            f'dedupe within a time: topic "{source.topic}" has no event time',
            where=step.where,
            remedy='Name it in source(…, time="…"), or remember for ever: within=None.',
        )
    made = Dedupe(tuple(bound.expression for bound in by), step.within_us)
    return replace(rows, steps=(*rows.steps, made), narrowed=True)


def _refuse_incomparable(bound: Bound) -> None:
    """Refuses what is not compared by one text of it: two texts could be equal, or one two."""
    type_ = bound.expression.type
    if refusal(bound.type) is not None:
        raise bound.text.refused(f"dedupe(…) does not compare {type_}", bound.tree)
    inside = next((t for t in ("DOUBLE", "FLOAT", "JSON") if t in type_ and t != type_), None)
    if inside is not None:
        raise bound.text.refused(
            f"dedupe(…) does not compare {inside} inside of a list or struct",
            bound.tree,
            remedy="Name the fields that make two rows equal.",
        )


def _refuse_clock(expression: Expression, where: str, what: str) -> None:
    if expression.changes_with_run:
        raise DefinitionError(
            f"{what} reads a column that holds processing_time(), which differs from run to run",
            expression=expression.text,
            where=where,
        )
