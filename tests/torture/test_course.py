"""A trial is run again by the line that its failure prints."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.torture.__main__ import parser
from tests.torture.course import Part, again
from tests.torture.kills.points import points
from tests.torture.parts import PARTS

_ROOT = Path(__file__).resolve().parents[2]
_TELLS = (
    "#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps(sys.argv[1:]), file=sys.stderr)\n"
)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_the_line_that_a_failure_prints_runs_that_trial(part: Part, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(_TELLS)
    python.chmod(0o755)
    # A Python that tells what it was called with, in the place of that of the environment.
    line = f"{again(7, part.name, 3)} READY= BIN={tmp_path}"
    made = subprocess.run(line, shell=True, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    module, *arguments = json.loads(made.stderr.splitlines()[-1])[1:]
    chosen = parser().parse_args(arguments)
    assert (module, chosen.part, chosen.trial, chosen.seed) == ("tests.torture", part.name, 3, 7)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_goals_are_what_its_trials_count(part: Part) -> None:
    """What nothing counts would be waited for until the time is over."""
    tests = [path.read_text(encoding="utf-8") for path in (_ROOT / "tests").rglob("*.py")]
    for goal in part.goals:
        if goal.startswith("at ") and "." in goal:
            assert goal.removeprefix("at ") in points()
        else:
            # Once among the goals and once where it is counted, or as a name that both have for it.
            named = re.compile(rf'"{goal}"|\b{goal}=')
            shared = re.compile(rf'^[A-Z_]+ = "{goal}"$', re.M)
            assert sum(len(named.findall(text)) for text in tests) > 1 or any(
                map(shared.search, tests)
            ), goal
