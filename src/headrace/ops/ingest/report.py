"""What an ingest did, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from headrace.values.errors import InputRefused
from headrace.values.stages import StageTime

Format = Literal["ndjson", "csv", "parquet", "combined"]


@dataclass(frozen=True)
class FileReport:
    """What became of one input.

    `added` records by this run, `already_there` before it, `empty` lines left out, `bytes` of the
    raw file read. `known` is what the topic had before: nothing, a part (a killed or torn ingest),
    an earlier state of a file that has grown since, or all. `refused` says why the rest could not
    be read, `none_fits` why the first of its records is no event where none of the first ones is.
    `unmapped` of the lines or rows that were read are not of the format (of which nobody asks JSON
    lines without --map), or an expression of --map fails on them: they stand as they were.
    """

    input: str
    format: Format
    added: int
    already_there: int
    empty: int
    bytes: int
    known: Literal["nothing", "part", "grown", "all"]
    refused: str | None = None
    none_fits: str | None = None
    unmapped: int = 0


@dataclass(frozen=True)
class IngestReport:
    """What became of all inputs; `stopped` says that it was asked to end before it had.

    `stages` are where its `seconds` went.
    """

    topic: str
    files: tuple[FileReport, ...]
    seconds: float
    stopped: bool = False
    stages: tuple[StageTime, ...] = ()

    @property
    def added(self) -> int:
        return sum(file.added for file in self.files)

    @property
    def already_there(self) -> int:
        return sum(file.already_there for file in self.files)

    @property
    def empty(self) -> int:
        return sum(file.empty for file in self.files)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """The sums, then each file."""
        files = [asdict(file) for file in self.files]
        sums = {name: getattr(self, name) for name in ("added", "already_there", "empty", "bytes")}
        return {
            "topic": self.topic,
            **sums,
            "seconds": self.seconds,
            "stopped": self.stopped,
            "files": files,
            "stages": [asdict(stage) for stage in self.stages],
        }


class IngestRefused(InputRefused):
    """Some of the inputs could not be read to their end; `report` says what was taken."""

    def __init__(self, report: IngestReport, *, remedy: str | None = None) -> None:
        super().__init__(
            "\n".join(file.refused for file in report.files if file.refused), remedy=remedy
        )
        self.report = report
