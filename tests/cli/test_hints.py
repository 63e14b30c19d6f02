"""The commands that messages name can be typed as they stand: with the APP and options given."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from headrace.cli.failures import report
from headrace.cli.main import call
from headrace.cli.session import session
from headrace.values.errors import StateRefused

WITHOUT_GENERATOR = """
from datetime import datetime
import headrace as hr

class E(hr.Event):
    t: datetime

app = hr.App("mine")
app.table("n", app.source(E, topic="e", time="t").tumble("1 minute").agg(n="count(*)"))
"""


def commands(text: str) -> list[list[str]]:
    """The command lines at the end of the lines of `text`, in words."""
    found = [line[line.index("headrace ") :] for line in text.splitlines() if "headrace " in line]
    return [shlex.split(line)[1:] for line in found]


def test_what_a_reset_and_a_seek_name_goes_on_with_the_same_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    at = ["--data", "my data"]
    assert call(["simulate", "activity", "--count", "100", *at]) == 0
    assert call(["run", "activity", "--until", "caught-up", *at]) == 0
    moves = (["reset"], ["seek", "--from", "latest"])
    for words in moves:
        capfd.readouterr()
        assert call(["state", words[0], "activity", *words[1:], "--yes", *at]) == 0
        [named] = commands(capfd.readouterr().out)
        assert named == ["run", "activity", *at]
        assert call([*named, "--until", "caught-up"]) == 0
    assert not Path("headrace-data").exists()


def test_an_error_names_the_app_as_it_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_app.py").write_text(WITHOUT_GENERATOR)
    assert call(["simulate", "my_app.py", "--data", "d"]) == 2
    assert commands(capfd.readouterr().err) == [
        ["ingest", "my_app.py", "--data", "d", "TOPIC", "FILE"]
    ]
    assert call(["status", "my_app.py", "--data", "no", "--job", "mine", "--json"]) == 2
    assert "headrace run my_app.py --data no --job mine" in capfd.readouterr().err
    assert call(["status", "my_app.py"]) == 2
    assert commands(capfd.readouterr().err) == [["run", "my_app.py"]]


def test_each_command_of_a_text_gets_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    session.begin()
    session.app = "my app.py"
    for option, value in (("--job", "j"), ("--profile", "p"), ("--data", "d")):
        session.give(option, value)
    remedy = (
        "Look: headrace doctor APP\n"
        "Or build it (headrace state rebuild APP): the APP headrace run APP --rebuild"
    )
    assert report(StateRefused("w", remedy=remedy)) == 5
    assert capsys.readouterr().err == (
        "error: w\n"
        "Look: headrace doctor 'my app.py' --profile p --data d\n"
        "Or build it (headrace state rebuild 'my app.py' --job j --profile p --data d): "
        "the APP headrace run 'my app.py' --job j --profile p --data d --rebuild\n"
    )
    session.begin()
    report(StateRefused("w", remedy=remedy))
    assert remedy in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    ["run activity --until caught-up", "simulate activity", "status activity", "state activity"],
)
def test_a_file_is_no_data_directory(
    words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "access.log.gz"
    file.touch()
    assert call([*words.split(), "--data", str(file)]) == 2
    said = capfd.readouterr().err
    assert f"error: {file} is a file, not a directory\n" in said and "--data DIR" in said
