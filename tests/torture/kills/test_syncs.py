"""Files behave as always where calls pass by guards, and with one each call is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# In a process of its own: what is put in place stays there.
_SCRIPT = """
import io, json, sys
from pathlib import Path
from tests.torture.kills import syncs

def used(path, mode, options):
    path.unlink(missing_ok=True)
    if "x" not in mode:
        path.write_bytes(b"one\\r\\ntwo\\n")
    with (io.FileIO(path, mode) if options == "raw" else open(path, mode, **options)) as file:
        facts = [file.mode, str(file.name), file.readable(), file.writable(), file.seekable()]
        facts += [repr(getattr(file, name, None)) for name in ("encoding", "errors", "newlines")]
        if file.writable():
            facts.append(file.write("three\\nfour" if "encoding" in dir(file) else b"three\\nfour"))
            file.flush()
        if file.readable():
            file.seek(0)
            facts += [repr(file.read()), file.tell()]
    layers = type(file).__name__ if options != "raw" else isinstance(file, io.FileIO)
    return [file.closed, layers, *facts, path.read_bytes().decode()]

directory, cases = Path(sys.argv[1]), json.loads(sys.argv[2])
all_of = lambda: [used(directory / "file", *case) for case in cases]
plain = all_of()
syncs.install()
unguarded = all_of()
told = []
syncs.guard(lambda name, arguments: told.append(name))
print(json.dumps([plain, unguarded, all_of()]))
"""
_REFUSED = """
import errno, io, sys
from pathlib import Path
from tests.torture.kills import syncs

path, told = Path(sys.argv[1]) / "file", []

def guard(name, arguments):
    told.append(name)
    if name == sys.argv[2]:
        raise OSError(errno.EIO, "refused")

syncs.install()
syncs.guard(guard)
file = None
try:
    file = io.FileIO(path, "x") if sys.argv[3] == "raw" else open(path, sys.argv[3])
    file.write("text" if sys.argv[3] == "w" else b"bytes")
    file.close()
except OSError as error:
    told.append(error.strerror)
closed = file is None or file.closed or "not yet"
print(*told, closed, path.exists() and path.read_text())
"""
_MODES = ("r", "w", "x", "a", "r+", "w+", "x+", "a+")
_CASES: list[tuple[str, Any]] = [
    *((mode, {}) for mode in _MODES),
    *((f"{mode[0]}b{mode[1:]}", {}) for mode in _MODES),
    *((mode, {"encoding": "ascii", "newline": "", "errors": "replace"}) for mode in _MODES),
    *((f"{mode}b", {"buffering": 0}) for mode in _MODES),
    *((mode, {"buffering": 1}) for mode in _MODES),
    *((mode, "raw") for mode in _MODES),
]


def test_files_are_as_always(tmp_path: Path) -> None:
    plain, unguarded, guarded = json.loads(_said(_SCRIPT, tmp_path, json.dumps(_CASES)))
    for case, *found in zip(_CASES, plain, unguarded, guarded, strict=True):
        assert found == found[:1] * 3, case


@pytest.mark.parametrize("mode", ["w", "wb", "raw"])
@pytest.mark.parametrize(
    ("refused", "told"),
    [
        ("nothing", "open write close True {}"),
        ("open", "open refused True False"),
        ("close", "open write close refused True {}"),
    ],
)
def test_a_guard_is_told_of_each_call(mode: str, refused: str, told: str, tmp_path: Path) -> None:
    content = "text" if mode == "w" else "bytes"
    assert _said(_REFUSED, tmp_path, refused, mode).strip() == told.format(content)


def test_what_was_not_written_is_not_there(tmp_path: Path) -> None:
    for mode in ("w", "wb", "raw"):
        directory = tmp_path / mode
        directory.mkdir()
        words = _said(_REFUSED, directory, "write", mode).split()
        assert "refused" in words and (directory / "file").read_bytes() == b""


def _said(script: str, *arguments: object) -> str:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
