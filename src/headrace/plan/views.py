"""Views: from `agg` and what came before and after it to the plan's `View`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headrace.language import views as language
from headrace.language.names import SESSION_COLUMNS
from headrace.language.steps import (
    GapSpec,
    MarksSpec,
    Pairs,
    SlideSpec,
    TopSpec,
    TumbleSpec,
    WindowSpec,
)
from headrace.plan.aggregation import Aggregation, last_row
from headrace.plan.bind import bind_column, bind_condition
from headrace.plan.fingerprint import with_view_fingerprint
from headrace.plan.operators import (
    AggregateCall,
    Column,
    Expression,
    Named,
    SessionGap,
    SessionMarks,
    Slide,
    Source,
    Top,
    Tumble,
    View,
    Window,
)
from headrace.plan.parse import Text
from headrace.plan.rows import Rows, rows_of
from headrace.plan.scope import Scope
from headrace.plan.types import as_key, is_scalar
from headrace.values.errors import DefinitionError, did_you_mean

_WINDOW = (("window_start", "TIMESTAMP"), ("window_end", "TIMESTAMP"))
_SESSION = tuple(zip(SESSION_COLUMNS, ("TIMESTAMP", "TIMESTAMP", "DOUBLE", "VARCHAR"), strict=True))

_ROWS = AggregateCall("a0", "count_star", (), "BIGINT")
"""What is kept by key where no result has an aggregate: that there are rows."""


@dataclass(frozen=True)
class _Frame:
    """The window of a view, and the columns that it brings before and behind the keys."""

    window: Window | None
    before: tuple[tuple[str, str], ...] = ()
    behind: tuple[tuple[str, str], ...] = ()

    @property
    def own(self) -> tuple[str, ...]:
        return tuple(name for name, _ in (*self.before, *self.behind))

    @property
    def start(self) -> str | None:
        """The column that is part of the row's key beside the keys."""
        return self.own[0] if self.own else None


def build_view(source: Source, spec: language.View) -> View:
    """The view, without a name yet."""
    rows = rows_of(source, spec.steps)
    frame = _frame(rows, spec.window)
    keys = tuple(_key(rows, name, text, spec.where_made) for name, text in spec.keys)
    names = tuple(name for name, _ in spec.results)
    made = Aggregation(rows.scope, tuple(k.name for k in keys), names)
    results = tuple(made.result(n, Text(text, spec.where_made)) for n, text in spec.results)
    _check_names(frame, keys, spec.results, spec)
    columns = _columns(frame, keys, results)
    having, top = _having(spec, columns), None
    if spec.ranking is not None:
        top = _top(spec.ranking, frame, columns, keys)
        columns = (*columns, Column("rank", "BIGINT"))
    view = View(
        name="",
        topic=source.topic,
        steps=rows.steps,
        window=frame.window,
        keys=keys,
        aggregates=tuple(made.calls) or (_ROWS,),
        results=results,
        having=having,
        top=top,
        columns=columns,
        fingerprint="",
    )
    return with_view_fingerprint(source, view)


def latest_view(source: Source, rows: Rows, key: tuple[str, ...], where: str) -> View:
    """A stream on its way into a table: the row highest in the order, by key."""
    keys = tuple(_key(rows, name, name, where) for name in key)
    taken = {k.name for k in keys}
    others = tuple(Named(n, rows.carried(n)) for n, _ in rows.columns if n not in taken)
    # Where the key is the whole row, its first column stands for the row.
    made, results = last_row(others or keys[:1])
    results = results if others else ()
    columns = _columns(_Frame(None), keys, results)
    view = View(
        name="",
        topic=source.topic,
        steps=rows.steps,
        window=None,
        keys=keys,
        aggregates=(made,),
        results=results,
        having=None,
        top=None,
        columns=columns,
        fingerprint="",
        latest=True,
    )
    return with_view_fingerprint(source, view)


