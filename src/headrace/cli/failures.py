"""How a command ends that did not do what it was asked: words, a remedy, an exit code."""

from __future__ import annotations

import json
import sys
import traceback

import typer

from headrace.cli.session import session
from headrace.ops.owner import HolderFailed
from headrace.values.errors import HeadraceError

BUG_EXIT_CODE = 70
INTERRUPTED_EXIT_CODE = 130


def report(error: BaseException) -> int:
    """Says on standard error what went wrong, and returns the exit code."""
    if isinstance(error, HeadraceError):
        _say(type(error).__name__, str(error), error.exit_code)
        if session.debug:
            traceback.print_exception(error)
        return error.exit_code
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    _say("Bug", f"{what}\nThis is a bug in Headrace, not in your app or your data.", BUG_EXIT_CODE)
    if session.debug:
        trace = error.trace if isinstance(error, HolderFailed) else traceback.format_exc()
        print(trace, file=sys.stderr)
    elif not session.as_json:
        print("Run the same command with --debug to see where it happened.", file=sys.stderr)
    return BUG_EXIT_CODE


def report_usage(error: typer.TyperException) -> int:
    """Says what Typer found wrong with the command line, and where help is."""
    context = getattr(error, "ctx", None)
    hint = f"\nTry '{context.command_path} --help'." if context is not None else ""
    _say("UsageError", error.format_message().replace("Value error, ", "") + hint, error.exit_code)
    return error.exit_code


def _say(kind: str, text: str, exit_code: int) -> None:
    if session.as_json:
        content = {"error": {"kind": kind, "text": text, "exit_code": exit_code}}
        print(json.dumps(content, ensure_ascii=False), file=sys.stderr)
    else:
        print(f"error: {text}", file=sys.stderr)
