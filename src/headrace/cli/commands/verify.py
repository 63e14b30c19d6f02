"""`headrace verify`: proves that what is served is what the log says."""

from __future__ import annotations

from dataclasses import replace
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
from headrace.cli.reports import verification_text
from headrace.cli.session import session
from headrace.cli.stages import stages_text
from headrace.proof.report import verification_from

EXAMPLES = examples("headrace verify activity", "headrace verify my_app.py --data d --json")


def command(
    app: AppName,
    allow_refused: Annotated[
        bool,
        typer.Option("--allow-refused", help="Ignore refused rows in the verdict."),
    ] = False,
    profile_stages: ProfileStages = False,
    job: JobName = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Computes every view again, in another way, and compares row by row; exit 0 if all holds.

    The sums are checked too, and it says how many rows the late events would change.
    """
    replies = ask_jobs(load_app(app), settings_for(profile, data), "verify", only=job)
    found = [verification_from(reply.header) for _, reply in replies]
    judged = [replace(f, refused_rows=0) if allow_refused else f for f in found]
    holds = all(f.holds for f in judged)
    document = {"holds": holds, "jobs": [f.to_json() for f in found]}
    texts = [verification_text(f, j.holds) for f, j in zip(found, judged, strict=True)]
    if profile_stages:
        texts += [stages_text(f.stages, f.seconds, f.events) for f in found]
    session.show(document, "\n\n".join(texts))
    if not holds:
        raise typer.Exit(1)
