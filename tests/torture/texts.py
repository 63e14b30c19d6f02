"""Definitions mutated as text through `headrace check`: it says 0 or 2, in words, no more."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random

from headrace.cli.main import call
from headrace.plan.functions import ALLOWED
from tests.torture.course import Part
from tests.torture.originals import ROOT

_TEXTS = 60
_PROCESSES = 3
_SECONDS = 120
_TOKEN = re.compile(r'"""|"|\'|\w+|\s+|[^\w\s]')
_STRING = re.compile(r'"([^"\n]*)"')
_SQL_TOKEN = re.compile(r"'[^']*'|\w+|[<>=!]+|\S")
_EXTREMES = (
    *("0", "-1", "9223372036854775807", "170141183460469231731687303715884105727", "1e308"),
    *("'nan'::double", "'infinity'::timestamp", "null", "''", "chr(0)", "'\\x00'", "[]", "{}"),
    *("interval 1 month", "date '2024-02-29'", "'%'", "'('", "0.1::decimal(38, 38)", "1::bit"),
    *("try_cast('a' as uuid)", "[null]", "map([1], [2])", "{'a': 1}", "lambda x: x", "x -> x"),
    *("(select 1)", "*", "?", "$1", "#1", "default", "count(*)", "true", "'a' collate nocase"),
    *("processing_time()", "window_start", "_time", "é", '"', "'", "--", "/*", ";", "::bignum"),
)
_PYTHON = ("None", "0", "-1", "[]", "()", "{}", "lambda: 1", "...", "1e999", "b'x'", "object", "hr")
_BAD_WORDS = ("Traceback", "INTERNAL", "This is a bug", "FatalException", "site-packages")


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    """Mutates definitions; checks most in this process, some as a user would."""
    chance = Random(seed)
    fine = 0
    for number in range(_TEXTS):
        text = mutated(chance, chance.choice(definitions()))
        path = directory / f"mutated_{seed}_{number}.py"
        path.write_text(text, encoding="utf-8", errors="replace")
        code, said = _in_process(path) if number >= _PROCESSES else _in_own_process(path)
        good = code in (0, 2) and said.strip() and not any(word in said for word in _BAD_WORDS)
        assert good, f"exit code {code}\n{said}\n----\n{text}"
        fine += code == 0
    return {"texts checked": _TEXTS, "in their own process": _PROCESSES, "of them fine": fine}


@cache
def definitions() -> Sequence[str]:
    """The built-in app, the examples, and every page's code that makes an app."""
    files = [ROOT / "src" / "headrace" / "apps" / "activity.py", *(ROOT / "examples").glob("*.py")]
    found = [path.read_text(encoding="utf-8") for path in sorted(files)]
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
        found += [block for block in blocks if "hr.App(" in block]
    return tuple(found)


def mutated(chance: Random, text: str) -> str:
    """`text` with a few of its tokens or expressions changed."""
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        text = chance.choice((_token, _expression, _expression, _expression))(chance, text)
    return text


def _token(chance: Random, text: str) -> str:
    tokens = _TOKEN.findall(text)
    at = chance.randrange(len(tokens))
    tokens[at] = _changed(chance, tokens, at, _PYTHON)
    return "".join(tokens)


def _expression(chance: Random, text: str) -> str:
    """One string changed, most of which are SQL."""
    strings = list(_STRING.finditer(text))
    if not strings:
        return text
    chosen = chance.choice(strings)
    tokens = _SQL_TOKEN.findall(chosen[1])
    if not tokens or chance.random() < 0.3:
        made = _call(chance, tokens)
    else:
        at = chance.randrange(len(tokens))
        tokens[at] = _changed(chance, tokens, at, _EXTREMES)
        made = " ".join(tokens)
    return text[: chosen.start(1)] + made.replace('"', "'") + text[chosen.end(1) :]


def _changed(chance: Random, tokens: Sequence[str], at: int, pool: Sequence[str]) -> str:
    token = tokens[at]
    letter = chance.randrange(len(token))
    return chance.choice(
        (
            "",
            token + token,
            token + " " + token,
            chance.choice(tokens),
            chance.choice(pool),
            token[:letter] + token[letter + 1 :],
            token[:letter] + chance.choice("aZ_9'\\é\x00\t") + token[letter:],
            token.swapcase(),
        )
    )


def _call(chance: Random, tokens: Sequence[str]) -> str:
    """A function on what stands there and on extremes."""
    names = [t for t in tokens if t.isidentifier()] or ["1"]
    arguments = [
        chance.choice((chance.choice(names), chance.choice(_EXTREMES)))
        for _ in range(chance.randint(0, 4))
    ]
    return f"{chance.choice(sorted(ALLOWED))}({', '.join(arguments)})"


def _in_process(path: Path) -> tuple[int, str]:
    said = io.StringIO()
    before = list(sys.path)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = call(["check", str(path)])
    finally:
        sys.path[:] = before
        sys.modules.pop(path.stem, None)
    return code, said.getvalue()


def _in_own_process(path: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "headrace.cli", "check", str(path)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


TEXTS = Part(
    "texts",
    "Whatever a definition says, `headrace check` answers 0 or 2, in words: never a stack trace, "
    "an internal error or a hang.",
    trial,
    share=1.5,
    short=1,
    goals={"texts checked": 2_000, "in their own process": 120},
)
