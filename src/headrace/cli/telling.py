"""What a job tells a person beside a command's result."""

from __future__ import annotations

from headrace.cli.session import session
from headrace.values.telemetry import Event, RecomputeWaits, TableFilling


def tell(event: Event) -> None:
    """Says on standard error what whoever waits for an answer should know."""
    text = text_of(event)
    if text is not None:
        session.note(text)


def text_of(event: Event) -> str | None:
    """What a person should know of an event, in a sentence; None for most of them."""
    if isinstance(event, TableFilling):
        return filling_text(event)
    if isinstance(event, RecomputeWaits):
        return (
            f"{', '.join(event.views)}: built again, and closed windows lack late events until "
            f"the next start, or headrace recompute APP: {event.problem}"
        )
    return None


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
