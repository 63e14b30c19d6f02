"""An independent answer to every view: plain Python loops over lists, nothing vectorised."""

from tests.reference.compare import Between, near, same_rows
from tests.reference.events import Event, Functions, Recompute, Run, microseconds, moment
from tests.reference.expressions import Expressions
from tests.reference.views import Counts, counts, expected, stream_rows

__all__ = [
    "Between",
    "Counts",
    "Event",
    "Expressions",
    "Functions",
    "Recompute",
    "Run",
    "counts",
    "expected",
    "microseconds",
    "moment",
    "near",
    "same_rows",
    "stream_rows",
]
