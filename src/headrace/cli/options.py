"""Arguments and options that several commands share, each written once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.session import session
from headrace.values.errors import UsageError


def _set_json(value: bool) -> bool:
    session.as_json = value
    return value


def _set_debug(value: bool) -> bool:
    session.debug = value
    return value


def as_text(value: str) -> str:
    """`value` in UTF-8 whatever the locale; names of files stay as the system has them."""
    try:
        value.encode()
        return value
    except UnicodeEncodeError:
        typed = os.fsencode(value)
    try:
        return typed.decode()
    except UnicodeDecodeError:
        raise UsageError(
            f"{value!r} is not written in UTF-8",
            remedy="Write it in UTF-8, or a letter by its number: chr(228).",
        ) from None


def set_app(value: str | None) -> str | None:
    """Keeps APP as it was typed, for the commands that a message names."""
    session.app = value
    return value


def _set_data(value: Path | None) -> Path | None:
    session.give("--data", value)
    return value


def _set_profile(value: str | None) -> str | None:
    session.give("--profile", value)
    return value


def _set_job(value: str | None) -> str | None:
    session.give("--job", value)
    return value


AppName = Annotated[
    str,
    typer.Argument(
        metavar="APP",
        help="A built-in name (activity), a file (my_app.py) or module:attribute.",
        show_default=False,
        callback=set_app,
    ),
]
DataDirectory = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Where everything embedded lives.  [env: HEADRACE_DATA, default: headrace-data]",
        show_default=False,
        callback=_set_data,
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Settings from [profile.NAME] of ./headrace.toml.",
        show_default=False,
        callback=_set_profile,
    ),
]
CreateTopics = Annotated[
    bool,
    typer.Option("--create-topics", help="Make the topics that are missing, as declared."),
]
JobName = Annotated[
    str | None,
    typer.Option(
        "--job",
        metavar="NAME",
        help="Only this job of the app.",
        show_default=False,
        callback=_set_job,
    ),
]
OneJob = Annotated[
    str | None,
    typer.Option(
        "--job",
        metavar="NAME",
        help="The job; to be named where the app has several.",
        show_default=False,
        callback=_set_job,
    ),
]
ProfileStages = Annotated[
    bool,
    typer.Option("--profile-stages", help="Say at the end where the time went, by stage."),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON.", callback=_set_json),
]
Debug = Annotated[
    bool,
    typer.Option("--debug", help="Log in detail, and show stack traces.", callback=_set_debug),
]
Yes = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Do it without asking."),
]


def check_json(format: str | None, as_json: bool) -> None:
    """UsageError where --format and --json, which is --format json, contradict each other."""
    if as_json and format not in (None, "json"):
        raise UsageError(
            f"--json is --format json, and --format {format} says something else",
            remedy=f"Give --json or --format {format}, not both.",
        )


def examples(*lines: str) -> str:
    """The examples at the end of a command's help, line by line as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
