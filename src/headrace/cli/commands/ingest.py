"""`headrace ingest`: files and standard input into a topic."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.asking import settings_for, source_topic
from headrace.cli.interrupts import stop_on_signals
from headrace.cli.loading import load_app
from headrace.cli.options import (
    AppName,
    CreateTopics,
    DataDirectory,
    Debug,
    Json,
    Profile,
    ProfileStages,
    as_text,
    examples,
)
from headrace.cli.progress import progress_bars
from headrace.cli.session import session
from headrace.cli.stages import stages_text
from headrace.cli.tables import plural
from headrace.ops.ingest.fitting import or_failed
from headrace.ops.ingest.formats import Reading
from headrace.ops.ingest.ingest import ingest
from headrace.ops.ingest.report import FileReport, Format, IngestRefused, IngestReport
from headrace.plan.sources import build_source
from headrace.storage.contract import Log
from headrace.values.errors import DefinitionError, UsageError

_ALL_DEAD = (
    "What does not fit becomes a dead letter when the job reads it. "
    "Compare the event class with the file; --map makes a field of other columns."
)

EXAMPLES = examples(
    "headrace ingest activity user_activity events.jsonl.gz",
    "headrace ingest activity user_activity access.log.gz --format combined",
    "headrace ingest shop.py orders orders.csv --map 'amount=price * quantity'",
    "tail -F events.jsonl | headrace ingest activity user_activity -",
)


def command(
    app: AppName,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="A topic that the app reads.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="NDJSON, CSV, Parquet or web logs; plain, gzip or zstd; - is standard input.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            "--format", help="What the files hold.  [default: by their names]", show_default=False
        ),
    ] = None,
    mappings: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=EXPRESSION",
            help="A field by SQL over the file's columns; may be given more than once.",
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Append once more what the topic has already.")
    ] = False,
    profile_stages: ProfileStages = False,
    create_topics: CreateTopics = False,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Appends every line or row to a topic; given a file again, it adds only what is missing.

    A pipe has no name: what comes through it is new each time, unless the run before was killed. To
    have it once, name the file, or redirect it (< FILE).
    """
    settings = settings_for(profile, data)
    with source_topic(load_app(app), topic, settings, create=create_topics) as (there, spec):
        fields = _expressions(mappings or [])
        source = None
        with suppress(DefinitionError):  # what else is wrong with the app need not be mended first
            source = build_source(spec)
        reading = Reading(format, fields, spec.schema, spec.value_bytes_max, source)
        report, refused = _taken(there, files or [Path("-")], spec.key, reading, again)
    text = _text(report, mapped=bool(fields))
    if profile_stages:
        text += "\n\n" + stages_text(report.stages, report.seconds, report.added)
    session.show(report.to_json(), text)
    for file in report.files:
        if file.none_fits:
            session.note(f"warning: {file.input}: {file.none_fits}\n{_ALL_DEAD}")
    if refused is not None:
        raise refused


def _taken(
    topic: Log, files: list[Path], key: str | None, reading: Reading, again: bool
) -> tuple[IngestReport, IngestRefused | None]:
    with progress_bars("bytes") as bar, stop_on_signals() as stop:
        try:
            report = ingest(
                topic, files, key=key, reading=reading, again=again, stop=stop, progress=bar
            )
        except IngestRefused as error:
            return error.report, error
    return report, None


def _expressions(mappings: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for mapping in map(as_text, mappings):
        field, separator, expression = mapping.partition("=")
        if not separator or not field.strip() or not expression.strip():
            raise UsageError(
                f"--map {mapping!r} is not FIELD=EXPRESSION",
                remedy="Write --map 'amount=price * quantity'.",
            )
        if field.strip() in found:
            raise UsageError(
                f"--map is given twice for the field {field.strip()}",
                remedy="Keep the expression that is meant.",
            )
        found[field.strip()] = expression
    return found


def _text(report: IngestReport, *, mapped: bool) -> str:
    lines = [_line(file, mapped) for file in report.files]
    rate = report.added / report.seconds if report.seconds else 0
    lines.append(
        f"{plural(report.added, 'record')} added to topic {report.topic} "
        f"({report.seconds:.1f} s, {rate:,.0f} records/s)"
    )
    if report.stopped:
        lines.append("stopped before the end; run the same command again to go on")
    return "\n".join(lines)


def _line(file: FileReport, mapped: bool) -> str:
    parts = [f"{plural(file.added, 'record')} added"]
    if file.already_there:
        parts.append(f"{file.already_there:,} were already there")
    if file.empty:
        parts.append(f"{plural(file.empty, 'empty line')} left out")
    if file.unmapped:
        parts.append(f"{_unmapped(file, mapped)}, appended unchanged")
    if file.known == "all":
        parts.append("nothing new in it; --again appends it once more")
    return f"{file.input} ({file.format}): {', '.join(parts)}"


def _unmapped(file: FileReport, mapped: bool) -> str:
    if file.format == "parquet":
        # Its rows have the format, or the file has not.
        why = "that --map fails on" if mapped else "that cannot be written as JSON"
        return f"{plural(file.unmapped, 'row')} {why}"
    what = plural(file.unmapped, "row" if file.format == "csv" else "line")
    return f"{what} not of the {file.format} format{or_failed(mapped)}"
