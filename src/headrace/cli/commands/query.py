"""`headrace query`: SQL over what the app serves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.asking import settings_for
from headrace.cli.loading import load_app
from headrace.cli.options import (
    AppName,
    DataDirectory,
    Debug,
    JobName,
    Json,
    Profile,
    as_text,
    check_json,
    examples,
)
from headrace.cli.rows import Format, write_rows
from headrace.cli.telling import tell
from headrace.ops.jobs.ask import ask_query
from headrace.values.errors import UsageError

EXAMPLES = examples(
    'headrace query activity "select * from page_view_counts order by view_count desc limit 10"',
    'headrace query activity "select * from conservation" --format csv',
    'headrace query activity "from lake.activity" --format parquet --out activity.parquet',
    'headrace query activity "select field, reason, count(*) from dead_letters group by all"',
)


def command(
    app: AppName,
    sql: Annotated[
        str,
        typer.Argument(
            metavar="SQL",
            help="One SELECT over tables, lake.<name>, topic.<name>, dead_letters, "
            "refused_rows, epochs, conservation.",
        ),
    ],
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="How rows are written.  [default: table, or by the name of --out]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write there.", show_default=False),
    ] = None,
    job: JobName = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Answers SQL over views, lakes, topics, dead letters and sums; --json is --format json."""
    check_json(format, as_json)
    how = format or _format(as_json, out)
    settings = settings_for(profile, data)
    rows = ask_query(load_app(app).plan, settings, as_text(sql), job, tell)
    write_rows(rows, how, out)


def _format(as_json: bool, out: Path | None) -> Format:
    """The format that is asked for without --format; UsageError where nobody can tell."""
    if as_json:
        return "json"
    match "" if out is None else out.suffix.lower():
        case ".csv":
            return "csv"
        case ".json":
            return "json"
        case ".parquet":
            return "parquet"
        case "" | ".txt":
            return "table"
    raise UsageError(
        f"--out {out}: its name does not say how rows are to be written",
        remedy="End it with .csv, .json or .parquet, or say --format table|csv|json|parquet.",
    )
