"""A named point is one place of the package: a kill there says where it was."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.mutants.mutants import PACKAGE
from tests.torture.kills.points import ELSEWHERE, embedded, points, served


def test_each_name_is_one_place() -> None:
    places = defaultdict(list)
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "reach":
                [name] = node.args
                assert isinstance(name, ast.Constant), f"{path}: a name that is not there to read"
                places[name.value].append(f"{path.name}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
    assert sorted(places) == list(points()) == sorted((*embedded(), *served(), *ELSEWHERE))


def test_what_no_trial_reaches_has_a_test_of_its_own() -> None:
    for name, test in ELSEWHERE.items():
        assert f'"{name}"' in (PACKAGE.parent / test).read_text(encoding="utf-8")
