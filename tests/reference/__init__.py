"""An independent answer to every view: plain Python loops over lists, nothing vectorised."""

from tests.reference.compare import Between, near, same_rows
from tests.reference.events import Event, Functions, Recompute, Run, microseconds, moment
from tests.reference.expressions import Expressions
from tests.reference.topics import canonical, compacted, json_of, merged, row_key
from tests.reference.views import Counts, counts, expected, record_verdicts, stream_rows
from tests.reference.written import Written, written

__all__ = [
    "Between",
    "Counts",
    "Event",
    "Expressions",
    "Functions",
    "Recompute",
    "Run",
    "Written",
    "canonical",
    "compacted",
    "counts",
    "expected",
    "json_of",
    "merged",
    "microseconds",
    "moment",
    "near",
    "record_verdicts",
    "row_key",
    "same_rows",
    "stream_rows",
    "written",
]
