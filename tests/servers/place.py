"""A directory with a profile, in which the commands are given as a user gives them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HEADRACE = str(Path(sys.executable).with_name("headrace"))


class Place:
    """A directory with a profile, in which commands are given as a user gives them."""

    def __init__(self, directory: Path, profile: str) -> None:
        self.directory = directory
        (directory / "headrace.toml").write_text(profile)

    def start(self, *words: object, data: str = "d") -> subprocess.Popen[str]:
        command = [HEADRACE, *map(str, words), "--profile", "servers", "--data", data]
        return subprocess.Popen(
            command,
            cwd=self.directory,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def give(self, *words: object, data: str = "d", code: int = 0) -> str:
        child = self.start(*words, data=data)
        out, err = child.communicate(timeout=180)
        assert child.returncode == code, out + err
        return out + err

    def catch_up(self, *, data: str = "d") -> None:
        self.give("run", "activity", "--until", "caught-up", data=data)

    def verified(self, *, data: str = "d") -> dict[str, Any]:
        job = json.loads(self.give("verify", "activity", "--json", data=data))["jobs"][0]
        assert all(c["compared"] for c in job["checked"]) and not job["undelivered"]
        return {c["name"]: c["rows"] for c in job["checked"]}

    def rows(self, sql: str, *, data: str = "d") -> list[Any]:
        text = self.give("query", "activity", sql, "--format", "json", data=data)
        return list(json.loads(text))


SUMS = "select kind, name, accepted, applied, filtered, late, dead_lettered from conservation"
TABLES = ["page_view_counts", "active_users", "session_history", "user_sessions"]


def results(place: Place, data: str = "d") -> list[Any]:
    tables = [place.rows(f"select * from {t} order by all", data=data) for t in TABLES]
    sums = place.rows(f"{SUMS} where kind <> 'destination' order by all", data=data)
    return [*tables, sums]
