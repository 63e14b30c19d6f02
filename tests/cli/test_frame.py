"""How calls end: exit codes, words on standard error, closed pipes, help."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import headrace as headrace_module
from headrace.cli.commands import settings as settings_command
from headrace.cli.failures import report
from headrace.cli.main import call, cli
from headrace.cli.session import session
from headrace.ops.ingest.report import IngestRefused, IngestReport
from headrace.ops.owner.lock import Held
from headrace.ops.owner.wire import error_content
from headrace.storage.kafka.problems import RowsRefused, TopicMissing
from headrace.storage.topics.recovery import MadeAgain
from headrace.values import errors


def headrace(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headrace.cli", *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HEADRACE_")}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


def commands() -> dict[str, typer.core.TyperGroup]:
    """Every command by its words, those of groups too."""
    found = {}

    def walk(group: typer.core.TyperGroup, words: str) -> None:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                walk(command, f"{words}{name} ")
            else:
                found[words + name] = command

    walk(typer.main.get_command(cli), "")
    return found


@pytest.mark.parametrize("words", commands())
def test_every_command_has_help_with_examples(words: str, capsys) -> None:
    assert call([*words.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"\n    headrace {words}" in shown.split("Examples:")[1]
    assert "--json" in shown and "--debug" in shown


@pytest.mark.parametrize("words", ["state rebuild", "state seek", "state reset"])
def test_what_a_running_job_refuses_says_so(words: str, capsys) -> None:
    assert call([*words.split(), "--help"]) == 0
    assert "The job must not run: stop it first." in " ".join(capsys.readouterr().out.split())


def test_no_argument_shows_help(capsys) -> None:
    assert call([]) == 0
    assert "Exit codes:" in capsys.readouterr().out


@pytest.mark.parametrize("words", ["", "run", "state seek"])
def test_help_is_a_word_too(words: str, capsys) -> None:
    assert call([*words.split(), "--help"]) == 0
    asked = capsys.readouterr().out
    assert call(["help", *words.split()]) == 0
    assert capsys.readouterr().out == asked


@pytest.mark.parametrize("module", ["headrace", "headrace.cli"])
def test_the_package_is_a_command_too(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True)
    assert (done.returncode, done.stdout.split()[0]) == (0, b"headrace"), done.stderr


def test_a_wrong_command_line_ends_with_2(capsys) -> None:
    assert call(["setings"]) == 2
    assert "error: No such command 'setings'. Did you mean 'settings'" in capsys.readouterr().err
    assert call(["settings", "--sjon"]) == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run activity --simulate abc", "'--simulate': 'abc' is not a number"),
        ("simulate activity --count 1.5", "'--count': '1.5' is not a whole number"),
        ("simulate activity --start tomorrow", "'--start': 'tomorrow' is not a time like 2026-"),
        ("recompute activity --from yesterday", "'--from': 'yesterday' is not a time like 2026-"),
        ("dead-letters show activity --limit 0", "'--limit': '0' is less than 1"),
    ],
)
def test_a_value_that_does_not_fit_is_named(line: str, said: str, capsys) -> None:
    assert call(line.split()) == 2
    assert f"error: Invalid value for {said}" in capsys.readouterr().err


def test_a_call_is_told_nothing_by_the_one_before(capsys) -> None:
    assert call(["settings", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert call(["setings"]) == 2
    assert "Did you mean 'settings'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        errors.DifferenceFound("w", remedy="r"),
        errors.DefinitionError("w", remedy="r"),
        errors.InputRefused("w", remedy="r"),
        errors.DestinationDown("w", remedy="r"),
        errors.TopicRefused("w", remedy="r"),
        errors.Busy("w", remedy="r"),
    ],
)
def test_errors_become_words_and_exit_codes(error, capsys, monkeypatch) -> None:
    fail_with(error, monkeypatch)
    assert call(["settings"]) == error.exit_code
    assert capsys.readouterr().err == "error: w\nr\n"
    assert call(["settings", "--json"]) == error.exit_code
    told = json.loads(capsys.readouterr().err)["error"]
    assert told == {"kind": type(error).__name__, "text": "w\nr", "exit_code": error.exit_code}
    assert call(["settings", "--debug"]) == error.exit_code
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Held(Path("jobs/activity"), None, "r"), "Busy"),
        (IngestRefused(IngestReport("orders", (), 0.0)), "InputRefused"),
        (MadeAgain("w"), "TopicRefused"),
        (TopicMissing("w"), "TopicRefused"),
        (RowsRefused("w"), "TopicRefused"),
    ],
)
def test_an_error_goes_by_a_name_that_can_be_caught(error, kind, capsys, monkeypatch) -> None:
    """Whether this process met it or the one that was asked over its socket."""
    fail_with(error, monkeypatch)
    call(["settings", "--json"])
    assert json.loads(capsys.readouterr().err)["error"]["kind"] == kind
    assert error_content(error, "")["class"] == kind
    assert isinstance(error, getattr(headrace_module, kind))


def test_the_unexpected_is_called_a_bug(capsys, monkeypatch) -> None:
    fail_with(ZeroDivisionError("oh"), monkeypatch)
    assert call(["settings"]) == 70
    told = capsys.readouterr().err
    assert told.startswith("error: ZeroDivisionError: oh\nThis is a bug in Headrace")
    assert "--debug" in told and "Traceback" not in told
    assert call(["settings", "--debug"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_ends_with_130(monkeypatch) -> None:
    fail_with(KeyboardInterrupt(), monkeypatch)
    assert call(["settings"]) == 130


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: object) -> None:
        raise error

    monkeypatch.setattr(settings_command, "explain_settings", fails)


def test_a_reader_that_left_is_no_error() -> None:
    pipe = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-m', 'headrace.cli', "
    pipe += "'settings', '--json'], stdout=subprocess.PIPE, stderr=subprocess.PIPE); "
    pipe += "p.stdout.close(); e = p.stderr.read(); sys.exit(p.wait() or bool(e))"
    assert subprocess.run([sys.executable, "-c", pipe]).returncode == 0


def test_completion_knows_the_commands() -> None:
    environment = {
        **os.environ,
        "_HEADRACE_COMPLETE": "complete_bash",
        "COMP_WORDS": "headrace set",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "headrace.cli"], capture_output=True, text=True, env=environment
    )
    assert "settings" in done.stdout


def test_settings_says_where_a_value_comes_from(tmp_path: Path) -> None:
    done = headrace("settings", "--data", "there", "--json", cwd=tmp_path)
    row = next(r for r in json.loads(done.stdout) if r["name"] == "data")
    assert (row["value"], row["source"]) == ("there", "option")


@pytest.mark.parametrize(
    "number",
    [
        *(errno.EMFILE, errno.EACCES, errno.EIO, errno.ENOSPC),
        *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
    ],
)
def test_what_the_system_refuses_is_no_bug(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    session.begin()
    assert report(OSError(number, os.strerror(number), "/data/file")) == 5
    said = capsys.readouterr().err
    assert f"/data/file: {os.strerror(number)}" in said and "bug" not in said
    assert len(said.splitlines()) == 2


@pytest.mark.parametrize(
    "words",
    [
        "run LONG",
        "run LONG.py",
        "run ./LONG/app.py",
        "check LONG:app",
        "run activity --data LONG",
        "status activity --data LONG",
        "state reset activity --yes --data LONG",
        "simulate activity --count 1 --data LONG",
        "ingest activity user_activity LONG --data .",
        "doctor --data LONG",
    ],
)
def test_a_name_that_is_too_long_is_no_bug(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(words.replace("LONG", "x" * 300).split()) == 5
    said = "".join(capfd.readouterr())
    assert os.strerror(errno.ENAMETOOLONG) in said and "bug" not in said


def test_a_file_that_should_be_there_is_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(FileNotFoundError(errno.ENOENT, "gone", "/data/file")) == 70
    assert "bug in Headrace" in capsys.readouterr().err
