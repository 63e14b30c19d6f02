"""Whether the rows of others are ours: only then does their speed say anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.peers.known import PEERS
from benchmarks.runs import Run, Runs

Rows = Mapping[str, Mapping[str, Any]]


def same(rows: Rows) -> bool:
    """Of a script or another run of ours: the same rows, none more and none less."""
    return bool(rows) and all(map(same_output, rows.values()))


def same_output(of: Mapping[str, Any]) -> bool:
    """Of one output: as many rows, and all of them equal, as far as they were compared."""
    return of["ours"] == of["theirs"] == of.get("equal", of["ours"]) and of.get("same", True)


def compared(runs: Runs, name: str) -> bool:
    """Whether the rows of the script or run `NAME COUNT` were compared, and are ours."""
    found = runs.get(f"rows {name}")
    return bool(found) and all(same(rows) for rows in found)


def faults(name: str, found: list[Run]) -> list[str]:
    """What of a peer's rows, in any of its runs, is not ours beyond what it declares, in words."""
    return list(
        dict.fromkeys(of for run in found for of in _faults(name, run["rows"], run["events"]))
    )


def _faults(name: str, rows: Rows, events: int) -> Iterator[str]:
    peer, counts = PEERS[name], rows["page_view_counts"]
    for kind in ("different", "missing", "more"):
        if counts[kind]:
            yield f"{counts[kind]:,} rows of page_view_counts are {kind}"
    if users := rows.get("active_users"):
        for kind in ("missing", "more"):
            if users[kind]:
                yield f"{users[kind]:,} rows of active_users are {kind}"
        if users["off_max"] is None or users["off_max"] > peer.users_off_max:
            yield f"active_users are not within {peer.users_off_max:.0%} of ours"
    least, sessions = peer.sessions_equal_min, rows.get("user_sessions")
    if sessions and least is not None and sessions["equal"] < least * sessions["rows"]:
        yield f"{sessions['equal']:,} of {sessions['rows']:,} sessions are ours"
    if rows.get("sessions", {}).get("rows") == 0:
        yield "it has made no sessions"
    for output in ("lake", "enriched"):
        if output in rows and rows[output]["rows"] != events:
            yield f"{rows[output]['rows']:,} of {events:,} events are in its {output}"
        elif output in rows and not rows[output]["same"]:
            yield f"the events in its {output} are others"
