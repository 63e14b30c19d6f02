"""Definitions as a few lines of text, for the terminal and for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

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
from headrace.values.durations import duration_text

if TYPE_CHECKING:
    from headrace.language.definition import Definition, JobDefinition
    from headrace.language.streams import Grouped, Stream
    from headrace.language.views import View


def stream_lines(stream: Stream) -> list[str]:
    return [f"Stream of {_source(stream.source)}", *_steps(stream.steps)]


def grouped_lines(grouped: Grouped) -> list[str]:
    lines = [f"Grouped stream of {_source(grouped.stream.source)}", *_steps(grouped.stream.steps)]
    return [*lines, *_group(grouped.window, grouped.keys)]


def view_lines(view: View) -> list[str]:
    lines = [f"View of {_source(view.stream.source)}", *_steps(view.stream.steps)]
    lines += _group(view.window, view.keys)
    lines.append(f"  agg {_pairs(view.results)}")
    lines += [f"  where {condition}" for condition, _ in view.conditions]
    if view.ranking is not None:
        per = f" per {', '.join(view.ranking.per)}" if view.ranking.per else ""
        lines.append(f"  top {view.ranking.count} by {view.ranking.by}{per}")
    return lines


def definition_lines(definition: Definition) -> list[str]:
    lines = [f"App {definition.name}"]
    for job in definition.jobs:
        lines += [f"  {line}" for line in job_lines(job)]
    return lines


def job_lines(job: JobDefinition) -> list[str]:
    lines = [f"job {job.id}"]
    lines += [f"  source {_source(source)}" for source in job.sources]
    for output in job.outputs:
        key = f" by {', '.join(output.key)}" if output.key else ""
        lines.append(f"  {output.role.replace('_', ' ')} {output.name}{key}")
    return lines


def html_of(lines: list[str]) -> str:
    """Lines as HTML for a notebook: the first as a heading."""
    rest = escape("\n".join(lines[1:]))
    return f"<b>{escape(lines[0])}</b><pre>{rest}</pre>"


def _source(source: SourceSpec) -> str:
    return f"{source.topic} ({source.schema.name})"


def _steps(steps: tuple[StepSpec, ...]) -> list[str]:
    return [f"  {_step(step)}" for step in steps]


def _step(step: StepSpec) -> str:
    match step:
        case WhereStep(condition, reason):
            return f"where {condition}" + (f" ({reason})" if reason else "")
        case SelectStep(columns, keeps):
            return f"{'with_columns' if keeps else 'select'} {_pairs(columns)}"
        case ExplodeStep(values, name):
            return f"explode {values} as {name}"
        case DedupeStep(by, within_us):
            within = "for ever" if within_us is None else f"within {duration_text(within_us)}"
            return f"dedupe by {', '.join(by)} {within}"


def _group(window: WindowSpec | None, keys: Pairs) -> list[str]:
    lines = [] if window is None else [f"  {_window(window)}"]
    return [*lines, f"  by {_pairs(keys)}"] if keys else lines


def _window(window: WindowSpec) -> str:
    match window:
        case TumbleSpec(size_us, offset_us):
            return f"tumble {duration_text(size_us)}{_offset(offset_us)}"
        case SlideSpec(size_us, every_us, offset_us):
            sizes = f"{duration_text(size_us)} every {duration_text(every_us)}"
            return f"slide {sizes}{_offset(offset_us)}"
        case GapSpec(gap_us):
            return f"session with a gap of {duration_text(gap_us)}"
        case MarksSpec(starts, ends, timeout_us):
            until = f"to {ends}, " if ends else ""
            return f"session from {starts} {until}timeout {duration_text(timeout_us)}"


def _offset(offset_us: int) -> str:
    return f" offset {duration_text(offset_us)}" if offset_us else ""


def _pairs(pairs: Pairs) -> str:
    return ", ".join(name if name == text else f"{name} = {text}" for name, text in pairs)
