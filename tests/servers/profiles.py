"""The profile that points Headrace at servers; the one place that spells its keys."""

from __future__ import annotations


def profile_text(bootstrap_servers: str, dsn: str, name: str = "servers") -> str:
    """A table for headrace.toml: `--profile NAME`."""
    return f'[profile.{name}]\ntopics = "kafka://{bootstrap_servers}"\ntables = "{dsn}"\n'
