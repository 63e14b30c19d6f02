"""What one call of the command line was told about its output: --json and --debug."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass
class Session:
    """Set by the global options of the command that runs; read when something is printed."""

    as_json: bool = False
    debug: bool = False

    def begin(self) -> None:
        """Forgets what an earlier call was told."""
        self.as_json = self.debug = False

    def show(self, document: Mapping[str, Any] | Sequence[Any], text: str) -> None:
        """Prints a command's result: `document` with --json, else `text`."""
        print(json_text(document) if self.as_json else text)

    def note(self, text: str) -> None:
        """Says something to a person that is no result: on standard error, and only there."""
        print(text, file=sys.stderr)


session = Session()


def json_text(document: object) -> str:
    """Indented JSON; times and other values without a JSON form are written as text."""
    return json.dumps(document, indent=2, ensure_ascii=False, default=str)
