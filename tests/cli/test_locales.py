"""Text beyond ASCII in a command and in its result, whatever the machine's locale can write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NO_UTF8 = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the data of an activity app that has nothing read."""
    made = tmp_path_factory.mktemp("locales")
    assert headrace(made, "simulate", "activity", "--count", "0")[0] == 0
    return made


def headrace(place: Path, *words: str | bytes, **environment: str) -> tuple[int, bytes, bytes]:
    """Exit code, output and errors of a command where the locale is none of UTF-8."""
    done = subprocess.run(
        [sys.executable, "-m", "headrace.cli", *words],
        env=os.environ | NO_UTF8 | environment,
        cwd=place,
        capture_output=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_sql_is_read_as_utf8(place: Path) -> None:
    code, out, err = headrace(place, "query", "activity", "select 'ä' as \"日本\"", "--json")
    assert (code, out.decode()) == (0, '[\n{"日本":"ä"}\n]\n'), err


def test_a_result_is_written_in_utf8(place: Path) -> None:
    code, out, err = headrace(place, "plan", "activity")
    assert code == 0 and "├─ " in out.decode(), err
    ingest = ("ingest", "activity", "user_activity", "--profile-stages")
    (place / "ä.jsonl").write_text("{}\n")
    code, out, err = headrace(place, *ingest, "ä.jsonl")
    assert code == 0 and "µs/record" in out.decode() and "ä.jsonl" in out.decode(), err


def test_a_letter_that_the_output_lacks_is_no_bug(place: Path) -> None:
    code, out, err = headrace(place, "plan", "activity", PYTHONIOENCODING="latin-1")
    assert code == 0 and b"\\u2514" in out, err
    (place / os.fsdecode(b"\xe4.jsonl")).write_text("[]\n")
    ingest = ("ingest", "activity", "user_activity", b"\xe4.jsonl")
    utf8 = {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8:strict"}
    code, out, err = headrace(place, *ingest, **utf8)
    assert code == 0 and out.startswith(b"\xe4.jsonl (ndjson): 1 record added"), err


def test_a_reason_and_a_mapping_are_read_as_utf8(place: Path) -> None:
    code, _, err = headrace(place, "dead-letters", "show", "activity", "--reason", "ä")
    assert code == 0, err
    (place / "land.csv").write_text("land\nö\n", encoding="utf-8")
    mapped = ("ingest", "activity", "user_activity", "land.csv", "--map")
    code, out, err = headrace(place, *mapped, "user_id='ä' || land")
    assert code == 0 and b"1 record added" in out, err


@pytest.mark.parametrize("locale", ["POSIX", "C.UTF-8"])
@pytest.mark.parametrize(
    "words",
    [
        ("query", "activity", b"select '\xe4'"),
        ("dead-letters", "show", "activity", "--reason", b"\xe4"),
    ],
)
def test_bytes_that_are_no_text_are_refused(
    words: tuple[str | bytes, ...], locale: str, place: Path
) -> None:
    code, _, err = headrace(place, *words, LC_ALL=locale)
    assert code == 2 and b"is not written in UTF-8" in err, err


@pytest.mark.parametrize(("locale", "name"), [("POSIX", "dä".encode()), ("C.UTF-8", b"d\xe4")])
def test_a_data_directory_that_the_engine_cannot_be_told_is_refused(
    locale: str, name: bytes, place: Path
) -> None:
    for words in (["run", "--until", "caught-up"], ["status"], ["simulate", "--count", "1"]):
        code, _, err = headrace(
            place, words[0], "activity", *words[1:], "--data", name, LC_ALL=locale
        )
        assert code == 2 and b"LC_ALL=C.UTF-8" in err, err
    assert not (place / os.fsdecode(name)).exists()
    code, out, _ = headrace(place, "doctor", "--data", name, LC_ALL=locale)
    assert code == 5 and b"cannot be written as UTF-8" in out
    inside = place / "in" / os.fsdecode(name)
    inside.mkdir(parents=True)
    assert headrace(inside, "run", "activity", "--until", "caught-up", LC_ALL=locale)[0] == 2
    elsewhere = ("status", "activity", "--data", str(place / "headrace-data"))
    assert headrace(inside, *elsewhere, LC_ALL=locale)[0] == 0
