"""`headrace recompute`: closed windows again, from all events, late ones too."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from headrace.cli.asking import ask_jobs, settings_for
from headrace.cli.loading import load_app
from headrace.cli.options import (
    AppName,
    DataDirectory,
    Debug,
    JobName,
    Json,
    Profile,
    ProfileStages,
    examples,
)
from headrace.cli.reports import recomputation_text
from headrace.cli.session import session
from headrace.cli.stages import stages_text
from headrace.proof.report import recomputation_from
from headrace.values.clock import instant_us
from headrace.values.errors import UsageError

EXAMPLES = examples(
    "headrace recompute activity",
    "headrace recompute activity --date 2026-01-05 --dry-run",
    "headrace recompute activity --from 2026-01-05T10:00:00 --to 2026-01-05T12:00:00",
)
_DAY_US = 86_400_000_000


def command(
    app: AppName,
    begin: Annotated[
        datetime | None,
        typer.Option(
            "--from", metavar="TIME", help="Windows that end after this, UTC.", show_default=False
        ),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option(
            "--to",
            metavar="TIME",
            help="Windows that end by this, UTC.  [default: the watermark]",
            show_default=False,
        ),
    ] = None,
    date: Annotated[
        datetime | None,
        typer.Option(
            "--date",
            metavar="DATE",
            formats=["%Y-%m-%d"],
            help="Windows that end after 00:00 of this day and by its 24:00, UTC.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report what would change; write nothing.")
    ] = False,
    profile_stages: ProfileStages = False,
    job: JobName = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Recomputes closed windows from all events, late ones too, and writes the corrections."""
    if date is not None:
        if begin is not None or end is not None:
            raise UsageError("--date stands for --from and --to", remedy="Give one or the other.")
        begin = date
    if begin is not None and end is not None and begin >= end:
        raise UsageError(
            "--from is not before --to", remedy="Windows end after the one, by the other."
        )
    from_us = None if begin is None else instant_us(begin)
    to_us = None if end is None else instant_us(end)
    if date is not None:
        # Not as a date: behind the last one there is none.
        to_us = instant_us(date) + _DAY_US
    request = {"from_us": from_us, "to_us": to_us, "dry_run": dry_run}
    settings = settings_for(profile, data)
    replies = ask_jobs(load_app(app), settings, "recompute", request, only=job)
    found = [recomputation_from(reply.header) for _, reply in replies]
    texts = [recomputation_text(f) for f in found]
    if profile_stages:
        texts += [stages_text(f.stages, f.seconds, f.events) for f in found]
    session.show({"jobs": [f.to_json() for f in found]}, "\n\n".join(texts))
