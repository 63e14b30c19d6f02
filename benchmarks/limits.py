"""What stands in the way of each goal: shown where it is missed. The page has the figures."""

from __future__ import annotations

LIMITS = {
    "five": (
        "An event takes two microseconds of CPU, where two cores have one for each at two million "
        "a second. About a quarter of it is taking the records apart, a fifth sessions, a quarter "
        "the lake and the enriched topic; the job's own thread is busy nearly all the time, with "
        "1.6 of the two cores in use (*Where the time goes*). Peers are compared over a million "
        "events, of which start and end take Headrace a third of the time."
    ),
    "batch": (
        "A script that is run once keeps nothing apart and syncs nothing. What Headrace saves "
        "against it in reading (the log is grouped and checked once, when it is written) it "
        "spends on epochs, states and rows that can be delivered again."
    ),
    "both": (
        "The sum of two rows of this table: `ingest` and the five outputs one after the other. "
        "What `ingest` does ahead (lines, keys, partitions, checksums) the job does not do again."
    ),
    "count": (
        "Of one count, taking the records apart is most of the CPU: every record is judged "
        "strictly, member by member, whether the view reads that member or not, in one thread, "
        "with 1.2 of the two cores in use. Start and end are half of a run over two million events."
    ),
    "ingest": (
        "Two fifths of the CPU are the kernel's, which copies the log out through the page cache "
        "(where the job then finds it); a tenth is the reading of the key from each record's JSON, "
        "a tenth are copies by line and by partition. The two threads that overlap are not equally "
        "long: 1.2 of the two cores are in use."
    ),
    "kafka": (
        "The broker and the Python client have the same two cores: the client alone, which looks "
        "at nothing, needs a microsecond of CPU for each record, and the five outputs two."
    ),
    "live": (
        "An epoch is one transaction of some twenty SQL statements, each of which costs a "
        "millisecond or two to plan and to spread over threads, however few its rows are. An event "
        "waits for the rest of the epoch before its own, for its own, and for the query that asks, "
        "which competes for the same cores. A median of 20 ms would need results that are kept "
        "outside of SQL."
    ),
    "start": (
        "Most of the start is CPU time of Python's imports (NumPy, DuckDB, pyarrow, Pydantic, "
        "delta-rs) and of the first epoch; [decisions/0015](decisions/0015-start.md) has the parts."
    ),
    "memory": (
        "An epoch of 300,000 records in work, the next one taken apart, the rows that wait for the "
        "lake and for the topic, and what allocators keep between them; "
        "[decisions/0008](decisions/0008-memory.md) has the parts, and what smaller ones cost."
    ),
    "keys": (
        "Every epoch changes other keys all over the state: it is joined with all of its rows, and "
        "what it replaces is written again. Memory is not the limit."
    ),
    "long": (
        "The tables and the lake keep everything: five million rows more at the end. What DuckDB "
        "holds in memory of their blocks grows with them, ever more slowly, within its limit; "
        "finding a state among more of them takes a little longer. The log is level."
    ),
    "recompute": (
        "Each view is computed from all events at once, by sorts and groupings of DuckDB that "
        "carry the rows along and do not fit into the engine's memory limit, so that they go to "
        "disk and come back."
    ),
    "verify": (
        "As a recompute, and after it the enriched topic's JSON is read again, and tables, lake "
        "and topic are compared row by row with what was served."
    ),
}
