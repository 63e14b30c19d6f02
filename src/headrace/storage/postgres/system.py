"""PostgreSQL as a system that plays the role of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headrace.storage.contract import Finding, Target
from headrace.storage.postgres import findings
from headrace.storage.postgres.address import parse
from headrace.storage.postgres.session import LOCK_TIMEOUT_SECONDS
from headrace.storage.postgres.snapshot import PostgresSnapshot
from headrace.storage.postgres.table import PostgresTable
from headrace.values.errors import DefinitionError

ROLES = ("table",)


class PostgresSystem:
    """The database at `postgresql://user:password@host/database?schema=…&option=…`.

    Options other than `schema` are those of the client library (libpq). A destination waits
    `lock_seconds` for a lock before it says so. Raises UsageError when the URL is none.
    """

    def __init__(self, url: str, *, lock_seconds: float = LOCK_TIMEOUT_SECONDS) -> None:
        self._address = parse(url)
        self._lock_seconds = lock_seconds
        self.address = self._address.shown

    def __repr__(self) -> str:
        return f"PostgresSystem({self.address!r})"

    def destination(self, target: Target) -> PostgresTable:
        """The table for an output, not yet open.

        Raises DefinitionError for another role, and for names and types that it cannot have.
        """
        if target.role not in ROLES:
            raise DefinitionError(
                f'PostgreSQL holds tables; "{target.name}" is {target.role.replace("_", " ")}'
            )
        return PostgresTable(self._address, target, lock_seconds=self._lock_seconds)

    def snapshot(self, targets: Sequence[Target]) -> PostgresSnapshot:
        """All tables of the database as they are now, `targets` among them. Raises Unreachable."""
        return PostgresSnapshot(self._address)

    def findings(self, targets: Sequence[Target], topics: Mapping[str, int]) -> list[Finding]:
        """Reachable, version, rights, each target's table, durability, clock, connections."""
        return findings.look(self._address, targets)

    def close(self) -> None:
        """Nothing is held here: destinations and snapshots close their own connections."""
