"""Explains a plan: a tree for the terminal, data for programs, a graph for documents."""

from __future__ import annotations

import textwrap
from typing import Any

from headrace.plan.operators import Job, Output, Plan, Stream, View
from headrace.plan.serial import VERSION, to_data
from headrace.plan.wording import input_lines, inputs_of, output_words, source_words

_SHAPES = {
    "topic": ("([", "])"),
    "lake": ("[(", ")]"),
    "table": ("[(", ")]"),
    "index": ("[(", ")]"),
    "ranking": ("[(", ")]"),
    "wide_table": ("[(", ")]"),
}


def explain_text(plan: Plan, width: int = 80) -> str:
    """The plan as a tree, no line wider than `width` where words allow."""
    lines = [f"app {plan.app}"]
    for job in plan.jobs:
        if len(plan.jobs) > 1 or job.id != plan.app:
            lines.append(f"job {job.id}")
        for source in job.sources:
            lines += _wrapped(f"topic {source.topic}: {source_words(source)}", "", "│   ", width)
            inputs = inputs_of(job, source.topic)
            for made in inputs:
                last = made is inputs[-1]
                lines += _input_tree(
                    job, made, "└─ " if last else "├─ ", "   " if last else "│  ", width
                )
            if not inputs:
                lines.append("└─ (nothing reads it)")
    return "\n".join(lines)


def explain_json(plan: Plan) -> dict[str, Any]:
    """The plan as data for JSON, with the version of its layout."""
    data: dict[str, Any] = to_data(plan)
    return {"version": VERSION, **data}


def explain_mermaid(plan: Plan) -> str:
    """The plan as a Mermaid flowchart: topics, what is done with them, destinations."""
    lines = ["flowchart LR"]
    for number, job in enumerate(plan.jobs):
        lines += [f"  subgraph j{number} [{_label(job.id)}]", *_job_graph(job, number), "  end"]
    return "\n".join(lines)


def _input_tree(job: Job, made: View | Stream, head: str, indent: str, width: int) -> list[str]:
    kind = "view" if isinstance(made, View) else "stream"
    lines = [f"{head}{kind} {made.name}"]
    for verb, what in input_lines(made):
        start = f"{indent}  {verb:<8}"
        lines += _wrapped(start + what, "", indent + " " * 10, width)
    for output in _outputs_of(job, made):
        lines += _wrapped(f"{indent}→ {output_words(output)}", "", indent + "    ", width)
    return lines


def _outputs_of(job: Job, made: View | Stream) -> list[Output]:
    return [output for output in job.outputs if output.input == made.name]


def _wrapped(text: str, first: str, rest: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def _job_graph(job: Job, number: int) -> list[str]:
    lines = []
    for at, source in enumerate(job.sources):
        lines.append(f"    j{number}s{at}([{_label(f'topic {source.topic}')}])")
        for made in inputs_of(job, source.topic):
            name = f"j{number}v{[*job.views, *job.streams].index(made)}"
            words = [made.name, *(f"{verb} {what}" for verb, what in input_lines(made))]
            lines.append(f"    j{number}s{at} --> {name}[{_label(*words)}]")
            for output in _outputs_of(job, made):
                begin, end = _SHAPES[output.role]
                there = f"j{number}o{job.outputs.index(output)}"
                lines.append(f"    {name} --> {there}{begin}{_label(output_words(output))}{end}")
    return lines


def _label(*lines: str) -> str:
    """A quoted label; characters that Mermaid or HTML would read are written as entities."""
    text = "\n".join(lines).replace("&", "&amp;").replace('"', "&quot;")
    text = text.replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")
    return f'"{text}"'
