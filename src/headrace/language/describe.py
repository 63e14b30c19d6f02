"""Definitions as a few lines of text, for the terminal and for notebooks."""

from __future__ import annotations

from html import escape

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


def source_words(source: SourceSpec) -> str:
    return f"{source.topic} ({source.schema.name})"


def step_lines(steps: tuple[StepSpec, ...]) -> list[str]:
    return [f"  {_step(step)}" for step in steps]


def group_lines(window: WindowSpec | None, keys: Pairs) -> list[str]:
    lines = [] if window is None else [f"  {_window(window)}"]
    return [*lines, f"  by {pair_words(keys)}"] if keys else lines


def pair_words(pairs: Pairs) -> str:
    return ", ".join(name if name == text else f"{name} = {text}" for name, text in pairs)


def html_of(lines: list[str]) -> str:
    """Lines as HTML for a notebook: the first as a heading."""
    rest = escape("\n".join(lines[1:]))
    return f"<b>{escape(lines[0])}</b><pre>{rest}</pre>"


def _step(step: StepSpec) -> str:
    match step:
        case WhereStep(condition, reason):
            return f"where {condition}" + (f" ({reason})" if reason else "")
        case SelectStep(columns, keeps):
            return f"{'with_columns' if keeps else 'select'} {pair_words(columns)}"
        case ExplodeStep(values, name):
            return f"explode {values} as {name}"
        case DedupeStep(by, within_us):
            within = "for ever" if within_us is None else f"within {duration_text(within_us)}"
            return f"dedupe by {', '.join(by)} {within}"


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
