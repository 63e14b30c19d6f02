"""Files and functions that fit on a few screens, names that say what is inside."""

from __future__ import annotations

import ast
import re
import subprocess

import pytest

from tests.house.sources import PACKAGE, ROOT, modules, tree

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 8
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "tools"}

# Signatures that mirror a command line, option by option, are as wide as the command is.
WIDE = {"headrace.cli"}


def functions(module: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [n for n in ast.walk(module) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]


def test_no_file_is_too_long() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in modules().values()
        if (lines := path.read_text(encoding="utf-8").count("\n")) > FILE_LINES_MAX
    }
    assert not long


def test_no_function_is_too_long_or_too_wide() -> None:
    wrong = []
    for module, path in modules().items():
        for function in functions(tree(path)):
            place = f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                wrong.append(f"{place}: {lines} lines")
            arguments = function.args
            count = len(arguments.posonlyargs + arguments.args + arguments.kwonlyargs)
            wide = any(module.startswith(name + ".") for name in WIDE)
            if count > PARAMETERS_MAX and not wide:
                wrong.append(f"{place}: {count} parameters")
    assert not wrong, "\n".join(wrong)


def test_names_say_what_is_inside() -> None:
    assert not [m for m in modules() if m.rsplit(".", 1)[-1] in SAYS_NOTHING]


def test_package_files_only_re_export() -> None:
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules().values()
        if path.name == "__init__.py"
        for node in tree(path).body
        if not isinstance(node, allowed)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]
    assert not wrong


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError")
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if marks.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_of_one_machine_is_in_the_tree() -> None:
    """No path of a home directory and no address of a package registry."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone: the list of files comes from git")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    marks = re.compile(r"/(home|Users)/[a-z]\w*/|(?<![\w.])/work/|index-url|extra-index|devpi")
    wrong = []
    for name in listed.stdout.split():
        path = ROOT / name
        if path == ROOT / "tests/house/test_sizes.py" or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if marks.search(line):
                wrong.append(f"{name}:{number}: {line.strip()[:100]}")
    assert not wrong, "\n".join(wrong)
