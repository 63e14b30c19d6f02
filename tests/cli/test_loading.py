"""APP on the command line: what it may be, and what a wrong one gets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.cli.loading import load_app
from headrace.values.errors import DefinitionError, UsageError

DEFINITION = """
from datetime import datetime
import headrace as hr

class E(hr.Event):
    t: datetime

app = hr.App("mine")
app.table("n", app.source(E, topic="e", time="t").tumble("1 minute").agg(n="count(*)"))
"""


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if "headrace" not in name:
            del sys.modules[name]


def write(name: str, text: str = DEFINITION) -> None:
    Path(name).write_text(text)


def test_a_built_in_name() -> None:
    assert load_app("activity").name == "activity"


@pytest.mark.parametrize(
    "name", ["mine_a.py", "./mine_a.py", "mine_a:app", "mine_a", "mine_a.py:app"]
)
def test_a_file_or_a_module(name: str) -> None:
    write("mine_a.py")
    assert load_app(name).name == "mine"


def test_a_file_that_was_changed_within_a_second_is_loaded_as_it_is_now() -> None:
    """Python's cache goes by size and second: `mind` and `mine` are one to it."""
    says = ["-c", "from headrace.cli.loading import load_app; print(load_app('mine_c.py').name)"]
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    for name in ("mine", "mind"):
        write("mine_c.py", DEFINITION.replace('"mine"', f'"{name}"'))
        os.utime("mine_c.py", (1e9, 1e9))
        told = subprocess.run(
            [sys.executable, *says], env=kept, capture_output=True, text=True, check=True
        )
        assert told.stdout == f"{name}\n"


@pytest.mark.parametrize("name", ["site", "site:app", "site.py", "json", "headrace.py"])
def test_a_file_comes_before_what_python_calls_so(name: str) -> None:
    stem = name.removesuffix(".py").removesuffix(":app")
    taken = sys.modules.get(stem)
    write(f"{stem}.py")
    app = load_app(name)
    assert app.name == "mine"
    assert sys.modules.get(stem) is taken
    assert [m for m in sys.modules.values() if getattr(m, "app", None) is app]


def test_a_module_beside_the_file_can_be_imported() -> None:
    Path("sub").mkdir()
    write("sub/beside_it.py", DEFINITION)
    write("sub/mine_b.py", "from beside_it import app")
    assert load_app("sub/mine_b.py").name == "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("activty", "no app called 'activty'\nDid you mean \"activity\""),
        ("mine_c.pi", "there is no module 'mine_c.pi'"),
        ("mine_cc.py", 'no file mine_cc.py\nDid you mean "mine_c.py"'),
        ("nowhere:app", "there is no module 'nowhere'"),
        ("mine_c:ap", "'ap' of mine_c does not exist\nDid you mean \"app\""),
        ("mine_c:E", "'E' of mine_c is not an app\nValid names: app."),
        ("none.py", "defines no app"),
        ("none", "none (it is none.py) defines no app"),
        ("email", "there is no app called 'email'"),
        ("email.mime", "email.mime (it is /"),
        ("folder.py", "folder.py is a directory\nName the file in it"),
        ("empty/shop.py", "no file empty/shop.py\nWrite one to begin with: headrace new NAME"),
        ("two.csv", 'two.csv is no Python file\nDid you mean "two.py"?'),
        ("./two.csv", "two.csv is no Python file\n"),
        ("two.csv:app", "two.csv is no Python file\n"),
        ("empty/rows", "no Python file\nName the app's: my_app.py.\nRows go in with: headrace "),
        ("rows", "\nRows go in with: headrace ingest my_app.py TOPIC rows"),
        ("two.py", "defines several apps\nChoose one: two.py:a or two.py:b"),
    ],
)
def test_a_wrong_name_gets_the_near_ones(name: str, message: str) -> None:
    write("mine_c.py")
    write("none.py", "x = 1\n")
    Path("folder.py").mkdir()
    Path("empty").mkdir()
    for rows in ("rows", "two.csv", "empty/rows"):
        write(rows, "a,b\n1,2\n")
    write("two.py", "import headrace as hr\na, b = hr.App('a'), hr.App('b')\n")
    with pytest.raises(UsageError) as refused:
        load_app(name)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("import headrace\nx = undefined_name\n", "NameError: name 'undefined_name'", 2),
        ("import headrace\n\ndef f(:\n", "SyntaxError: ", 3),
        ("import no_such_library\n", "ModuleNotFoundError: No module named 'no_such_library'", 1),
        ("def f():\n    return 1 / 0\n\nf()\n", "ZeroDivisionError: division by zero", 2),
        ("import json\njson.loads('{')\n", "JSONDecodeError", 2),
    ],
)
def test_an_error_in_the_file_shows_its_place(text: str, what: str, line: int) -> None:
    write("mine_d.py", text)
    with pytest.raises(DefinitionError) as refused:
        load_app("mine_d.py")
    assert what in str(refused.value)
    assert f"in mine_d.py:{line}" in str(refused.value)
    assert refused.value.expression == text.splitlines()[line - 1].strip()


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("import headrace\napp = headrace.App('a')\napp.tabel('t', None)\n", "table"),
        ("import headrace\napp = headrace.Ap('a')\n", "App"),
        ("import headrace\nheadrace.App('a').job('b').lakes\n", "lake"),
    ],
)
def test_a_name_that_ours_do_not_have_gets_the_near_one(text: str, near: str) -> None:
    write("mine_f.py", text)
    with pytest.raises(DefinitionError, match="has no attribute") as refused:
        load_app("mine_f.py")
    assert f'Did you mean "{near}"?' in str(refused.value.remedy)


def test_a_name_of_something_else_that_is_not_there_is_said_as_python_says_it() -> None:
    write("mine_g.py", "import sys\nsys.platfrom\n")
    with pytest.raises(DefinitionError, match="'platfrom'") as refused:
        load_app("mine_g.py")
    assert refused.value.remedy is None


def test_a_wrong_definition_names_its_line() -> None:
    write("mine_e.py", DEFINITION.replace('"1 minute"', '"1 munute"'))
    with pytest.raises(DefinitionError, match="munute") as refused:
        load_app("mine_e.py")
    assert refused.value.where == "mine_e.py:9"
