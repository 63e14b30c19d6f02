"""What one call of the command line was told that its output needs: --json, --debug, its APP."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# A command of ours in a text: its words, and the APP that it is about.
_OF_AN_APP = re.compile(r"\bheadrace (?P<words>[a-z-]+(?: [a-z-]+)?) APP\b")
_WITHOUT_JOB = ("doctor", "ingest", "simulate")


@dataclass
class Session:
    """Set by the options that commands share, of the one that runs; read when something is printed.

    `app` is APP as it was typed, `options` what was given that says which state is meant: --job,
    --profile and --data.
    """

    as_json: bool = False
    debug: bool = False
    app: str | None = None
    options: dict[str, str] = field(default_factory=dict)

    def begin(self) -> None:
        """Forgets what an earlier call was told."""
        self.as_json = self.debug = False
        self.app, self.options = None, {}

    def give(self, option: str, value: object) -> None:
        """Keeps what `option` was given, for the commands that a message names."""
        if value is not None:
            self.options[option] = str(value)

    def show(self, document: Mapping[str, Any] | Sequence[Any], text: str) -> None:
        """Prints a command's result: `document` with --json, else `text`."""
        print(json_text(document) if self.as_json else self.as_typed(text))

    def note(self, text: str) -> None:
        """Says something to a person that is no result: on standard error, and only there."""
        print(self.as_typed(text), file=sys.stderr)

    def as_typed(self, text: str) -> str:
        """`text` with each `headrace … APP` as it is to be typed here: this APP, these options."""

        def typed(command: re.Match[str]) -> str:
            words = ["headrace", *command["words"].split(), self.app or "APP"]
            for option, value in self.options.items():
                if option != "--job" or words[1] not in _WITHOUT_JOB:
                    words += [option, value]
            return shlex.join(words)

        return text if self.app is None else _OF_AN_APP.sub(typed, text)


session = Session()


def json_text(document: object) -> str:
    """Indented JSON; times and other values without a JSON form are written as text."""
    return json.dumps(document, indent=2, ensure_ascii=False, default=str)
