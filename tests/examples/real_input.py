"""Examples over real recorded data: run as a user would, by the command line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from headrace.app import App
from headrace.cli.loading import load_app
from headrace.cli.main import call

ROOT = Path(__file__).parents[2]
_DATA = ROOT.parent / "shared" / "data"


def recorded(name: str) -> Path:
    """A file of recorded data; skips the tests that need it where it is absent."""
    path = _DATA / name
    if not path.exists():
        pytest.skip(
            f"the recorded data {name} is not here (looked in {_DATA})", allow_module_level=True
        )
    return path


def example(name: str) -> str:
    """The APP of an example on a command line."""
    return str(ROOT / "examples" / f"{name}.py")


class Ran:
    """An app that was fed a file and has caught up; its commands, and rows by SQL."""

    def __init__(self, app: str, data: Path) -> None:
        self.name, self.data = app, data
        self.app: App = load_app(app)

    def command(self, name: str, *arguments: str) -> int:
        """The exit code of `headrace NAME APP …`."""
        return call([name, self.name, *arguments, "--data", str(self.data)])

    def rows(self, sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.app.query(sql, data=self.data).to_pylist()
        return rows

    def table(self, name: str, *key: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        """The rows of a table by key."""
        found = {tuple(row[k] for k in key): row for row in self.rows(f"from {name}")}
        assert len(found) == self.rows(f"select count(*) as n from {name}")[0]["n"]
        return found

    def sums(self, kind: str, name: str) -> dict[str, Any]:
        """One row of the conservation sums."""
        [row] = self.rows(f"from conservation where kind = '{kind}' and name = '{name}'")
        return row


def fed(app: str, topic: str, file: Path, data: Path, *options: str) -> Ran:
    """Feeds `file` to an app and runs it until it has caught up."""
    ran = Ran(app, data)
    assert ran.command("ingest", topic, str(file), *options) == 0
    assert ran.command("run", "--until", "caught-up") == 0
    return ran


def check_proved(ran: Ran) -> None:
    """Verify holds before and after a recompute, which finds nothing to correct."""
    assert ran.command("verify") == 0
    before = _everything(ran)
    assert ran.command("recompute") == 0
    assert ran.command("verify") == 0
    assert _everything(ran) == before
    assert not [r for r in ran.rows("from conservation") if not r["balanced"] or r["late"]]


def _everything(ran: Ran) -> dict[str, list[dict[str, Any]]]:
    tables = [o.name for o in ran.app.plan.jobs[0].outputs if o.role == "table"]
    return {name: ran.rows(f"from {name} order by all") for name in tables}


def window(moment: datetime, size: timedelta) -> datetime:
    """Start of the window of `size`, aligned to 1970, that holds `moment`."""
    since = moment - datetime(1970, 1, 1)
    return moment - since % size


def windows(moment: datetime, size: timedelta, every: timedelta) -> Iterator[datetime]:
    """Starts of all sliding windows that hold `moment`."""
    start = window(moment, every)
    while start > moment - size:
        yield start
        start -= every
