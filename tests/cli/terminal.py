"""What a program shows on a terminal."""

from __future__ import annotations

import os


def rest_of(terminal: int) -> bytes:
    """All that comes until whoever writes there has ended."""
    shown = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            return shown
        if not part:
            return shown
        shown += part
