"""The first frame of a segment: what must outlive the segments before it, once they are removed.

That is the offsets so far (in its header) and every producer's state (its body).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from headrace.storage.durable import let_go, sync_directory
from headrace.storage.topics import frame
from headrace.storage.topics.disk import sync_data, write_at
from headrace.storage.topics.segment import segment_path
from headrace.values.points import reach


def begin_segment(
    directory: Path,
    ordinal: int,
    arrival_us: int,
    base: npt.NDArray[np.int64],
    seed: int,
    producers: bytes,
) -> int:
    """Makes segment `ordinal` with nothing but its checkpoint, durably; returns its size.

    `arrival_us` is the last arrival time before it. OSError leaves no file behind.
    """
    counts = np.zeros_like(base)
    pieces = frame.encode(
        frame.CHECKPOINT, (ordinal, 0), arrival_us, (base, counts), [producers], seed=seed
    )
    path = segment_path(directory, ordinal)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        write_at(descriptor, pieces, 0)
        reach("log.segment.written")
        sync_data(descriptor)
        sync_directory(directory)
        reach("log.segment.begun")
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        let_go(descriptor)
    return sum(len(piece) for piece in pieces)
