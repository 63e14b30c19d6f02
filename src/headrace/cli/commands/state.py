"""`headrace state`: what a job keeps, what is in it, beginning anew."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from headrace.cli.asking import ask_jobs, one_job, settings_for
from headrace.cli.groups import AppCommands, PlainUsage
from headrace.cli.loading import load_app
from headrace.cli.moving import agreed, moves_text
from headrace.cli.options import (
    AppName,
    DataDirectory,
    Debug,
    JobName,
    Json,
    OneJob,
    Profile,
    Yes,
    examples,
)
from headrace.cli.rebuilding import rebuilt, rebuilt_text
from headrace.cli.rows import write_rows
from headrace.cli.session import session
from headrace.cli.tables import plural, text_table
from headrace.engines.embedded.epochs.seeking import start_of
from headrace.ops.jobs import readers, states
from headrace.ops.jobs.ask import ask, existing_data
from headrace.ops.jobs.lakes import moved_aside
from headrace.ops.jobs.seeking import seeking
from headrace.ops.owner import acquire

group = typer.Typer(
    add_completion=False,
    cls=AppCommands,
    help="What a job keeps: list, inspect, rebuild, seek, reset, forget-reader.",
    rich_markup_mode=None,
)


@group.command(
    "list",
    cls=PlainUsage,
    epilog=examples("headrace state list activity", "headrace state activity --json"),
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


@group.command(
    "inspect",
    cls=PlainUsage,
    epilog=examples("headrace state inspect activity page_view_counts"),
)
def inspect(
    app: AppName,
    view: Annotated[
        str,
        typer.Argument(metavar="VIEW", help="A view, by the name of its first destination."),
    ],
    job: OneJob = None,
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
    cls=PlainUsage,
    epilog=examples(
        "headrace state rebuild activity", "headrace state rebuild activity active_users"
    ),
)
def rebuild(
    app: AppName,
    views: Annotated[
        list[str] | None,
        typer.Argument(metavar="VIEW", help="Views to build again, changed or not."),
    ] = None,
    job: OneJob = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Builds new, changed and named views again, from all events of the lake or the log.

    The job must not run: stop it first.
    """
    settings, chosen = settings_for(profile, data), one_job(load_app(app), job)
    existing_data(settings)
    report = rebuilt(chosen, settings, views or ())
    session.show(report, rebuilt_text(report))


_FROM_HELP = (
    "Where to read on: earliest, latest, an offset, PARTITION:OFFSET,…, or a time "
    "(2026-01-05T10:00:00Z)."
)


