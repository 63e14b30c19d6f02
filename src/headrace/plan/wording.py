"""Parts of a plan in words: a line each for steps, windows, aggregates and destinations."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.plan.operators import (
    Dedupe,
    Explode,
    Filter,
    Job,
    Named,
    Output,
    Project,
    SessionGap,
    SessionMarks,
    Slide,
    Source,
    Stream,
    Tumble,
    View,
    Window,
)
from headrace.values.durations import duration_text

Line = tuple[str, str]  # a verb and what it is about


def source_words(source: Source) -> str:
    parts = [source.schema.name, f"{source.partitions} partitions"]
    if source.key is not None:
        parts.append(f"key {source.key}")
    if source.time is None:
        parts.append("no event time")
    else:
        unit = f" ({source.time_unit})" if source.time_unit else ""
        parts += [f"time {source.time}{unit}", f"lateness {duration_text(source.lateness_us)}"]
    if source.idle_timeout_us is not None:
        parts.append(f"idle after {duration_text(source.idle_timeout_us)}")
    return ", ".join(parts)


def input_lines(made: View | Stream) -> Iterator[Line]:
    """What a view or a stream does, in order."""
    for step in made.steps:
        if isinstance(step, Project):
            yield from _project(step)
        else:
            yield _step(step)
    if isinstance(made, View):
        if made.window is not None:
            yield _window(made.window)
        if made.keys:
            yield "by", ", ".join(_named(key) for key in made.keys)
        if made.latest:
            yield "keep", "the latest row"
        else:
            yield from (("agg", _named(result)) for result in made.results)
        if made.having is not None:
            yield "where", made.having.text
        if made.top is not None:
            per = f" per {', '.join(made.top.per)}" if made.top.per else ""
            yield "top", f"{made.top.count} by {made.top.by}{per}"
    elif made.whole:
        yield "keep", "every event whole"


def output_words(output: Output) -> str:
    """A destination: its role, name, key and how it gets its rows."""
    parts = [f"{output.role.replace('_', ' ')} {output.name}"]
    details = []
    if output.role == "wide_table":
        details.append(f"partition {', '.join(output.partition_by)}")
        details += [f"cluster {', '.join(output.cluster_by)}"] if output.cluster_by else []
    elif output.key:
        details.append(f"key {', '.join(output.key)}")
    if output.role == "lake" and output.partition_by:
        details.append(f"partitioned by {', '.join(output.partition_by)}")
    if output.order:
        details.append(f"greatest {', '.join(output.order)} stays")
    if output.score is not None:
        details.append(f"score {output.score}")
    if output.emit == "final":
        details.append("once, when final")
    return " ".join([*parts, f"({'; '.join(details)})"] if details else parts)


def inputs_of(job: Job, topic: str) -> tuple[View | Stream, ...]:
    """Views and streams of a topic, in the order of the destinations that they go to."""
    order = [output.input for output in job.outputs]
    return tuple(sorted(job.readers_of(topic), key=lambda made: order.index(made.name)))


def _project(step: Project) -> Iterator[Line]:
    """Columns passed on in one line, each computed one in its own."""
    verb = "add" if step.keeps else "select"
    shown = [c for c in step.columns if c.name in step.added] if step.keeps else step.columns
    plain = [c.name for c in shown if c.expression.text == c.name]
    if plain:
        yield verb, ", ".join(plain)
    yield from ((verb, _named(c)) for c in shown if c.expression.text != c.name)


def _step(step: Filter | Explode | Dedupe) -> Line:
    match step:
        case Filter(condition, reason):
            return "where", condition.text + (f" [{reason}]" if reason else "")
        case Explode(values, name):
            return "explode", values.text if values.text.endswith(
                name
            ) else f"{values.text} as {name}"
        case Dedupe(by, within_us):
            within = "for ever" if within_us is None else f"within {duration_text(within_us)}"
            return "dedupe", f"by {', '.join(e.text for e in by)} {within}"


def _window(window: Window) -> Line:
    match window:
        case Tumble(size_us, offset_us):
            return "tumble", duration_text(size_us) + _offset(offset_us)
        case Slide(size_us, every_us, offset_us):
            sizes = f"{duration_text(size_us)} every {duration_text(every_us)}"
            return "slide", sizes + _offset(offset_us)
        case SessionGap(gap_us):
            return "session", f"gap {duration_text(gap_us)}"
        case SessionMarks(starts, ends, timeout_us):
            until = f" to {ends.text}" if ends else ""
            return "session", f"from {starts.text}{until}, timeout {duration_text(timeout_us)}"


def _offset(offset_us: int) -> str:
    return f" offset {duration_text(offset_us)}" if offset_us else ""


def _named(named: Named) -> str:
    text = named.expression.text
    return named.name if text == named.name else f"{named.name} = {text}"
