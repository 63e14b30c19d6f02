"""An independent answer to every view: plain Python loops over lists, nothing vectorised."""

from tests.reference.events import Event, Functions, Recompute, Run, microseconds, moment
from tests.reference.views import Counts, counts, expected

__all__ = [
    "Counts",
    "Event",
    "Functions",
    "Recompute",
    "Run",
    "counts",
    "expected",
    "microseconds",
    "moment",
]
