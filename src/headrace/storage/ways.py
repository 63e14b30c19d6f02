"""The ways on where a topic is not what a job left, each with its command: written once."""

from __future__ import annotations

WHAT_ANSWERS = "See what answers, and what does not: headrace doctor APP"
"""A system that does not answer, or not as it should."""


def go_on_with(topic: str) -> str:
    """A topic made again: keep the state and read the new one, or begin anew."""
    return (
        "Go on with the new one, and keep what is computed: headrace state seek APP "
        f"{topic} --from earliest\n"
        "Or begin anew with it: headrace state reset APP"
    )


def go_on_behind(topic: str) -> str:
    """Records that are gone: leave them out, begin anew, or bring them back."""
    return (
        "Go on with what is there, and leave out what is gone: headrace state seek APP "
        f"{topic} --from earliest\n"
        "Or count what is there anew: headrace state reset APP --from earliest\n"
        "Or restore the topic from a backup."
    )


def restore_or_reset() -> str:
    """Nothing of the state fits what is there."""
    return "Restore the topic, or begin anew: headrace state reset APP --from earliest"


def new_lakes() -> str:
    """A lake that has what its topic has lost."""
    return (
        "Restore the topic, or begin anew with new lakes (what they have is moved aside): "
        "headrace state reset APP --from earliest --new-lakes"
    )


def fill_anew() -> str:
    """A topic that a job writes was made again: it lacks what was delivered."""
    return (
        "Restore the topic, or begin a new generation, whose records all go into the new one: "
        "headrace state reset APP"
    )


def look_again() -> str:
    """A topic changed while it was looked at: no job need go elsewhere."""
    return "Give the command again: it looks at what is there then."


def new_topic(source: str, output: str, *, reset: bool) -> str:
    """A topic that a job writes has what the one that it reads has lost."""
    anew = " and begin anew (headrace state reset APP --from earliest)" if reset else ""
    return (
        f'Restore topic "{source}", or delete topic "{output}"{anew}: the job makes it again (in '
        "Kafka with --create-topics) and gives it all records anew"
    )


def reset_from(start: str) -> str:
    """Going back: only a new generation of the state counts each record once."""
    return f"Begin a new generation of the state there: headrace state reset APP --from {start}"
