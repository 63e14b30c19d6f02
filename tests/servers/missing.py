"""What a real server needs and this machine has not: said in words, and demanded in CI."""

from __future__ import annotations

import importlib.util
import os

# Taken out of the environment: Headrace refuses HEADRACE_… variables that are no setting.
REQUIRED = os.environ.pop("HEADRACE_REQUIRE_SERVERS", "") not in ("", "0")


class Missing(Exception):
    """Something that a server needs is not there; the text says what, and how to get it."""


def need_client(module: str, extra: str) -> None:
    """Raise Missing unless the client library `module`, of the extra `extra`, is installed."""
    if importlib.util.find_spec(module) is None:
        raise Missing(f"{module} is not installed: pip install 'headrace[{extra}]'")
