"""Building views again, with a progress bar: for `run --rebuild` and `state rebuild`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.cli.progress import progress_bars
from headrace.cli.telling import tell
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.plan.operators import Job
from headrace.values.settings import Settings


def rebuilt(job: Job, settings: Settings, views: Sequence[str] = ()) -> dict[str, Any]:
    """Builds what the definition changed, and `views`; the report of `rebuild_job`."""
    with progress_bars() as bar:

        def show(what: str, done: int, of: int) -> None:
            bar(f"rebuild {job.id}: {what}", done, of)

        return rebuild_job(job, settings, views=views, progress=show, listener=tell)


def rebuilt_text(report: dict[str, Any]) -> str:
    """What was built, in words."""
    if not report["views"]:
        text = f"job {report['job']}: every view is as the app defines it, nothing was built"
        late = f"; late events that an earlier rebuild left changed {report['corrections']:,} rows"
        return text + late if report["corrections"] else text
    return (
        f"job {report['job']}: built {', '.join(report['views'])} again in "
        f"{report['seconds']:.1f} s; late events changed {report['corrections']:,} rows"
    )
