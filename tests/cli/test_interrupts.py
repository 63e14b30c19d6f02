"""Ctrl-C before anything runs, and a second time."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import rest_of

WHILE_LOADING = """
import os, signal, sys
from headrace.cli.entry import main

# Whoever is started in the background of a shell ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)


sys.meta_path.insert(0, Interrupted())
main()
"""


@pytest.mark.parametrize("module", ["typer", "headrace.cli.commands.run", "duckdb"])
def test_a_call_that_is_still_loading_ends_without_a_word(module: str, tmp_path: Path) -> None:
    program = WHILE_LOADING.replace("{module}", module)
    words = ["run", "activity", "--until", "caught-up", "--data", str(tmp_path / "d")]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert not (tmp_path / "d").exists()


TWICE = """
import os, signal, time
from rich.console import Console
from rich.live import Live
from headrace.cli.interrupts import stop_on_signals

with stop_on_signals(), Live("shown", console=Console(stderr=True, force_terminal=True)):
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
"""


def test_the_second_time_gives_the_cursor_back() -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", TWICE])
    shown = rest_of(terminal)
    _, code = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(code) == 130, shown
    assert 0 <= shown.rfind(b"\x1b[?25l") < shown.rfind(b"\x1b[?25h"), shown
