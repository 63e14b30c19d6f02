"""What a proof fixes: the moment, and what it has looked at there."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from headrace.storage.lake.reading import live_files

from .test_definitions import fill, holds
from .test_view_destinations import make


def test_a_file_of_a_lake_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lake of a source is read for its own sake, and for every view of the source."""
    app = make()
    fill(tmp_path, 3_000)
    app.run(until="caught-up", data=tmp_path)
    digest, read = hashlib.file_digest, Counter[str]()

    def counted(file: Any, *arguments: Any) -> Any:
        read[file.name] += 1
        return digest(file, *arguments)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    assert holds(app, tmp_path)
    lakes = [tmp_path / "lakes" / name for name in ("events", "final_counts", "final_gaps")]
    assert read == {str(path): 1 for lake in lakes for path in live_files(lake)}
    assert len(read) >= 2
    # The next one asks the disk anew.
    assert holds(app, tmp_path)
    assert set(read.values()) == {2}
