"""`headrace state`: what a job keeps, what is in it, beginning anew."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from headrace.cli.asking import ask_jobs, one_job, settings_for
from headrace.cli.groups import AppCommands
from headrace.cli.loading import load_app
from headrace.cli.options import (
    AppName,
    DataDirectory,
    Debug,
    JobName,
    Json,
    Profile,
    Yes,
    examples,
)
from headrace.cli.rebuilding import rebuilt, rebuilt_text
from headrace.cli.rows import write_rows
from headrace.cli.session import session
from headrace.cli.tables import plural, text_table
from headrace.ops.jobs import states
from headrace.ops.jobs.ask import ask
from headrace.ops.owner import acquire
from headrace.storage.layout import DataDirectory as Layout
from headrace.values.errors import UsageError

group = typer.Typer(
    add_completion=False,
    cls=AppCommands,
    help="What a job keeps: list, inspect, rebuild, reset.",
    rich_markup_mode=None,
)


@group.command(
    "list", epilog=examples("headrace state list activity", "headrace state activity --json")
)
def list_(
    app: AppName,
    job: JobName = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Lists what every job keeps: generation, epoch, size, rows by view."""
    settings = settings_for(profile, data)
    replies = ask_jobs(load_app(app), settings, "state-list", only=job)
    found = [dict(reply.header) for _, reply in replies]
    session.show({"jobs": found}, "\n\n".join(_listed(f) for f in found))


def _listed(found: dict[str, Any]) -> str:
    rows = [
        (view["view"], table["table"], f"{table['rows']:,}")
        for view in found["views"]
        for table in view["tables"]
    ]
    head = (
        f"job {found['job']}: generation {found['generation']}, epoch {found['epoch']}, "
        f"{found['bytes'] / 1e6:,.1f} MB in {found['file']}"
    )
    return head + "\n" + text_table(("view", "state", "rows"), rows, right=(2,))


@group.command("inspect", epilog=examples("headrace state inspect activity page_view_counts"))
def inspect(
    app: AppName,
    view: Annotated[str, typer.Argument(metavar="VIEW", help="A view of the app.")],
    job: JobName = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Shows the open state of a view: its first thousand entries."""
    loaded = load_app(app)
    reply = ask(one_job(loaded, job), settings_for(profile, data), "state-inspect", {"view": view})
    write_rows(reply.table, "json" if as_json else "table", None)


@group.command(
    "rebuild",
    epilog=examples(
        "headrace state rebuild activity", "headrace state rebuild activity active_users"
    ),
)
def rebuild(
    app: AppName,
    views: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VIEW]...", help="Views to build again, changed or not."),
    ] = None,
    job: JobName = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Builds new, changed and named views again, from all events of the lake or the log."""
    chosen = one_job(load_app(app), job)
    report = rebuilt(chosen, settings_for(profile, data), views or ())
    session.show(report, rebuilt_text(report))


@group.command("reset", epilog=examples("headrace state reset activity --yes"))
def reset(
    app: AppName,
    yes: Yes = False,
    job: JobName = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Forgets views, tables, offsets and sums, and begins a greater generation.

    Says what is lost first, and asks. Topics and lakes keep what they have.
    """
    settings = settings_for(profile, data)
    chosen = one_job(load_app(app), job)
    with acquire(Layout(settings.data).job(chosen.id), "reset") as owner:
        lost = states.what_a_reset_loses(chosen.id, settings)
        if not yes:
            _ask(lost)
        generation = states.reset(chosen.id, settings)
        owner.drain()
    session.show(
        {"job": chosen.id, "generation": generation, "lost": lost},
        f"job {chosen.id} begins anew, as generation {generation}: headrace run {app}",
    )


def _ask(lost: dict[str, Any]) -> None:
    rows = ", ".join(f"{t['table']} ({plural(t['rows'], 'row')})" for t in lost["tables"])
    letters = plural(lost["dead_letters"], "dead letter")
    session.note(
        f"This forgets, of job {lost['job']}: {rows or 'no table'}, {letters}, all offsets and "
        "sums.\nThe next run reads the topics from their beginning, as far as they reach back."
    )
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to agree", remedy="Add --yes.")
    if not typer.confirm("Reset it?", err=True):
        raise typer.Exit(0)
