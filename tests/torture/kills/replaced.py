"""Files of lakes that compaction has put together, until clean-up takes them."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote


def replaced(data: Path) -> set[Path]:
    """Those that are there still."""
    found = set()
    for path in data.glob("lakes/*/_delta_log/*.json"):
        for line in path.read_bytes().splitlines():
            # A power cut tears the newest commit.
            with suppress(ValueError):
                if removed := json.loads(line).get("remove"):
                    found.add(path.parents[1] / unquote(removed["path"]))
    return {path for path in found if path.exists()}


def outlast(data: Path, seconds: int) -> None:
    """Waits until everything in the lakes is older than that."""
    files = (path for path in data.glob("lakes/**/*") if path.is_file())
    newest = max((path.stat().st_mtime for path in files), default=0.0)
    time.sleep(max(0.0, newest + seconds + 0.05 - time.time()))
