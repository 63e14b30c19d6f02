"""From a definition to its plan: everything is bound and checked here, nothing later."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeVar

from headrace.language.definition import Definition, JobDefinition, OutputSpec
from headrace.language.streams import Stream as StreamSpec
from headrace.language.views import View as ViewSpec
from headrace.plan.fingerprint import with_job_fingerprint, with_stream_fingerprint
from headrace.plan.operators import (
    Column,
    Filter,
    Job,
    Output,
    Plan,
    Source,
    Stream,
    View,
)
from headrace.plan.outputs import stream_output, view_output
from headrace.plan.rows import Rows, rows_of
from headrace.plan.sources import build_source
from headrace.plan.views import build_view, latest_view
from headrace.values.errors import DefinitionError


def build(definition: Definition) -> Plan:
    """The plan of an app; DefinitionError, with the place of the call, for what cannot be."""
    jobs = tuple(_Builder(job).build() for job in definition.jobs)
    if not any(job.outputs for job in jobs):
        raise DefinitionError(
            f'app "{definition.name}" has no destination, so it would do nothing',
            remedy='Give a stream or a view one: app.table("name", view).',
        )
    return Plan(definition.name, jobs)


Input = TypeVar("Input", View, Stream)


@dataclass
class _Builder:
    """Builds one job. Equal views and streams stand once, under the first output's name."""

    spec: JobDefinition
    sources: dict[str, Source] = field(default_factory=dict)
    inputs: dict[object, View | Stream] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)

    def build(self) -> Job:
        self.sources = {spec.topic: build_source(spec) for spec in self.spec.sources}
        for output in self.spec.outputs:
            self.outputs.append(self._output(output))
        inputs = self.inputs.values()
        job = Job(
            id=self.spec.id,
            sources=tuple(self.sources.values()),
            views=tuple(i for i in inputs if isinstance(i, View)),
            streams=tuple(i for i in inputs if isinstance(i, Stream)),
            outputs=tuple(self.outputs),
            fingerprint="",
        )
        return with_job_fingerprint(job)

    def _output(self, spec: OutputSpec) -> Output:
        if isinstance(spec.input, ViewSpec):
            source = self.sources[spec.input.source.topic]
            view = self._shared(build_view(source, spec.input), spec)
            return view_output(spec, view)
        source = self.sources[spec.input.source.topic]
        if spec.role in ("lake", "topic"):
            rows = rows_of(source, spec.input.steps, clock=True)
            return stream_output(spec, self._shared(_stream(rows), spec), rows)
        return self._latest(spec, spec.input, source)

    def _latest(self, spec: OutputSpec, stream: StreamSpec, source: Source) -> Output:
        role = spec.role.replace("_", " ")
        if not spec.key:
            raise DefinitionError(
                f"{role} {spec.name}: a stream keeps its latest row by key, and no key is named",
                where=spec.where,
                remedy=f'Write {spec.role}("{spec.name}", …, key="…").',
            )
        rows = rows_of(source, stream.steps)
        view = self._shared(latest_view(source, rows, spec.key, spec.where), spec)
        return view_output(spec, view)

    def _shared(self, made: Input, spec: OutputSpec) -> Input:
        """The equal view or stream that is there already, else `made` under its name."""
        reasons = tuple(step.reason for step in made.steps if isinstance(step, Filter))
        same = (type(made), made.topic, made.fingerprint, made.columns, reasons)
        held = self.inputs.get(same)
        if isinstance(held, type(made)):
            return held
        named = replace(made, name=spec.name)
        self.inputs[same] = named
        return named


def _stream(rows: Rows) -> Stream:
    stream = Stream(
        name="",
        topic=rows.source.topic,
        steps=rows.steps,
        columns=tuple(Column(name, type_) for name, type_ in rows.columns),
        added=rows.added,
        whole=rows.whole,
        fingerprint="",
    )
    return with_stream_fingerprint(rows.source, stream)
