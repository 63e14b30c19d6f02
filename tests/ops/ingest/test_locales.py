"""Text of any script is read alike, whatever the machine's locale can write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.storage.topics.log import LocalTopic
from tests.ops.ingest.topics import values

CHILD = """
import locale
import sys
from pathlib import Path
from headrace.ops.ingest.formats import Reading
from headrace.ops.ingest.ingest import ingest
from headrace.storage.topics.log import LocalTopic

assert chr(246).encode(locale.getpreferredencoding(False), "replace") == b"?"
topic = LocalTopic.ensure(Path(sys.argv[1]), "events", 1)
ingest(topic, [Path(sys.argv[2])], key=None, reading=Reading(expressions={"to": "upper(land)"}))
"""
NO_UTF8 = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sales.csv", "id,land\n1,österreich\n2,日本\n"),
        ("sales.ndjson", '{"id":"1","land":"österreich"}\n{"id":"2","land":"日本"}\n'),
    ],
)
def test_a_locale_without_utf8_reads_what_is_utf8(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "topics"), str(file)],
        env=os.environ | NO_UTF8,
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    found = values(LocalTopic.ensure(tmp_path / "topics", "events", 1))
    assert [json.loads(value)["to"] for value in found] == ["ÖSTERREICH", "日本"]
