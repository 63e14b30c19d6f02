"""What a job tells a person beside a command's result."""

from __future__ import annotations

from headrace.cli.session import session
from headrace.values.telemetry import Event, TableFilling


def tell(event: Event) -> None:
    """Says on standard error what whoever waits for an answer should know."""
    if isinstance(event, TableFilling):
        session.note(filling_text(event))


def filling_text(event: TableFilling) -> str:
    """That a table is filled anew, why and from where, in a sentence."""
    why = "its view was built again"
    if event.reason == "lost":
        had = "nothing" if event.had_epoch is None else f"epoch {event.had_epoch} only"
        why = f"it had {had}"
    elif event.reason == "moved":
        why = "it stood elsewhere until now"
    return (
        f"table {event.destination}: {why}; it is filled again from {event.origin}, "
        f"as of epoch {event.epoch}"
    )
