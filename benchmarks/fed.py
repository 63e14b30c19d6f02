"""What a run was fed, and that nothing less came of it: asked before what it left is removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.children import Ended, MeasurementFailed

# What must not happen to any event of these inputs.
LOSSES = ("dead_lettered", "late", "duplicate", "failed", "refused")


@dataclass(frozen=True)
class Fed:
    """So many `events`, of which the app's counting views must count `counted`, summed."""

    events: int
    counted: int

    def __add__(self, other: Fed) -> Fed:
        return Fed(self.events + other.events, self.counted + other.counted)


NOTHING = Fed(0, 0)


def checked(ended: Ended, fed: Fed) -> Ended:
    """`ended` as it is; MeasurementFailed where the run made something else of what it was fed."""
    if wrong := wrongs(ended.report["made"], fed):
        raise MeasurementFailed(f"of {fed.events:,} events: {'; '.join(wrong)}")
    return ended


def wrongs(made: Mapping[str, Any], fed: Fed) -> list[str]:
    """What is wrong with what was `made` (see `benchmarks.measure.made`), in words."""
    found = [f"{made[kind]:,} {kind.replace('_', '-')}" for kind in LOSSES if made[kind]]
    if made["read"] != fed.events:
        found.append(f"{made['read']:,} were read")
    if made["counted"] != fed.counted:
        found.append(f"{made['counted']:,} counted where it must be {fed.counted:,}")
    return found + [
        f"{rows:,} in {name}" for name, rows in made["landed"].items() if rows != fed.events
    ]
