"""Settings that are properties of a client library, each with a name of its own.

`kafka.security.protocol = "SASL_SSL"` in a profile is `HEADRACE_KAFKA_SECURITY_PROTOCOL` in the
environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from headrace.values.errors import UsageError

GROUPS = ("kafka",)


def from_environment(prefix: str) -> dict[str, dict[str, tuple[str, str]]]:
    """By group and property, its (variable, value); UsageError for a name that means nothing."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for group in GROUPS:
        begin = f"{prefix}{group.upper()}_"
        for name, value in os.environ.items():
            if not name.startswith(begin) or not value:
                continue
            words = [word for word in name.removeprefix(begin).lower().split("_") if word]
            meant = begin + "_".join(words).upper()
            if meant != name or not words:
                raise UsageError(
                    f"{name} is set, but no property of {group} is written so",
                    remedy=f'Did you mean "{meant}"? To leave it out: unset {name}'
                    if words
                    else f"unset {name}",
                )
            found.setdefault(group, {})[".".join(words)] = (name, value)
    return found


def flat(properties: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """TOML's `kafka.security.protocol` comes nested: the names put together again.

    Numbers and booleans become text as the client reads it; a list stays, and is refused later.
    """
    made: dict[str, Any] = {}
    for name, value in properties.items():
        if isinstance(value, dict):
            made |= flat(value, f"{before}{name}.")
        elif isinstance(value, list):
            made[before + name] = value
        else:
            made[before + name] = str(value).lower() if isinstance(value, bool) else str(value)
    return made
