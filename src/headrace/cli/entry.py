"""Where a call begins: quiet from its first moment, also when it is interrupted at once."""

from __future__ import annotations

from headrace.cli.interrupts import ending_at_once


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    with ending_at_once():
        from headrace.cli.main import main as run
    run()
