"""What a topic takes of the rows that it is given: how large they are, and whether they have keys.

Rows are measured by their plain size: what compresses well enough today may not do so tomorrow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.storage.contract import Refusal
from headrace.storage.kafka.cluster import Cluster
from headrace.storage.kafka.sizes import lengths
from headrace.storage.kafka.topic_settings import change, compacts
from headrace.values.errors import TopicRefused, UsageError

# Kafka's own defaults, where the user may not read the topic's settings.
_DEFAULTS = {"max.message.bytes": "1048588", "segment.bytes": str(1 << 30)}
# The client's property with the same meaning as a topic's max.message.bytes.
_OF_THE_CLIENT = "kafka.message.max.bytes"
# A record's and a batch's own fields, at their largest.
_OVERHEAD_BYTES = 256
_BATCH_BYTES_MAX = 1_000_000
_SHOWN_BYTES_MAX = 4096
# A byte that is no text is noted in seven, and there are a key and a value.
_NOTED_FOR_SHOWN = 16


@dataclass(frozen=True)
class Limits:
    """What `topic` at `servers` takes; `of_topic` makes one.

    `bytes_max` bounds key and value of a row together; `setting` is what sets it. With
    `keys_needed` no row is taken without a key. `shown_bytes` of a refused row's key and value
    are kept.
    """

    topic: str
    servers: str
    bytes_max: int
    setting: str
    keys_needed: bool
    shown_bytes: int

    @classmethod
    def of_topic(cls, cluster: Cluster, topic: str) -> Limits:
        """As the topic and the client are set now; Kafka's defaults where nobody may know."""
        try:
            settings = cluster.settings(topic)
        except TopicRefused:
            settings = {}
        client = cluster.message_bytes()
        bounds = {name: int(settings.get(name) or usual) for name, usual in _DEFAULTS.items()}
        bounds[_OF_THE_CLIENT] = client
        setting = min(bounds, key=bounds.__getitem__)
        return cls(
            topic,
            cluster.address.servers,
            bounds[setting] - _OVERHEAD_BYTES,
            setting,
            compacts(settings),
            min(_SHOWN_BYTES_MAX, client // _NOTED_FOR_SHOWN),
        )

    @property
    def batch(self) -> dict[str, int]:
        """The producer's setting for batches that the topic takes however they compress."""
        return {"batch.size": max(1, min(_BATCH_BYTES_MAX, self.bytes_max))}

    def refused(self, rows: pa.Table) -> npt.NDArray[np.bool_]:
        """Which rows, with `key` and `value`, the topic does not take."""
        return self._too_large(rows) | self._without_key(rows)

    def refusals(self, rows: pa.Table, number: int) -> list[Refusal]:
        """What is kept of `rows`, all of which the topic does not take."""
        large = f"larger than the topic takes: {self.bytes_max:,} bytes ({self.setting})"
        keyless = "without a key, and the topic takes none such: it compacts (cleanup.policy)"
        return [
            Refusal(
                number,
                json.dumps(self._noted(row)),
                large if too_large else keyless,
            )
            for row, too_large in zip(rows.to_pylist(), self._too_large(rows), strict=True)
        ]

    def check(self, rows: pa.Table) -> None:
        """UsageError when there is a row that the topic does not take."""
        found = np.flatnonzero(self._too_large(rows))
        if len(found):
            needed = len(rows.column("value")[int(found[0])].as_py() or b"") + _OVERHEAD_BYTES * 2
            raise UsageError(
                f'A record is larger than topic "{self.topic}" takes ({self.bytes_max:,} bytes, '
                f"{self.setting})",
                remedy=self._raised(needed),
            )
        if self._without_key(rows).any():
            raise UsageError(
                f'A record has no key, and topic "{self.topic}" takes none such: it compacts',
                remedy=change(self.servers, self.topic, "cleanup.policy", "delete"),
            )

    def _raised(self, bytes_: int) -> str:
        if self.setting == _OF_THE_CLIENT:
            return f"Raise it in the profile: {self.setting} = {bytes_}"
        return change(self.servers, self.topic, self.setting, bytes_)

    def _too_large(self, rows: pa.Table) -> npt.NDArray[np.bool_]:
        return lengths(rows.column("key")) + lengths(rows.column("value")) > self.bytes_max

    def _without_key(self, rows: pa.Table) -> npt.NDArray[np.bool_]:
        without: npt.NDArray[np.bool_] = np.zeros(len(rows), np.bool_)
        if self.keys_needed:
            without = pc.is_null(rows.column("key")).to_numpy()
        return without

    def _noted(self, row: Mapping[str, bytes | None]) -> dict[str, str | int | None]:
        """The row as it is kept: of what is cut it is told how long it was."""
        noted: dict[str, str | int | None] = {}
        for name in ("key", "value"):
            content, noted[name] = row[name], None
            if content is not None:
                noted[name] = content[: self.shown_bytes].decode(errors="replace")
                if len(content) > self.shown_bytes:
                    noted[f"{name}_bytes"] = len(content)
        return noted