def _frame(rows: Rows, window: WindowSpec | None) -> _Frame:
    if window is None:
        return _Frame(None)
    if rows.source.time is None:
        raise DefinitionError(
            f'a window needs the time of events, and topic "{rows.source.topic}" has none',
            where=window.where,
            remedy='Name it in source(…, time="…").',
        )
    match window:
        case TumbleSpec(size_us, offset_us):
            return _Frame(Tumble(size_us, offset_us), before=_WINDOW)
        case SlideSpec(size_us, every_us, offset_us):
            if size_us == every_us:
                return _Frame(Tumble(size_us, offset_us), before=_WINDOW)
            return _Frame(Slide(size_us, every_us, offset_us), before=_WINDOW)
        case GapSpec(gap_us):
            return _Frame(SessionGap(gap_us), behind=_SESSION)
        case MarksSpec(starts, ends, timeout_us, where):
            begins = bind_condition(Text(starts, where), rows.scope)
            finishes = None if ends is None else bind_condition(Text(ends, where), rows.scope)
            return _Frame(SessionMarks(begins, finishes, timeout_us), behind=_SESSION)


def _key(rows: Rows, name: str, text: str, where: str) -> Named:
    shown = Text(text, where)
    bound = bind_column(shown, rows.scope)
    if not is_scalar(bound.type):
        raise shown.refused(
            f"a key is one value; this is {bound.type}",
            bound.tree,
            remedy="Name a field of it, or make rows of a list with explode(…).",
        )
    found = rows.scope.find(name) if text == name else None
    expression = bound.expression
    sql = as_key(expression.sql, expression.type)
    return Named(found or name, replace(expression, sql=sql))


def _check_names(
    frame: _Frame, keys: tuple[Named, ...], results: Pairs, spec: language.View
) -> None:
    taken: dict[str, str] = dict.fromkeys(frame.own, "a column of the window")
    if spec.ranking is not None:
        taken["rank"] = "the column that top(…) adds"
    for name, kind in (*((k.name, "a key") for k in keys), *((n, "a result") for n, _ in results)):
        other = taken.get(name.lower())
        if other is not None:
            raise DefinitionError(
                f'"{name}" is the name of {other}; {kind} needs another',
                where=spec.where_made,
                remedy=f'Write {name}_of_event="…", for example.',
            )
        taken[name.lower()] = kind


def _columns(
    frame: _Frame, keys: tuple[Named, ...], results: tuple[Named, ...]
) -> tuple[Column, ...]:
    window = [Column(n, t, key=n == frame.start) for n, t in frame.before]
    session = [Column(n, t, key=n == frame.start) for n, t in frame.behind]
    named = [Column(k.name, k.expression.type, key=True) for k in keys]
    return (*window, *named, *session, *(Column(r.name, r.expression.type) for r in results))


def _having(spec: language.View, columns: tuple[Column, ...]) -> Expression | None:
    if not spec.conditions:
        return None
    scope = Scope(tuple((c.name, c.type) for c in columns), "the view")
    bound = [bind_condition(Text(text, where), scope) for text, where in spec.conditions]
    if len(bound) == 1:
        return bound[0]
    # A text may end with a comment, which ends with its line.
    both = " and ".join(f"({text}\n)" for text, _ in spec.conditions)
    joined = bind_condition(Text(both, spec.conditions[-1][1]), scope)
    return replace(joined, text=both.replace("\n)", ")"))


def _top(spec: TopSpec, frame: _Frame, columns: tuple[Column, ...], keys: tuple[Named, ...]) -> Top:
    if frame.behind:
        raise DefinitionError(
            "top(…) ranks rows of one window, or running totals; sessions have no window",
            where=spec.where,
        )
    by = _column(spec.by, [c.name for c in columns], "top(by=…)", "the view", spec.where)
    type_ = next(c.type for c in columns if c.name == by)
    if "(" in type_.removeprefix("DECIMAL(") or type_.endswith("]"):
        raise DefinitionError(f"top(by=…): {by} is {type_}, which has no order", where=spec.where)
    per = tuple(
        _column(name, [k.name for k in keys], "top(per=…)", "the key", spec.where)
        for name in spec.per
        # Rows of a window are ranked by themselves whether or not it is named.
        if name.lower() not in frame.own
    )
    return Top(spec.count, by, per)


def _column(name: str, valid: list[str], what: str, whose: str, where: str) -> str:
    found = next((v for v in valid if v.lower() == name.lower()), None)
    if found is None:
        raise DefinitionError(
            f'{what}: {whose} has no column "{name}"',
            where=where,
            remedy=did_you_mean(name, valid) or None,
        )
    return found
