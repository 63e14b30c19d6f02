"""Tables of final rows in PostgreSQL after a reset."""

from __future__ import annotations

from pathlib import Path

from tests.proof.test_final_tables import check_after_resets
from tests.servers.names import Database


def test_final_tables_in_postgresql(database: Database, tmp_path: Path) -> None:
    check_after_resets(tmp_path, database.dsn)
