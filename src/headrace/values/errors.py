"""Every error that Headrace raises on purpose, as one tree.

    HeadraceError
    ├── UsageError             exit 2   the command line or a call is wrong
    │   └── DefinitionError    exit 2   the app's definition is wrong
    ├── InputRefused           exit 3   a whole input cannot be read
    ├── Unreachable            exit 4   a system cannot be reached; a retry may help
    │   └── DestinationDown    exit 4   a destination did not take its deliveries
    ├── StateRefused           exit 5   state, topic or mark is not what the job left
    │   ├── StateDamaged       exit 5   the state cannot be read; a reset puts it aside
    │   ├── TopicRefused       exit 5   a topic is missing, made again or damaged
    │   └── DestinationBehind  exit 5   a destination lost what it had taken
    ├── Busy                   exit 5   another process has the job or topic; a retry helps
    ├── DiskRefused            exit 5   no space or no permission; goes on when mended
    └── DifferenceFound        exit 1   verify found that a promise does not hold

Each says what happened, whose fault it is (`fault`) and what mends it (`remedy`);
`retry` tells a runner whether the same call may succeed later.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar, Literal

Fault = Literal["user", "system", "headrace"]


class HeadraceError(Exception):
    """Base of all errors raised on purpose.

    `what` is one sentence; `remedy` is a command or an action, shown on a line of its own.
    """

    exit_code: ClassVar[int] = 1
    fault: ClassVar[Fault] = "headrace"
    retry: ClassVar[bool] = False

    def __init__(self, what: str, *, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy or None

    def __str__(self) -> str:
        return self.what if self.remedy is None else f"{self.what}\n{self.remedy}"


class UsageError(HeadraceError):
    """A command or a call that cannot mean anything."""

    exit_code = 2
    fault = "user"


class DefinitionError(UsageError):
    """The app's definition is wrong; raised when the app is loaded, or its generator fails.

    `expression` and `position` (0-based character) mark the spot, `where` names file and line.
    """

    def __init__(
        self,
        what: str,
        *,
        expression: str | None = None,
        position: int | None = None,
        where: str | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(what, remedy=remedy)
        self.expression = expression
        self.position = position
        self.where = where

    def __str__(self) -> str:
        lines = [self.what]
        if self.expression is not None:
            lines.append(f"  {self.expression}")
            if self.position is not None:
                lines.append("  " + " " * self.position + "^")
        if self.where is not None:
            lines.append(f"  in {self.where}")
        if self.remedy is not None:
            lines.append(self.remedy)
        return "\n".join(lines)


class InputRefused(HeadraceError):
    """A whole input (a file, a stream) cannot be read; single records never raise this."""

    exit_code = 3
    fault = "user"


class Unreachable(HeadraceError):
    """A system does not answer; trying again later may help."""

    exit_code = 4
    fault = "system"
    retry = True


class DestinationDown(Unreachable):
    """A destination did not take what was committed; it is delivered at the next start."""


class StateRefused(HeadraceError):
    """State, topic or mark is not what this job left behind; nothing was changed."""

    exit_code = 5
    fault: ClassVar[Fault] = "user"


class StateDamaged(StateRefused):
    """The state cannot be read any more; `state reset` puts it aside and begins anew."""

    fault = "system"


class TopicRefused(StateRefused):
    """A topic is missing, was made again, or its files are damaged."""


class DestinationBehind(StateRefused):
    """A destination lost deliveries that it had taken; opened again, it is given them again."""

    fault = "system"


class Busy(HeadraceError):
    """Another process owns the job's state (the message names it), or keeps a topic locked."""

    exit_code = 5
    fault = "user"
    retry = True


class DiskRefused(HeadraceError):
    """The file system refused: no space, no permission. Nothing is lost; mend it and go on."""

    exit_code = 5
    fault = "system"
    retry = True


class DifferenceFound(HeadraceError):
    """`verify` found that what is served is not what the log says."""

    exit_code = 1


def public_name(error: HeadraceError) -> str:
    """The name under which `error` can be caught: of its class, or of the next one in this tree."""
    return next(c.__name__ for c in type(error).__mro__ if c.__module__ == __name__)


def near_name(name: str, valid: Iterable[str]) -> str | None:
    """The one of `valid` that `name` may have been meant to be."""
    names = list(valid)
    near = get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=0.6)
    return next((n for n in names if n.lower() == near[0]), None) if near else None


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """The sentence that ends a message about an unknown `name`: a near one, then all of them.

    >>> did_you_mean("pageurl", ["page_url", "user_id"])
    'Did you mean "page_url"? Valid names: page_url, user_id.'
    """
    names = list(valid)
    near = near_name(name, names)
    hint = f'Did you mean "{near}"? ' if near is not None else ""
    return f"{hint}Valid names: {', '.join(names)}." if names else hint.strip()
