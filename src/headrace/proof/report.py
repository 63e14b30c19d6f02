"""What `verify` and `recompute` found, as data; the command line and Python show the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from headrace.values.stages import StageTime

# So many of the rows that differ are told.
SHOWN = 10


@dataclass(frozen=True)
class Checked:
    """One thing that was compared. `differences` are the first few, `different` how many.

    `compared` is false where that is not possible, see `note`.
    `late_would_change` is how many rows the late events would change, None where none can.
    """

    kind: str
    name: str
    rows: int
    different: int
    differences: tuple[dict[str, Any], ...] = ()
    late_would_change: int | None = None
    note: str | None = None
    compared: bool = True

    @property
    def holds(self) -> bool:
        return self.different == 0


@dataclass(frozen=True)
class Sum:
    """One row of the sums: what stands on both sides."""

    kind: str
    name: str
    text: str
    holds: bool


@dataclass(frozen=True)
class Verification:
    """A proof of one job at one epoch; `stages` are where its `seconds` went."""

    job: str
    generation: int
    epoch: int
    events: int
    checked: tuple[Checked, ...]
    sums: tuple[Sum, ...]
    undelivered: tuple[str, ...]
    refused_rows: int
    origins: tuple[str, ...]
    seconds: float
    stages: tuple[StageTime, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every promise holds: rows, sums, deliveries, nothing refused."""
        return (
            all(c.holds for c in self.checked)
            and all(s.holds for s in self.sums)
            and not self.undelivered
            and not self.refused_rows
        )

    def to_json(self) -> dict[str, Any]:
        return {"holds": self.holds, **asdict(self)}


def verification_from(data: Mapping[str, Any]) -> Verification:
    """The inverse of `Verification.to_json`."""
    content = {k: v for k, v in data.items() if k != "holds"}
    content["checked"] = tuple(
        Checked(**{**c, "differences": tuple(c["differences"])}) for c in data["checked"]
    )
    content["sums"] = tuple(Sum(**s) for s in data["sums"])
    content["undelivered"], content["origins"] = tuple(data["undelivered"]), tuple(data["origins"])
    return Verification(**_staged(content))


def _staged(content: dict[str, Any]) -> dict[str, Any]:
    return content | {"stages": tuple(StageTime(**s) for s in content["stages"])}


@dataclass(frozen=True)
class Corrected:
    """What a recompute found in one destination.

    `note` says why it was left as it is, where it was.
    """

    name: str
    equal: int
    corrected: int
    missing: int
    deleted: int
    note: str | None = None


@dataclass(frozen=True)
class Recomputation:
    """A recompute of one job: `epoch` is that of its corrections, None on a dry run."""

    job: str
    dry_run: bool
    bound: str | None
    events: int
    destinations: tuple[Corrected, ...] = field(default_factory=tuple)
    epoch: int | None = None
    seconds: float = 0.0
    stages: tuple[StageTime, ...] = ()

    @property
    def corrections(self) -> int:
        return sum(d.corrected + d.missing + d.deleted for d in self.destinations)

    def to_json(self) -> dict[str, Any]:
        return {"corrections": self.corrections, **asdict(self)}


def recomputation_from(data: Mapping[str, Any]) -> Recomputation:
    """The inverse of `Recomputation.to_json`."""
    content = {name: value for name, value in data.items() if name != "corrections"}
    content["destinations"] = tuple(Corrected(**d) for d in data["destinations"])
    return Recomputation(**_staged(content))
