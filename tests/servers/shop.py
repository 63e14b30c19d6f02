"""A small app of a test's own in a directory with a profile, by the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from headrace.values.points import VARIABLE

HEADRACE = str(Path(sys.executable).with_name("headrace"))
SECONDS_MAX = 180
FILE = "shop.py"


class Shop:
    """The app `shop.py`; commands end with its directory of data, and find its topics in Kafka."""

    def __init__(self, directory: Path, app: str, bootstrap_servers: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.define(app)
        (directory / "headrace.toml").write_text(
            f'[profile.servers]\ntopics = "kafka://{bootstrap_servers}"\n'
        )

    def define(self, app: str) -> None:
        """Writes the app; what runs does not see it before it is started again."""
        (self.directory / FILE).write_text(app)

    def start(self, *words: object, kill_at: str = "") -> subprocess.Popen[str]:
        """Begins a command; it dies at the kill point named."""
        first, *rest = map(str, words)
        return subprocess.Popen(
            [HEADRACE, first, *rest, "--profile", "servers", "--data", "d"],
            cwd=self.directory,
            env=os.environ | {VARIABLE: kill_at},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def give(self, *words: object, code: int = 0, kill_at: str = "") -> str:
        """Runs a command to its end; what it said. It ends with `code`, and never with a trace."""
        child = self.start(*words, kill_at=kill_at)
        try:
            out, err = child.communicate(timeout=SECONDS_MAX)
        finally:
            child.kill()
        assert child.returncode == code, f"{words} ended with {child.returncode}: {out}{err}"
        assert "Traceback" not in err, err
        return out + err

    def catch_up(self, **options: Any) -> str:
        return self.give("run", FILE, "--until", "caught-up", **options)

    def verified(self) -> dict[str, Any]:
        """The rows of each output; `headrace verify` holds for all of them."""
        job = json.loads(self.give("verify", FILE, "--json"))["jobs"][0]
        assert all(c["compared"] for c in job["checked"]) and not job["undelivered"]
        return {c["name"]: c["rows"] for c in job["checked"]}

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return list(json.loads(self.give("query", FILE, sql, "--format", "json")))
