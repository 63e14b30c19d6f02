"""Memory that one epoch gives back serves the next, instead of going to the system between them.

A page that comes fresh from the system has to be cleared first, on a virtual machine even fetched
from the host: that took a quarter of the processor time of a job that catches up
(docs/decisions/0008-memory.md).
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_KEPT_MS = 5_000
# Parameters of mallopt(3), and the greatest threshold that glibc takes.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MMAP_BYTES_MAX, _NEVER = 32 << 20, 2**31 - 1


def keep_freed_memory() -> None:
    """For the rest of this process: Arrow keeps freed memory for seconds, malloc till `give_back`.

    Does nothing where Arrow has no jemalloc or the C library is not glibc.
    """
    import pyarrow as pa

    if "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())
        pa.jemalloc_set_decay_ms(_KEPT_MS)
    with suppress(AttributeError, OSError):
        tune = ctypes.CDLL(None).mallopt
        tune(_MMAP_THRESHOLD, _MMAP_BYTES_MAX)
        tune(_TRIM_THRESHOLD, _NEVER)


def give_back() -> None:
    """Gives back what malloc keeps, for moments when there is little to do."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
