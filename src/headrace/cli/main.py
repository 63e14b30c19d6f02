"""The command line: how a call begins and ends."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
import threading
from typing import Annotated

import typer

from headrace.cli.failures import report, report_usage
from headrace.cli.groups import AllCommands
from headrace.cli.interrupts import INTERRUPTED_EXIT_CODE
from headrace.cli.session import session
from headrace.values.version import __version__

cli = typer.Typer(
    name="headrace",
    cls=AllCommands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\n"
    "Exit codes: 0 it holds; 1 a difference was found; 2 usage or definition; 3 a whole input\n"
    "refused; 4 a system cannot be reached; 5 state or topic refused; 70 a bug in Headrace;\n"
    "130 interrupted.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"headrace {__version__}")
        raise typer.Exit


@cli.callback()
def _headrace(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Streaming analytics from one definition: live, as a batch, and proved."""


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        _take_any_letter(sys.stdout)
    code = call(sys.argv[1:])
    if any(t.daemon and t is not threading.current_thread() for t in threading.enumerate()):
        # A delivery that was never answered: nothing of it is to be waited for, or cleaned up.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _take_any_letter(output: io.TextIOWrapper) -> None:
    """Lets results hold what the locale has no letters for; names of files stay as they are."""
    if codecs.lookup(output.encoding).name in ("ascii", "utf-8"):
        output.reconfigure(encoding="utf-8", errors="surrogateescape")
    else:
        output.reconfigure(errors="backslashreplace")


def call(arguments: list[str]) -> int:
    """Runs one command line; returns the exit code."""
    session.begin()
    try:
        code = cli(arguments or ["--help"], prog_name="headrace", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except typer.TyperException as error:
        return report_usage(error)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED_EXIT_CODE
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):
            return _reader_left()
        raise
    except Exception as error:
        return report(error)


def _reader_left() -> int:
    """Whoever read our output has seen enough (`| head`): that is no error."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
