"""What a number of records bounds, their size bounds, too: large ones count for more."""

from __future__ import annotations

RECORD_BYTES = 256
"""What a record may have to count as one."""

_READ_BYTES_MIN = 64 << 20


def weight(records: int, size: int) -> int:
    """As how many records these count, which have `size` bytes."""
    return max(records, size // RECORD_BYTES)


def read_bytes_max(records_max: int) -> int:
    """As many bytes as a read of about `records_max` records gives; a few records may be large."""
    return max(records_max * RECORD_BYTES, _READ_BYTES_MIN)
