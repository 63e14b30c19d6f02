"""Whether the first records of an input are events: what is wrong with all of them is told at once.

They are appended all the same: the job judges every record, by the decoder that is asked here.
"""

from __future__ import annotations

import pyarrow as pa

from headrace.engines.kernel.decode import decode, decoding
from headrace.ops.ingest.report import Format
from headrace.plan.operators import Source
from headrace.storage.contract import RECORDS
from headrace.values.clock import SystemClock

RECORDS_MAX = 100


def or_failed(mapped: bool) -> str:
    """What else may have kept a line as it was, where expressions make its fields."""
    return ", or --map fails" if mapped else ""


class FirstRecords:
    """The first records of an input that is to be read as `source`; None: nobody says as what.

    `mapped` says that expressions make their fields.
    """

    def __init__(self, source: Source | None, format_: Format, *, mapped: bool) -> None:
        self._source, self._format, self._mapped = source, format_, mapped
        self._values = pa.array([], pa.binary())

    def look(self, values: pa.Array) -> None:
        """Keeps of `values` what is still among the first."""
        left = RECORDS_MAX - len(self._values)
        if self._source is not None and left > 0 and len(values):
            # Copied: the rest of them need not stay.
            first = values.take(pa.array(range(min(left, len(values)))))
            self._values = pa.concat_arrays([self._values, first.cast(pa.binary())])

    def none_fits(self) -> str | None:
        """Why the first one is refused, in words, if all of them are."""
        count = len(self._values)
        if self._source is None or not count:
            return None
        records = pa.table(
            {
                "partition": pa.array([0] * count, pa.int32()),
                "offset": pa.array(range(count), pa.int64()),
                "key": pa.nulls(count, pa.binary()),
                "value": self._values,
                "arrival_time": pa.array([SystemClock().now_us()] * count, pa.timestamp("us")),
            },
            schema=RECORDS,
        )
        with decoding(1) as connection:
            found = decode(connection, self._source, records)
        if len(found.events):
            return None
        field, why = (found.dead.column(name)[0].as_py() for name in ("_field", "_reason"))
        if why == "is not JSON" and self._format == "combined":
            # A line that cannot be taken apart stays as it was.
            why = "is no line of the combined format" + or_failed(self._mapped)
        which = "the first record does not fit"
        if count > 1:
            which = f"none of the first {count} records fits"
        return f"{which} {self._source.schema.name}: {f'{field} {why}' if field else why}"
