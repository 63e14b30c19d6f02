"""How a command ends that did not do what it was asked: words, a remedy, an exit code."""

from __future__ import annotations

import errno
import json
import sys
import traceback

import typer

from headrace.cli.session import session
from headrace.ops.owner import HolderFailed
from headrace.values.errors import DiskRefused, HeadraceError, public_name
from headrace.values.unfit import unfit

BUG_EXIT_CODE = 70
_ROOM, _RIGHT = "Free some space, then run again.", "Give this user the right to use it."
_FILES = "Raise the limit of open files (ulimit -n), then run again."
_OTHER = "Choose another path, or move away what is there."
_OF_THE_SYSTEM = {
    errno.EIO: "Check the disk, then run again.",
    errno.EROFS: "Mount it for writing, or move the data.",
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _ROOM),
    **dict.fromkeys((errno.EACCES, errno.EPERM), _RIGHT),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), _FILES),
    errno.ENAMETOOLONG: "Choose a shorter name.",
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.ELOOP), _OTHER),
}
"""What the system may refuse anywhere, without anybody's bug, and the way on."""


def report(error: BaseException) -> int:
    """Says on standard error what went wrong, and returns the exit code."""
    if isinstance(error, HeadraceError):
        _say(public_name(error), str(error), error.exit_code)
        if session.debug:
            traceback.print_exception(error)
        return error.exit_code
    if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM and error.filename:
        said = f"Cannot use {error.filename}: {error.strerror}\n{_OF_THE_SYSTEM[error.errno]}"
        _say(DiskRefused.__name__, said, DiskRefused.exit_code)
        if session.debug:
            traceback.print_exception(error)
        return DiskRefused.exit_code
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
    refused = getattr(error.__cause__, "errors", None)
    if refused is not None and (words := unfit(refused()[0])) is not None:
        error.message = f"{refused()[0]['input']!r} is {words}"
    _say("UsageError", error.format_message().replace("Value error, ", "") + hint, error.exit_code)
    return error.exit_code


def _say(kind: str, text: str, exit_code: int) -> None:
    text = session.as_typed(text)
    if session.as_json:
        content = {"error": {"kind": kind, "text": text, "exit_code": exit_code}}
        print(json.dumps(content, ensure_ascii=False), file=sys.stderr)
    else:
        print(f"error: {text}", file=sys.stderr)