@group.command(
    "seek",
    cls=PlainUsage,
    epilog=examples(
        "headrace state seek activity user_activity --from earliest",
        "headrace state seek activity --from 2026-01-05T10:00:00Z",
        "headrace state seek activity user_activity --from 0:1200,2:1180 --yes",
    ),
)
def seek(
    app: AppName,
    start: Annotated[
        str, typer.Option("--from", metavar="PLACE", help=_FROM_HELP, show_default=False)
    ],
    topic: Annotated[
        str | None,
        typer.Argument(metavar="TOPIC", help="One topic of the job.  [default: each]"),
    ] = None,
    yes: Yes = False,
    job: OneJob = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Keeps the state and moves where a job reads on: after a topic was made again or lost records.

    Says first which records are skipped, and asks. In the same topic only forward: to read again,
    reset. The job must not run: stop it first.
    """
    settings, wanted = settings_for(profile, data), start_of(start)
    chosen = one_job(load_app(app), job)
    epoch = None
    with seeking(chosen, settings, topic, wanted) as found:
        said = moves_text(found.moves)
        if not found.stays:
            if not yes:
                session.note(said)
                agreed("Read on there?")
            epoch = found.commit()
    moved = "nothing was moved" if epoch is None else f"goes on in epoch {epoch}"
    session.show(
        {"job": chosen.id, "epoch": epoch, "topics": [m.to_json() for m in found.moves]},
        f"{said}\njob {chosen.id}: {moved}: headrace run APP",
    )


@group.command(
    "reset",
    cls=PlainUsage,
    epilog=examples(
        "headrace state reset activity --yes",
        "headrace state reset activity --from latest",
        "headrace state reset activity --from earliest --new-lakes",
    ),
)
def reset(
    app: AppName,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="PLACE", help=f"{_FROM_HELP}  [default: earliest]", show_default=False
        ),
    ] = None,
    new_lakes: Annotated[
        bool,
        typer.Option(
            "--new-lakes", help="Begin with new lakes; those that are there are moved aside."
        ),
    ] = False,
    yes: Yes = False,
    job: OneJob = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Forgets views, tables, offsets and sums, and begins a greater generation.

    Says what is lost first, and asks. Tables and topics of changes begin anew; lakes, and topics of
    streams or of final rows, keep what they have. A state that cannot be read is put aside. The job
    must not run: stop it first.
    """
    settings = settings_for(profile, data)
    wanted = None if start is None else start_of(start)
    chosen = one_job(load_app(app), job)
    layout = existing_data(settings)
    with acquire(layout.job(chosen.id), "reset") as owner:
        lost = states.what_a_reset_loses(chosen.id, settings)
        begins = None if wanted is None else states.begins(chosen, settings, wanted)
        lakes = [o.name for o in chosen.outputs if o.role == "lake" and new_lakes]
        if not yes:
            session.note(_lost_text(lost, start) + _moved_text(lakes))
            agreed("Reset it?")
        moved = moved_aside(layout, chosen.id, lakes)
        generation = states.reset(chosen.id, settings, begins)
        owner.drain()
    told = [f"lake {name}: what it had is in {path}" for name, path in moved.items()]
    told.append(f"job {chosen.id} begins anew, as generation {generation}: headrace run APP")
    session.show(
        {"job": chosen.id, "generation": generation, "lost": lost, "moved": moved},
        "\n".join(told),
    )


@group.command(
    "forget-reader",
    cls=PlainUsage,
    epilog=examples("headrace state forget-reader activity user_activity old_app"),
)
def forget_reader(
    app: AppName,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="A topic of the app.")],
    reader: Annotated[
        str,
        typer.Argument(metavar="READER", help="The job that no longer reads it; doctor names it."),
    ],
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Stops keeping old records of a topic for a job that no longer reads it.

    If the job has state in the data directory, that is refused, unless it is a job of the app and
    no longer has that source. Move the state away first.
    """
    gone = readers.forget_reader(load_app(app).plan, settings_for(profile, data), topic, reader)
    places = ", ".join(f"{p}:{at}" for p, at in enumerate(gone.offsets))
    session.show(
        asdict(gone),
        f"topic {topic}: forgot reader {reader}, which was to read on at {places}; retention kept "
        f"{plural(gone.freed, 'record')} for it alone",
    )


def _moved_text(lakes: list[str]) -> str:
    if not lakes:
        return ""
    named = ", ".join(lakes)
    return f"\nMoves aside: {named}.\nThe new lakes are given what the topics still hold."


def _lost_text(lost: dict[str, Any], start: str | None) -> str:
    place = "their beginning, as far as they reach back"
    if start not in (None, "earliest"):
        place = f"{start} on"
    if lost["damaged"] is not None:
        return (
            f"{lost['damaged']}\nThis puts it aside, as it is, and forgets all that job "
            f"{lost['job']} kept.\nThe next run reads the topics from {place}."
        )
    rows = ", ".join(f"{t['table']} ({plural(t['rows'], 'row')})" for t in lost["tables"])
    letters = plural(lost["dead_letters"], "dead letter")
    kept = ""
    if lost["recomputed"]:
        kept = (
            f"\nTables lose what was recomputed ({', '.join(lost['recomputed'])}), topics and "
            "lakes of final rows keep it; recompute again when it has caught up."
        )
    return (
        f"This forgets, of job {lost['job']}: {rows or 'no table'}, {letters}, all offsets and "
        f"sums.\nThe next run reads the topics from {place}.{kept}"
    )
