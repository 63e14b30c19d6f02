"""`headrace status`: how far every job is."""

from __future__ import annotations

from typing import Any

from headrace.cli.asking import ask_jobs, settings_for
from headrace.cli.loading import load_app
from headrace.cli.options import AppName, DataDirectory, Debug, JobName, Json, Profile, examples
from headrace.cli.session import session
from headrace.cli.tables import down_lines, nulls_lines, text_table

EXAMPLES = examples("headrace status activity", "headrace status activity --json")


def command(
    app: AppName,
    job: JobName = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Says how far each job is: lag, watermark, late events, dead letters, deliveries."""
    replies = ask_jobs(load_app(app), settings_for(profile, data), "status", only=job)
    found = [dict(reply.header) for _, reply in replies]
    session.show({"jobs": found}, "\n\n".join(status_text(f) for f in found))


def status_text(found: dict[str, Any]) -> str:
    """One job: a line for itself, one per source, view and destination."""
    state = "running" if found["running"] else "not running"
    lines = [
        f"job {found['job']}: {state}, generation {found['generation']}, epoch {found['epoch']}"
    ]
    lines.append(
        text_table(
            ("source", "read", "lag", "dead letters", "watermark", "held back by"),
            [_source(s) for s in found["sources"]],
            right=(1, 2, 3),
        )
    )
    if found["views"]:
        counters = ("accepted", "applied", "filtered", "late", "duplicate", "failed")
        rows = [(v["name"], *(f"{v.get(c, 0):,}" for c in counters)) for v in found["views"]]
        lines.append(text_table(("view", *counters), rows, right=range(1, 7)))
        lines += nulls_lines(found)
    rows = [
        (d["name"], d["role"], f"{d.get('landed', 0):,}", f"{d['epochs_behind']:,}")
        for d in found["destinations"]
    ]
    lines.append(
        text_table(("destination", "role", "rows landed", "epochs behind"), rows, right=(2, 3))
    )
    return "\n".join([*lines, *down_lines(found)])


def _source(source: dict[str, Any]) -> tuple[str, ...]:
    held = ", ".join(str(p) for p in source["held_back_by"])
    return (
        source["topic"],
        f"{source.get('read', 0):,}",
        f"{source['lag_records']:,}",
        f"{source.get('dead_lettered', 0):,}",
        source["watermark"] or "-",
        f"partition {held}" if held else "-",
    )
