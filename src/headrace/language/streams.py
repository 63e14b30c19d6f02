"""Streams: events and the steps on them, up to where `agg` makes a view of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NoReturn

from headrace.language.checks import Duration, duration, expression, pairs
from headrace.language.describe import group_lines, html_of, source_words, step_lines
from headrace.language.location import caller
from headrace.language.names import Names, column_name, is_path, names
from headrace.language.steps import (
    DedupeStep,
    ExplodeStep,
    GapSpec,
    MarksSpec,
    Pairs,
    SelectStep,
    SlideSpec,
    SourceSpec,
    StepSpec,
    TumbleSpec,
    WhereStep,
    WindowSpec,
)
from headrace.language.views import View, missing_step
from headrace.values.errors import DefinitionError

_WINDOWS_PER_ROW_MAX = 10_000
_STREAM_NOT_YET = {
    "join": "joins are not there yet",
    "union": "unions are not there yet",
    "top": "a ranking is of a view: top(…) stands after agg(…)",
    "filter": "a filter is called where(…)",
    "group_by": "grouping is called by(…)",
}
_GROUPED_NOT_YET = {
    **_STREAM_NOT_YET,
    **dict.fromkeys(
        ("where", "select", "with_columns", "explode", "dedupe"),
        "steps on events stand before the window and by(…); where(…) on the result after agg(…)",
    ),
}


@dataclass(frozen=True, repr=False)
class Stream:
    """The events of a source after some steps. Immutable: each call gives another stream."""

    source: SourceSpec
    job: object = field(compare=False)
    steps: tuple[StepSpec, ...] = ()

    def where(self, condition: str, reason: str | None = None) -> Stream:
        """Keeps rows for which `condition` is true; `reason` names the count of the others."""
        if reason is not None and (not isinstance(reason, str) or not reason.strip()):
            raise DefinitionError(f"a reason is a text, not {reason!r}", where=caller())
        return self._then(WhereStep(expression(condition, "where"), reason, caller()))

    def select(self, *columns: str, **expressions: str) -> Stream:
        """Replaces the row by columns (or paths, named by their last part) and expressions."""
        return self._then(SelectStep(pairs(columns, expressions, "select"), False, caller()))

    def with_columns(self, *columns: str, **expressions: str) -> Stream:
        """Adds columns (or paths, named by their last part), or replaces those of the name."""
        return self._then(SelectStep(pairs(columns, expressions, "with_columns"), True, caller()))

    def explode(self, values: str, name: str | None = None) -> Stream:
        """One row per element of the list `values`; the element is the column `name`.

        The default name is the last part of the path: explode("info.participants") gives
        `participants`. A column of that name is replaced; all others stay in each row, the list
        too if it has another name.
        """
        text = expression(values, "explode")
        if name is None:
            if not is_path(text):
                raise DefinitionError(
                    "explode of an expression needs a name for the element",
                    expression=text,
                    where=caller(),
                    remedy='Write explode("…", name="item").',
                )
            name = text.strip().split(".")[-1]
        return self._then(ExplodeStep(text, column_name(name, caller()), caller()))

    def dedupe(self, by: Names, within: Duration | None = None) -> Stream:
        """Drops rows whose `by` was seen before; `within=None` remembers for ever.

        `by`: columns or expressions, among them the topic's key.
        """
        listed = names(by, "dedupe(by=…)")
        if not listed:
            raise DefinitionError("dedupe needs by=…, what two duplicates share", where=caller())
        within_us = None if within is None else duration(within, "within")
        return self._then(DedupeStep(listed, within_us, caller()))

    def tumble(self, size: Duration, offset: Duration = "0") -> Grouped:
        """Windows of `size`, one after another, aligned to the Unix epoch plus `offset`."""
        return Grouped(self).tumble(size, offset)

    def slide(self, size: Duration, *, every: Duration, offset: Duration = "0") -> Grouped:
        """Windows of `size` that begin `every` so often."""
        return Grouped(self).slide(size, every=every, offset=offset)

    def session(
        self,
        *,
        gap: Duration | None = None,
        starts: str | None = None,
        ends: str | None = None,
        timeout: Duration | None = None,
    ) -> Grouped:
        """Sessions by key: events closer than `gap`, or from `starts` to `ends` or `timeout`."""
        return Grouped(self).session(gap=gap, starts=starts, ends=ends, timeout=timeout)

    def by(self, *columns: str, **expressions: str) -> Grouped:
        """The key: columns (or paths, named by their last part) and named expressions."""
        return Grouped(self).by(*columns, **expressions)

    def agg(self, *unnamed: str, **expressions: str) -> View:
        """One running total over all events: aggregates by name."""
        return Grouped(self).agg(*unnamed, **expressions)

    def _then(self, step: StepSpec) -> Stream:
        return replace(self, steps=(*self.steps, step))

    def __getattr__(self, name: str) -> NoReturn:
        raise missing_step(name, Stream, _STREAM_NOT_YET)

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        return html_of(self._lines())

    def _lines(self) -> list[str]:
        return [f"Stream of {source_words(self.source)}", *step_lines(self.steps)]


@dataclass(frozen=True, repr=False)
class Grouped:
    """A stream with a window, a key, or both, on its way to `agg`."""

    stream: Stream
    window: WindowSpec | None = None
    keys: Pairs = ()

    def tumble(self, size: Duration, offset: Duration = "0") -> Grouped:
        """Windows of `size`, one after another, aligned to the Unix epoch plus `offset`."""
        size_us, offset_us = duration(size, "tumble"), duration(offset, "offset", zero=True)
        _check_offset(offset_us, size_us, "the window's size")
        return self._windowed(TumbleSpec(size_us, offset_us, caller()))

    def slide(self, size: Duration, *, every: Duration, offset: Duration = "0") -> Grouped:
        """Windows of `size` that begin `every` so often."""
        size_us, every_us = duration(size, "slide"), duration(every, "every")
        offset_us = duration(offset, "offset", zero=True)
        if every_us > size_us:
            raise DefinitionError(
                f"slide: a step of {every} is longer than the window of {size}, "
                "so that events between windows would be lost",
                where=caller(),
                remedy=f'For windows without overlap write tumble("{size}").',
            )
        if size_us > every_us * _WINDOWS_PER_ROW_MAX:
            raise DefinitionError(
                f"slide: every event would be in {size_us // every_us} windows; "
                f"{_WINDOWS_PER_ROW_MAX} is the most",
                where=caller(),
                remedy="Take a longer step.",
            )
        _check_offset(offset_us, every_us, "the step")
        return self._windowed(SlideSpec(size_us, every_us, offset_us, caller()))

    def session(
        self,
        *,
        gap: Duration | None = None,
        starts: str | None = None,
        ends: str | None = None,
        timeout: Duration | None = None,
    ) -> Grouped:
        """Sessions by key: events closer than `gap`, or from `starts` to `ends` or `timeout`."""
        marks = (starts, ends, timeout)
        if gap is not None and marks == (None, None, None):
            return self._windowed(GapSpec(duration(gap, "gap"), caller()))
        if gap is not None or starts is None or timeout is None:
            raise DefinitionError(
                "a session is made either by a gap or by marks",
                where=caller(),
                remedy='Write session(gap="30 minutes"), or session(starts="…", ends="…", '
                'timeout="30 minutes"); only ends may be left out.',
            )
        spec = MarksSpec(
            expression(starts, "starts"),
            None if ends is None else expression(ends, "ends"),
            duration(timeout, "timeout"),
            caller(),
        )
        return self._windowed(spec)

    def by(self, *columns: str, **expressions: str) -> Grouped:
        """The key: columns (or paths, named by their last part) and named expressions."""
        if self.keys:
            raise DefinitionError(
                "by(…) was already said", where=caller(), remedy="Name all of the key in one by(…)."
            )
        return replace(self, keys=pairs(columns, expressions, "by"))

    def agg(self, *unnamed: str, **expressions: str) -> View:
        """The view: aggregates by name, in SQL, such as view_count="count(*)"."""
        made = pairs(unnamed, expressions, "agg")
        stream = self.stream
        return View(stream.source, stream.job, stream.steps, self.window, self.keys, made, caller())

    def _windowed(self, window: WindowSpec) -> Grouped:
        if self.window is not None:
            raise DefinitionError("a view has one window", where=caller())
        return replace(self, window=window)

    def __getattr__(self, name: str) -> NoReturn:
        raise missing_step(name, Grouped, _GROUPED_NOT_YET)

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        return html_of(self._lines())

    def _lines(self) -> list[str]:
        steps = step_lines(self.stream.steps)
        head = f"Grouped stream of {source_words(self.stream.source)}"
        return [head, *steps, *group_lines(self.window, self.keys)]


def _check_offset(offset_us: int, size_us: int, what: str) -> None:
    if offset_us >= size_us:
        raise DefinitionError(
            f"an offset is shorter than {what}: windows repeat after it", where=caller()
        )
