"""What is to be reached on two cores: every goal in one place."""

from __future__ import annotations

# Events per second: from the log, from files, of one tumbling count alone, from Kafka.
RATES = {"five outputs": 2e6, "ingest": 3e6, "both": 1e6}
COUNT_RATE, KAFKA_RATE, POSTGRESQL_RATE = 4e6, 0.5e6, 0.15e6
UPSERTS_RATE = 100_000

# How many times as fast as each: batch scripts, and peers by pipeline.
BATCHES = {"plain": 3.0, "fastest": 0.8}
PEERS = {
    "five": {"spark": 25.0, "flink": 25.0},
    "count": {"spark": 10.0, "flink": 10.0, "bytewax": 10.0},
}

# Milliseconds from an event to its visible row, p50 and p99, by events a second.
LIVE_MS: dict[int, tuple[float | None, float]] = {10_000: (20, 100), 100_000: (None, 250)}
POSTGRESQL_MS = 500

IMPORT_SECONDS, FIRST_SECONDS = 0.15, 1.0
# Recompute and verify, of ten million events.
PROOF_SECONDS = 15.0

# Memory (10**6 bytes) of the five outputs over ten million events; of ten million keys, and their
# rate in events per second.
FIVE_MB, KEYS_MB, KEYS_RATE = 1_000, 2_000, 0.3e6
KEYS, MANY = 10_000_000, 10_000_000
# How much slower and larger the last tenth of a long run may be than its second: in the first the
# log fills up to what retention leaves, and the process its caches.
LEVEL = 0.1
