"""What a job writes about itself into every commit: who it is, and its mark.

The mark's number also stands in the log as a Delta application transaction, so that two writers
on one snapshot conflict; `Entry` holds the rest. Every commit of the job repeats its last entry,
and clean-up never removes the commit that holds the newest one.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.storage.contract import Mark
from headrace.values.errors import DiskRefused, StateRefused

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

KEY = "headrace"
_INCARNATION = "/incarnation"


@dataclass(frozen=True)
class Entry:
    """A commit's word on its writer; `mark` is None until something was delivered."""

    job: str
    incarnation: int
    mark: Mark | None

    @property
    def number(self) -> int:
        """The mark's number; -1 when there is no mark."""
        return -1 if self.mark is None else self.mark.number

    def properties(self) -> CommitProperties:
        """The commit properties that carry this entry and make a rival's commit conflict."""
        from deltalake import CommitProperties, Transaction

        content = {
            "job": self.job,
            "incarnation": self.incarnation,
            "mark": None if self.mark is None else self.mark.to_data(),
        }
        return CommitProperties(
            custom_metadata={KEY: content},
            app_transactions=[
                Transaction(f"headrace/{self.job}", self.number),
                Transaction(f"headrace/{self.job}{_INCARNATION}", self.incarnation),
            ],
        )


def last_entry(table: DeltaTable) -> tuple[Entry, int] | None:
    """The newest entry in the table's log and its version; None when no job wrote here."""
    for limit in (1, 16, None):
        for commit in table.history(limit):
            if KEY in commit:
                return _entry(table, commit[KEY]), int(commit["version"])
    return None


def job_in(log: Path) -> str | None:
    """The job that wrote the newest commit of a damaged `log` that can be read; None for none.

    Raises DiskRefused when the file system refuses.
    """
    try:
        for path in sorted(log.glob("*.json"), reverse=True):
            for line in path.read_bytes().splitlines():
                with suppress(ValueError, KeyError, TypeError):
                    return str(json.loads(line)["commitInfo"][KEY]["job"])
    except OSError as error:
        raise DiskRefused(
            f"Cannot read {log}: {error.strerror}", remedy="Mend the permission or the disk."
        ) from error
    return None


def is_ours(transaction: Any) -> bool:
    """Whether it is the last that a commit of a job says, as read from the log."""
    return isinstance(transaction, dict) and str(transaction.get("appId")).endswith(_INCARNATION)


def _entry(table: DeltaTable, content: dict[str, Any]) -> Entry:
    try:
        mark = content["mark"]
        return Entry(content["job"], content["incarnation"], None if mark is None else Mark(**mark))
    except (LookupError, TypeError) as error:
        raise StateRefused(
            f"The log of the lake {table.table_uri} is damaged: its entry says {content}",
            remedy="Restore the lake's directory from a backup.",
        ) from error


def transactions(table: DeltaTable, job: str) -> tuple[int, int]:
    """(mark number, incarnation) of `job` on the table's snapshot; -1 where there is none."""
    number = table.transaction_version(f"headrace/{job}")
    incarnation = table.transaction_version(f"headrace/{job}{_INCARNATION}")
    return (-1 if number is None else number, -1 if incarnation is None else incarnation)
