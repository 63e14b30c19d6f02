"""`run --simulate` and `simulate` with an app's own generator that fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

APP = """
from datetime import datetime
import numpy as np
import pyarrow as pa
import headrace as hr
from headrace.ops.ingest.generator import SimulatedBatch

class Ping(hr.Event):
    t: datetime

class Dice:
    topic = "{topic}"

    def __init__(self, simulation, partitions):
        {made}
        self.at_us = simulation.start_us

    def batches(self):
        for number in range(3):
            if number == 2:
                {given}
            values = pa.array([b'{{"t": "2026-01-05T10:00:00Z"}}'] * 5, pa.binary())
            yield SimulatedBatch(values, pa.nulls(5, pa.binary()), np.full(5, self.at_us), range(5))

    def wrote(self, batch):
        {wrote}

    def outcome(self):
        {said}
        return {{}}

app = hr.App("mine")
app.table("n", app.source(Ping, topic="pings", time="t").tumble("1 minute").agg(n="count(*)"))
app.generator = Dice
"""
FAILS = 'raise ValueError("no dice")'


def write(directory: Path, topic: str = "pings", **places: str) -> None:
    lines = dict.fromkeys(("made", "given", "wrote", "said"), "pass") | places
    (directory / "my_app.py").write_text(APP.format(topic=topic, **lines))


def headrace(directory: Path, *words: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "headrace.cli", *words, "--data", "d"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("place", ["made", "given", "wrote"])
@pytest.mark.parametrize("command", ["run my_app.py --simulate 100", "simulate my_app.py"])
def test_a_generator_that_fails_ends_it_with_its_place(
    tmp_path: Path, place: str, command: str
) -> None:
    write(tmp_path, **{place: FAILS})
    code, out, err = headrace(tmp_path, *command.split())
    assert (code, out) == (2, "")
    line = (tmp_path / "my_app.py").read_text().split(FAILS)[0].count("\n") + 1
    said = (
        "error: The generator of topic pings failed: ValueError: no dice\n"
        f"  {FAILS}\n  in my_app.py:{line}\n"
    )
    assert err.endswith(said) and "bug" not in err
    if place == "given":
        # What it gave before is there like any other.
        assert headrace(tmp_path, "run", "my_app.py", "--until", "caught-up")[0] == 0
        asked = headrace(tmp_path, "query", "my_app.py", "select n from n", "--json")[1]
        assert json.loads(asked) == [{"n": 10}]


def test_what_must_come_of_it_may_fail_too(tmp_path: Path) -> None:
    write(tmp_path, said=FAILS)
    code, _, err = headrace(tmp_path, "simulate", "my_app.py", "--count", "10")
    assert (code, "topic pings failed: ValueError: no dice" in err) == (2, True)


@pytest.mark.parametrize("command", ["run my_app.py --simulate 100", "simulate my_app.py"])
def test_a_generator_of_a_topic_that_nobody_reads_is_refused_first(
    tmp_path: Path, command: str
) -> None:
    write(tmp_path, topic="pinks")
    code, out, err = headrace(tmp_path, *command.split())
    assert (code, out, (tmp_path / "d").exists()) == (2, "", False)
    said = "error: mine has no source that reads topic 'pinks'\nDid you mean \"pings\"?"
    assert err.startswith(said)
    text = (tmp_path / "my_app.py").read_text().replace("topic = ", "other = ")
    (tmp_path / "my_app.py").write_text(text)
    code, _, err = headrace(tmp_path, *command.split())
    assert code == 2 and "does not say which topic it writes" in err
