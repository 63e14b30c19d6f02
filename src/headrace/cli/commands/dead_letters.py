"""`headrace dead-letters`: records that were refused, by reason, one by one, and judged again."""

from __future__ import annotations

from typing import Annotated

import pyarrow as pa
import typer

from headrace.cli.asking import ask_jobs, settings_for
from headrace.cli.groups import AppCommands, PlainUsage
from headrace.cli.loading import load_app
from headrace.cli.options import (
    AppName,
    DataDirectory,
    Debug,
    JobName,
    Json,
    Profile,
    as_text,
    examples,
)
from headrace.cli.rows import write_rows
from headrace.cli.session import session
from headrace.cli.tables import plural

LIMIT_MAX = 1_000_000_000

group = typer.Typer(
    add_completion=False,
    cls=AppCommands,
    help="Records that were not accepted: list, show, replay after a fix.",
    rich_markup_mode=None,
)


def _show(tables: list[pa.Table], as_json: bool) -> None:
    write_rows(pa.concat_tables(tables), "json" if as_json else "table", None)


@group.command(
    "list",
    cls=PlainUsage,
    epilog=examples("headrace dead-letters list activity", "headrace dead-letters activity"),
)
def list_(
    app: AppName,
    job: JobName = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Counts dead letters by topic, field and reason."""
    settings = settings_for(profile, data)
    replies = ask_jobs(load_app(app), settings, "letters-list", only=job)
    _show([reply.table for _, reply in replies], as_json)


@group.command(
    "show",
    cls=PlainUsage,
    epilog=examples(
        "headrace dead-letters show activity --limit 5",
        "headrace dead-letters show activity --reason user_id",
    ),
)
def show(
    app: AppName,
    limit: Annotated[
        int,
        typer.Option("--limit", metavar="N", min=1, max=LIMIT_MAX, help="At most N of each job."),
    ] = 20,
    reason: Annotated[
        str | None,
        typer.Option(
            "--reason", metavar="TEXT", help="Only where the reason has this.", show_default=False
        ),
    ] = None,
    job: JobName = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Shows single dead letters with their text, the newest of each job first."""
    request = {"limit": limit, "reason": None if reason is None else as_text(reason)}
    settings = settings_for(profile, data)
    replies = ask_jobs(load_app(app), settings, "letters-show", request, only=job)
    _show([reply.table for _, reply in replies], as_json)


@group.command("replay", cls=PlainUsage, epilog=examples("headrace dead-letters replay my_app.py"))
def replay(
    app: AppName,
    job: JobName = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Judges all dead letters again, by the present definition.

    Those that are accepted now are late for windows: headrace recompute applies them. Where a
    destination has refused rows, the present rows of their keys are sent again, to a topic of a
    stream the records themselves.
    """
    settings = settings_for(profile, data)
    replies = ask_jobs(load_app(app), settings, "letters-replay", only=job)
    found = [dict(reply.header) for _, reply in replies]
    lines = [
        f"job {f['job']}: {plural(f['accepted'], 'record')} accepted now, "
        f"{f['refused']:,} still refused"
        + (f"; {plural(f['sent_again'], 'row')} sent again" if f["sent_again"] else "")
        for f in found
    ]
    session.show({"jobs": found}, "\n".join(lines))
