"""What a seek or a reset does, in words, and the question before it."""

from __future__ import annotations

import sys

import typer

from headrace.cli.tables import plural
from headrace.engines.embedded.epochs.seeking import Move
from headrace.values.errors import UsageError


def agreed(question: str) -> None:
    """Asks on the terminal; leaves the command where the answer is no."""
    if not sys.stdin.isatty():
        raise UsageError(
            "standard input is not a terminal, so nobody can agree", remedy="Add --yes."
        )
    if not typer.confirm(question, err=True):
        raise typer.Exit(0)


def moves_text(moves: list[Move]) -> str:
    """Where each topic would be read on, and how many records of which partitions that skips."""
    return "\n".join(line for move in moves for line in _lines(move))


def _lines(move: Move) -> list[str]:
    if move.stays:
        return [f"topic {move.topic}: is read on where it is, nothing is skipped"]
    if move.made_again:
        head = (
            f"topic {move.topic}: another one than the job has read. The state is kept; what the "
            "old one held and nobody read is lost, and its partitions' watermarks begin anew"
        )
    else:
        head = f"topic {move.topic}: skips {plural(sum(move.skipped), 'record')}"
    return [head, *(_partition(move, p) for p in range(len(move.after)))]


def _partition(move: Move, p: int) -> str:
    if not move.skipped[p]:
        return f"  partition {p}: reads on at offset {move.after[p]}, skips nothing"
    skipped = plural(move.skipped[p], "record")
    gone = f", of which {move.gone[p]:,} are gone" if move.gone[p] else ""
    return (
        f"  partition {p}: reads on at offset {move.after[p]}, skips {skipped} "
        f"from {move.before[p]}{gone}"
    )
