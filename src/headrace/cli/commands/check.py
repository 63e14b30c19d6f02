"""`headrace check`: binds and types everything, runs nothing."""

from __future__ import annotations

from headrace.cli.loading import load_app
from headrace.cli.options import AppName, Debug, Json, examples
from headrace.cli.session import session
from headrace.cli.tables import plural, text_table
from headrace.plan.build import build
from headrace.plan.operators import Job, Stream, View

EXAMPLES = examples("headrace check activity", "headrace check my_app.py --json")


def command(app: AppName, as_json: Json = False, debug: Debug = False) -> None:
    """Binds and type-checks every expression of an app; runs nothing."""
    plan = build(load_app(app))
    document = {
        "app": plan.app,
        "holds": True,
        "jobs": [
            {
                "job": job.id,
                "sources": [s.topic for s in job.sources],
                "views": [v.name for v in job.views],
                "destinations": [
                    {"name": o.name, "role": o.role, "columns": _columns(job, o.input)}
                    for o in job.outputs
                ],
            }
            for job in plan.jobs
        ],
    }
    session.show(document, "\n\n".join(_text(job) for job in plan.jobs))


def _columns(job: Job, name: str) -> list[dict[str, object]]:
    readers: tuple[View | Stream, ...] = (*job.views, *job.streams)
    made = {r.name: r for r in readers}
    return [{"name": c.name, "type": c.type, "key": c.key} for c in made[name].columns]


def _text(job: Job) -> str:
    rows = []
    for output in job.outputs:
        columns = [
            f"{c['name']} {c['type']}{' (key)' if c['name'] in output.key else ''}"
            for c in _columns(job, output.input)
        ]
        rows.append((output.name, output.role, ", ".join(columns)))
    counts = (
        plural(len(job.sources), "source"),
        plural(len(job.views), "view"),
        plural(len(job.outputs), "destination"),
    )
    return f"job {job.id} can run: {', '.join(counts)}, every expression bound\n" + text_table(
        ("destination", "role", "columns"), rows
    )
