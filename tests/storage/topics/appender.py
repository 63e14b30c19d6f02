"""A process that appends numbered rows until it is killed: DIRECTORY PRODUCER COUNT SEED."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pyarrow as pa

from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.writer import Limits


def main(directory: str, producer: str, count: int, seed: int) -> None:
    """Goes on where the producer stands, in batches of random size; prints what is acknowledged."""
    topic = LocalTopic.open(Path(directory), "t", limits=Limits(segment_bytes=1 << 14))
    state = topic.producer(producer)
    at, random_ = 0 if state is None else state.sequence + 1, random.Random(seed)
    print("began", flush=True)
    while at < count:
        # Now and then rows are sent again that are there already.
        first = max(0, at - random_.choice([0, 0, 3]))
        until = min(count, at + random_.randint(1, 40))
        values = [b"%s-%d" % (producer.encode(), number) for number in range(first, until)]
        topic.append_numbered(
            pa.array(values), producer=producer, first_sequence=first, note={"until": until}
        )
        at = until
        print(at, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
