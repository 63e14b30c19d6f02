"""When a record arrived: the lesser of its timestamp and the time of the epoch that first read it.

A log that notes the time itself is taken at its word. So arrival times hang on the log and the
recorded epochs alone, whoever asks, and whenever (semantics, section 1).
"""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.storage.contract import RECORDS, Topic

_AT = RECORDS.get_field_index("arrival_time")
_EPOCHS = (
    "select r.start_offset, r.end_offset, epoch_us(e.epoch_time) from meta.reads r "
    'join meta.epochs e using (epoch) where r.topic = ? and r.identity = ? and r."partition" = ? '
    "and r.end_offset > r.start_offset order by r.start_offset"
)


def arrived(topic: Topic, records: pa.Table, times_us: int | NDArray[np.int64]) -> pa.Table:
    """`records` as read in an epoch of that time, or each in one of its own (microseconds).

    The very same table where no timestamp lies behind it.
    """
    if topic.arrival_fixed or not len(records):
        return records
    own_us = records.column("arrival_time").to_numpy().view(np.int64)
    if (own_us <= times_us).all():
        return records
    column = pa.array(np.minimum(own_us, times_us)).cast(pa.timestamp("us"))
    return records.set_column(_AT, RECORDS.field(_AT), column)


class Readings:
    """The epochs in which a job read a topic, by partition and offset."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, topic: Topic, unread_us: int) -> None:
        """`unread_us` stands for the time of the epoch of what no epoch has read."""
        self._topic, self._unread_us = topic, unread_us
        partitions = 0 if topic.arrival_fixed else topic.partitions
        self._epochs = [
            np.array(
                connection.execute(_EPOCHS, [topic.name, topic.identity, p]).fetchall(), np.int64
            ).reshape(-1, 3)
            for p in range(partitions)
        ]

    def arrived(self, records: pa.Table) -> pa.Table:
        """`records` with the times at which they arrived."""
        if self._topic.arrival_fixed:
            return records
        partition = records.column("partition").to_numpy()
        offset = records.column("offset").to_numpy()
        times = np.full(len(records), self._unread_us, np.int64)
        for p in np.unique(partition).tolist():
            starts, ends, at_us = self._epochs[p].T
            rows = np.flatnonzero(partition == p)
            place = np.searchsorted(starts, offset[rows], side="right") - 1
            read = place >= 0
            read[read] = offset[rows[read]] < ends[place[read]]
            times[rows[read]] = at_us[place[read]]
        return arrived(self._topic, records, times)
