"""`headrace doctor`: how the machine and every bound system are, and what mends them."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from headrace.cli.loading import load_app
from headrace.cli.options import DataDirectory, Debug, Json, Profile, examples, set_app
from headrace.cli.session import session
from headrace.cli.tables import plural
from headrace.ops.doctor import examine
from headrace.storage.contract import Finding
from headrace.values.errors import StateRefused, Unreachable
from headrace.values.settings import load_settings

EXAMPLES = examples(
    "headrace doctor",
    "headrace doctor activity --profile production",
    "headrace doctor my_app.py --json",
)
_LEVELS = ("error", "warning", "ok")
_LEVEL_WIDTH = max(map(len, _LEVELS)) + 2
_SUBJECT_WIDTH_MAX = 24
_WIDTH_MIN, _WIDTH_MAX = 60, 100


def command(
    app: Annotated[
        str | None,
        typer.Argument(
            metavar="APP",
            help="Also what this app needs; without it the machine and the systems alone.",
            show_default=False,
            callback=set_app,
        ),
    ] = None,
    profile: Profile = None,
    data: DataDirectory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Looks at the machine and every bound system, says what is wrong and what mends it.

    Changes nothing. Exit 0 when nothing is an error, 4 when a system cannot be reached, else 5.
    """
    plan = None if app is None else load_app(app).plan
    found = examine(load_settings(profile=profile, overrides={"data": data}), plan)
    found = [
        f if f.remedy is None else replace(f, remedy=session.as_typed(f.remedy)) for f in found
    ]
    wrong = [f for f in found if f.level == "error"]
    document = {
        "app": None if plan is None else plan.app,
        "holds": not wrong,
        "findings": [
            {"level": f.level, "subject": f.subject, "text": f.text, "remedy": f.remedy}
            for f in found
        ],
    }
    columns = shutil.get_terminal_size((80, 24)).columns
    session.show(document, findings_text(found, min(_WIDTH_MAX, max(_WIDTH_MIN, columns))))
    if wrong:
        silent = any(f.unreachable for f in wrong)
        raise typer.Exit(Unreachable.exit_code if silent else StateRefused.exit_code)


def findings_text(found: Sequence[Finding], width: int) -> str:
    """A line for each finding, wrapped at `width`; what mends it stands below it, whole."""
    short = [len(f.subject) for f in found if len(f.subject) <= _SUBJECT_WIDTH_MAX]
    margin = _LEVEL_WIDTH + max(short, default=0) + 2
    lines = [line for f in found for line in _lines(f, margin, width)]
    counts = [
        plural(number, level)
        for level in ("error", "warning")
        if (number := sum(f.level == level for f in found))
    ]
    return "\n".join([*lines, "", ", ".join(counts) if counts else "all is well"])


def _lines(found: Finding, margin: int, width: int) -> list[str]:
    begin = f"{found.level:<{_LEVEL_WIDTH}}{found.subject}"
    tight = max(map(len, found.text.split()), default=0) > width - margin
    if tight:
        # An address cannot be broken: it gets more room.
        margin = _LEVEL_WIDTH
    text = _wrapped(found.text, margin, width)
    if tight or len(begin) + 2 > margin:
        lines = [begin, *text]
    else:
        lines = [begin.ljust(margin) + text[0].lstrip(), *text[1:]]
    for part in _parts(found.remedy or ""):
        # A sentence may be broken; a command must stay as it is to be copied.
        whole = not part[:1].isupper()
        lines += [" " * margin + part] if whole else _wrapped(part, margin, width)
    return lines


def _parts(remedy: str) -> list[str]:
    """A sentence and the command that it ends with, each for a line of its own."""
    words, colon, rest = remedy.partition(": ")
    if colon and words[:1].isupper() and rest[:1].islower():
        return [words + ":", rest]
    return [line for line in remedy.splitlines() if line.strip()]


def _wrapped(text: str, margin: int, width: int) -> list[str]:
    space = " " * margin
    return textwrap.wrap(
        text,
        width,
        initial_indent=space,
        subsequent_indent=space,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [space]
