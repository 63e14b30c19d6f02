"""Named points between durable steps, where a test can make the process die as in a power cut.

`HEADRACE_KILL_AT=lake.files.synced` kills the process (SIGKILL: nothing is flushed, nothing
cleaned up) the first time that point is reached, `lake.files.synced:3` the third time. Without
the variable a point costs one function call.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "HEADRACE_KILL_AT"


def _wanted(text: str) -> tuple[str, int]:
    name, _, nth = text.partition(":")
    return name, int(nth or 1)


_name, _left = _wanted(os.environ.get(VARIABLE, ""))


def reach(name: str) -> None:
    """Says that everything before the point `name` is done; may not return (see above)."""
    global _left
    if name != _name:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
