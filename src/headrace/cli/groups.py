"""Groups of commands such as `state`: `state APP` lists, `state inspect APP` inspects.

The app may also stand first, as one thinks of it: `dead-letters APP replay`.
"""

from __future__ import annotations

import typer
from typer.core import TyperGroup

DEFAULT = "list"


class AppCommands(TyperGroup):
    """Takes `APP` alone as `list APP`, and `APP COMMAND` as `COMMAND APP`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            if len(args) > 1 and args[1] in self.commands:
                args = [args[1], args[0], *args[2:]]
            else:
                args = [DEFAULT, *args]
        return super().parse_args(ctx, args)
