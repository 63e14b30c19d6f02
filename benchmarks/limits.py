"""What stands in the way of each goal: shown where it is missed. The page has the figures."""

from __future__ import annotations

LIMITS = {
    "five": (
        "Two million events a second leave one microsecond of CPU for an event on two cores, all "
        "five outputs together. Taking the records apart, writing the lake and writing the "
        "enriched topic, which no state takes part in, need more than half of that, and the three "
        "tables as much again: see the stages below. Both cores are busy all the while, so only "
        "less work for an event would help."
    ),
    "batch": (
        "A script that is run once keeps nothing apart and syncs nothing; what Headrace saves "
        "against it in reading (the log is grouped and checked once, when it is written) it "
        "spends on epochs, states and two copies of every row that can be delivered again."
    ),
    "both": (
        "The sum of two rows of this table: `ingest` and the five outputs one after the other. "
        "What `ingest` does ahead (lines, keys, partitions, checksums) the job does not do again."
    ),
    "count": (
        "Of one count, taking the records apart is nearly all: every record is judged strictly, "
        "member by member, whether the view reads that member or not. It goes on in one thread "
        "while the other core counts."
    ),
    "ingest": (
        "A fifth of the CPU is the kernel's, which copies the file in and the log out through the "
        "page cache (where the job then finds it), a tenth the reading of the key from each "
        "record's JSON, a tenth copies by line and by partition. The two threads that overlap "
        "are not equally long."
    ),
    "kafka": (
        "The broker and the Python client have the same two cores; the client alone, which looks "
        "at nothing, needs a microsecond of CPU for each record, as much as all five outputs may."
    ),
    "live": (
        "An epoch is one transaction of some twenty SQL statements, each of which costs a "
        "millisecond or two to plan and to spread over threads, however few its rows are; an event "
        "waits for half of the epoch before its own, for its own, and for the query that asks. A "
        "median of 20 ms would take an epoch of a third of that: results kept outside of SQL."
    ),
    "start": (
        "Nine tenths of the start are CPU time of Python's imports (NumPy, DuckDB, pyarrow, "
        "Pydantic, delta-rs) and of the first epoch; "
        "[decisions/0015](decisions/0015-start.md) has the parts."
    ),
    "memory": (
        "An epoch of 300,000 records in work, the next one taken apart, the rows that wait for the "
        "lake and for the topic, and what allocators keep between them; "
        "[decisions/0008](decisions/0008-memory.md) has the parts, and what smaller ones cost."
    ),
    "keys": (
        "Each epoch changes other keys, so that the state is joined with all of its rows on disk "
        "and what it replaces is written again; the engine's memory limit holds the hash tables, "
        "and what is over goes to disk."
    ),
    "long": (
        "The tables and the lake keep everything, and grow: what an epoch replaces lies further "
        "apart, and checkpoints of the state and commits of the lake take longer."
    ),
    "recompute": (
        "A recompute reads the lake, computes every view from all of its events in one pass of its "
        "own, and writes what differs; it is as long as that batch."
    ),
    "verify": (
        "The proof computes every view again by other code, checks the digest of each file of the "
        "lake, and compares the tables, the lake and the topic row by row with what was served."
    ),
}
