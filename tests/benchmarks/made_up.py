"""Runs that nobody measured, in the form of those that somebody did."""

from __future__ import annotations

from typing import Any

from benchmarks.measure.steady import OUTSIDE

Run = dict[str, Any]

# Seconds and own CPU by thread and stage: of ten seconds, with fifteen of CPU.
SECONDS, CPU_SECONDS = 10.0, 15.0
STAGES = {
    ("read user_activity", "decode"): (6.0, 3.0),
    ("read user_activity", "fetch"): (1.0, 0.3),
    ("job", "wait for records"): (2.0, 0.0),
    ("job", "user_sessions"): (4.0, 2.25),
    ("job", "user_sessions: outputs"): (1.0, 0.75),
    ("job", "commit"): (1.0, 0.3),
    ("deliver activity", "deliver"): (3.0, 1.5),
    ("deliver enriched_activity", "make rows"): (1.0, 0.75),
}
# Of other kinds of runs, which took no time in these.
_NAMES = ("keys", "records", "sums", "totals", "page_view_counts", "active_users", "activity")
STAGES |= {("another", name): (0.0, 0.0) for name in (*_NAMES, "enriched_activity", OUTSIDE)}


def stages(of: dict[tuple[str, str], tuple[float, float]] = STAGES) -> list[Run]:
    return [
        {"thread": thread, "stage": stage, "seconds": seconds, "own_cpu_seconds": cpu}
        for (thread, stage), (seconds, cpu) in of.items()
    ]


def profile() -> Run:
    return {"seconds": SECONDS, "cpu_seconds": CPU_SECONDS, "stages": stages()}


def run(rate: float, events: int = 1_000_000, **more: Any) -> Run:
    """One of a program of ours, or of another."""
    used = {
        "cpu_us_per_event": 3.0,
        "peak_mib": 900.0,
        "anonymous_mib": 400.0,
        "other_cores": 0.1,
        "seconds": SECONDS,
    }
    used |= {"cpu_seconds": CPU_SECONDS, "system_seconds": 6.0, "wall_seconds": SECONDS + 1}
    speed = {"events": events, "cold_per_second": rate / 2, "events_per_second": rate}
    report = {"profile": profile(), "second_half": {"records": 0, "seconds": 0.0}}
    return speed | used | {"report": report} | more


def command(seconds: float, **report: Any) -> Run:
    """One of a command line, which tells of itself."""
    return run(1.0, wall_seconds=seconds, report={"seconds": seconds, "stages": stages()} | report)


def proof(seconds: float) -> Run:
    return command(seconds, jobs=[{"seconds": seconds, "stages": stages()}])


def same_rows(**wrong: int) -> Run:
    """Rows that are all ours, but for `OUTPUT_KIND=number`."""
    tables = ("page_view_counts", "active_users", "user_sessions")
    found = {name: {"ours": 100, "theirs": 100, "equal": 100} for name in tables}
    found |= {name: {"ours": 1_000, "theirs": 1_000, "same": True} for name in ("lake", "enriched")}
    for key, number in wrong.items():
        name, _, kind = key.rpartition("_")
        found[name][kind] = number
    return found


def peer_rows(events: int, **wrong: float) -> Run:
    """Of a peer with all five outputs, all ours, but for `OUTPUT_KIND=number`."""
    counts = {"rows": 100, "equal": 100, "different": 0, "missing": 0, "open": 0, "more": 0}
    found: Run = {
        "page_view_counts": counts | {"events": 1_000, "lost": 0},
        "active_users": {
            "rows": 9,
            "found": 9,
            "equal": 2,
            "missing": 0,
            "more": 0,
            "off_max": 0.1,
        },
        "user_sessions": {"rows": 100, "equal": 96},
        "sessions": {"rows": 120},
        "lake": {"rows": events, "same": True},
        "enriched": {"rows": events, "same": True},
    }
    for key, number in wrong.items():
        name = next(n for n in found if key.startswith(f"{n}_"))
        found[name][key.removeprefix(f"{name}_")] = number
    return found
