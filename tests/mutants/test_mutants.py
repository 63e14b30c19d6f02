"""Every mutant still changes what it says: a stale one would seem to be caught."""

from __future__ import annotations

import pytest

from tests.mutants.mutants import MUTANTS, PACKAGE, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_it_applies(mutant: Mutant) -> None:
    text = (PACKAGE / "headrace" / mutant.path).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1
    compile(text.replace(mutant.old, mutant.new), mutant.path, "exec")
