"""Groups of commands: the whole command line, loaded as it is used, and `state`, `dead-letters`.

`headrace --help` must not wait for engines to load, so each command's module is imported when
the command is called; the list of commands has their names and a line of help beforehand.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator, MutableMapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from headrace.cli.interrupts import ending_at_once

DEFAULT = "list"

# Name and one line of help; the module is commands/<name>.py.
COMMANDS = {
    "run": "Runs an app live, until Ctrl-C or until it has caught up.",
    "ingest": "Appends files to a topic, each line or row once.",
    "simulate": "Writes made-up records into the app's topic.",
    "query": "Answers SQL over views, lakes, topics, dead letters and sums.",
    "plan": "Shows the plan of an app: sources, steps, views, destinations.",
    "check": "Binds and types every expression of an app; runs nothing.",
    "recompute": "Recomputes closed windows from all events, late ones too.",
    "verify": "Proves that what is served is what the log says.",
    "state": "What a job keeps: list, inspect, rebuild, seek, reset, forget-reader.",
    "dead-letters": "Records that were not accepted: list, show, replay.",
    "status": "Says how far each job is.",
    "doctor": "Looks at the machine and every system, and says what mends them.",
    "settings": "Shows every setting, its value and where that comes from.",
    "new": "Writes a small app with sample data and a test.",
}


class LoadedAsUsed(MutableMapping[str, Any]):
    """Commands by name; the module of one is imported when it is asked for."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            if name not in COMMANDS:
                raise KeyError(name)
            self._loaded[name] = _load(name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class AllCommands(TyperGroup):
    """The command line itself."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = LoadedAsUsed()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args[:1] == ["help"]:
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


class AppCommands(TyperGroup):
    """Takes `APP` alone as `list APP`, and `APP COMMAND` as `COMMAND APP`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            if len(args) > 1 and args[1] in self.commands:
                args = [args[1], args[0], *args[2:]]
            else:
                args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


class PlainUsage(TyperCommand):
    """A command whose usage line names its arguments as its help does: APP, not {APP}."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        pieces = super().collect_usage_pieces(ctx)
        return [piece.replace("{", "").replace("}", "") for piece in pieces]


def _load(name: str) -> Any:
    # Nothing that is loaded becomes garbage: to look for some would take a tenth of the time.
    gc.disable()
    try:
        with ending_at_once():
            module = importlib.import_module(f"headrace.cli.commands.{name.replace('-', '_')}")
    finally:
        gc.enable()
    made = getattr(module, "group", None)
    if made is None:
        made = typer.Typer(rich_markup_mode=None, add_completion=False)
        made.command(name, cls=PlainUsage, epilog=module.EXAMPLES)(module.command)
    command = typer.main.get_command(made)
    command.name = name
    return command
