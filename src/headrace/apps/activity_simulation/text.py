"""Records as JSON text and keys: four columns of ready-made pieces, joined."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.apps.activity_simulation import draws
from headrace.apps.activity_simulation.disorder import Records
from headrace.apps.activity_simulation.story import KINDS, SECOND_US, Ints


def user_names(count: int) -> pa.Array:
    """The ids of `count` users, the most active first."""
    numbers = pa.array(np.arange(1, count + 1)).cast(pa.string())
    return pc.binary_join_element_wise("user_", numbers, "").cast(pa.binary())


class Texts:
    """Writes records of the users `names` (binary)."""

    def __init__(self, names: pa.Array) -> None:
        self._names = names
        self._milliseconds = pa.array(
            [b'.%03dZ","user_id":"' % number for number in range(1_000)], pa.binary()
        )
        self._endings = pa.array(
            [
                b'","page_url":%s,"event_type":"%s"}' % (json.dumps(page).encode(), kind.encode())
                for page in draws.pages()
                for kind in KINDS
            ],
            pa.binary(),
        )

    def columns(self, records: Records, first_number: int) -> tuple[pa.Array, pa.Array]:
        """Values and keys (binary); `first_number` is the number of the first record, from 0."""
        events = records.events
        seconds = events.time_us // SECOND_US
        keys = self._names.take(pa.array(events.user))
        values = pc.binary_join_element_wise(
            _beginnings(seconds),
            self._milliseconds.take(pa.array(events.time_us // 1_000 - seconds * 1_000)),
            keys,
            self._endings.take(pa.array(events.page.astype(np.int32) * len(KINDS) + events.kind)),
            b"",
        )
        if not records.malformed.any():
            return values, keys
        return _spoiled(values, keys, records.malformed, first_number)


def _beginnings(seconds: Ints) -> pa.Array:
    """The text up to the whole second, for each of `seconds`."""
    low, high = int(seconds.min()), int(seconds.max())
    if high - low > 1 << 20:
        distinct, places = np.unique(seconds, return_inverse=True)
    else:
        distinct, places = np.arange(low, high + 1), seconds - low
    texts = np.datetime_as_string(distinct.astype("datetime64[s]"), unit="s")
    pieces = pc.binary_join_element_wise('{"event_time":"', pa.array(texts.tolist()), "")
    return pieces.cast(pa.binary()).take(pa.array(places))


def _spoiled(
    values: pa.Array, keys: pa.Array, malformed: npt.NDArray[np.bool_], first_number: int
) -> tuple[pa.Array, pa.Array]:
    """`values` and `keys` with the malformed ones as a broken client would send them.

    Keys are what can still be read of them, as for any other input.
    """
    bad_values, bad_keys = [], []
    for row in np.flatnonzero(malformed).tolist():
        value, key = _spoil(values[row].as_py(), keys[row].as_py(), first_number + row)
        bad_values.append(value)
        bad_keys.append(key)
    mask = pa.array(malformed)
    return (
        pc.replace_with_mask(values, mask, pa.array(bad_values, pa.binary())),
        pc.replace_with_mask(keys, mask, pa.array(bad_keys, pa.binary())),
    )


def _spoil(value: bytes, key: bytes, number: int) -> tuple[bytes, bytes | None]:
    """One record made malformed in the way that its number picks, and its key."""
    event = json.loads(value)
    # Multiplied so that every way comes up also where the numbers share a factor with their count.
    match number * 2_654_435_761 % 2**32 // 2**16 % 8:
        case 0:
            return value[: len(value) // 2], None
        case 1:
            return b"Connection reset by peer", None
        case 2:
            return value.replace(b'"user_id":"', b'"user_id":"\xff\xfe'), None
        case 3:
            del event["page_url"]
        case 4:
            event["user_id"], key = number, str(number).encode()
        case 5:
            event["event_type"] = "purchase"
        case 6:
            event["event_time"] = "yesterday at noon"
        case _:
            event["event_type"] = None
    return json.dumps(event, separators=(",", ":")).encode(), key
