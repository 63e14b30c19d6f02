"""Every refusal, word by word: `refusals.txt` holds what users read.

Written anew with HEADRACE_GOLDEN=write; what changed is then seen in the diff.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from headrace.language import Definition
from headrace.plan.build import build
from headrace.values.errors import DefinitionError
from tests.plan.refusals import CASES, Case

GOLDEN = Path(__file__).with_name("refusals.txt")
PLACE = re.compile(r"[^\s,]*[\w]+\.py:\d+")


def refusal(case: Case) -> str:
    with pytest.raises(DefinitionError) as caught:
        made = case()
        build(made if isinstance(made, Definition) else Definition("empty"))
    return PLACE.sub("app.py:1", str(caught.value))


def test_every_refusal_says_what_it_always_said() -> None:
    said = [
        f"## {group}: {name}\n{refusal(case)}\n"
        for group, cases in CASES.items()
        for name, case in cases.items()
    ]
    text = "\n".join(said)
    if os.environ.get("HEADRACE_GOLDEN") == "write":
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("group", CASES)
def test_refusals_name_the_place_of_the_call(group: str) -> None:
    for name, case in CASES[group].items():
        if name in ("nothing at all", "no destination"):
            continue
        with pytest.raises(DefinitionError) as caught:
            made = case()
            assert isinstance(made, Definition)
            build(made)
        assert caught.value.where is not None, name
        assert "refusals.py" in caught.value.where or "samples.py" in caught.value.where, name
