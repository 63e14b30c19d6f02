"""Every mutant still changes what it says: a stale one would seem to be caught."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import tests.mutants.__main__ as running
from tests.mutants.mutants import MUTANTS, PACKAGE, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_it_applies(mutant: Mutant) -> None:
    text = (PACKAGE / "headrace" / mutant.path).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1
    compile(text.replace(mutant.old, mutant.new), mutant.path, "exec")


def test_nothing_is_caught_by_what_fails_anyway(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[Mutant | None] = []

    def fails(mutant: Mutant | None, tests: Sequence[str]) -> str:
        tried.append(mutant)
        return "tests/a_test.py::test_it"

    monkeypatch.setattr(running, "first_failure", fails)
    page = running.PAGE.read_bytes()
    assert running.main([]) == 2
    assert tried == [None]
    assert running.PAGE.read_bytes() == page
    assert (
        "nothing is broken, and yet it fails: tests/a_test.py::test_it" in capsys.readouterr().err
    )


def test_a_name_that_no_mutant_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "first_failure", lambda *_: None)
    assert running.main(["what nobody broke"]) == 2
