"""The peers: how each is run, and what to know when reading its figures."""

from __future__ import annotations

from dataclasses import dataclass

FILES, ONE_FILE, KAFKA = "files", "one file", "kafka"


@dataclass(frozen=True)
class Peer:
    """`script` is a module beside this file; its packages are pinned in `NAME.txt`.

    `source`: what it reads. `warm`: it runs twice in one process, as a JVM is slow at first.
    `slow`: it gets fewer events. `says`: where its outputs are not quite ours. `package` is the
    one that has its version.

    `variants` are further arguments of the script by what they mean: it runs with each, and the
    fastest counts whose rows are ours. `users_off_max`: so far may its distinct users be from ours,
    since one of the two is approximate. `sessions_equal_min`: so many of its sessions must be ours,
    where they mean the same; None: they mean another thing.
    """

    title: str
    script: str
    source: str
    package: str
    says: str
    warm: bool = False
    slow: frozenset[str] = frozenset()
    pom: str = ""
    variants: tuple[tuple[str, str], ...] = ()
    users_off_max: float = 0.15
    sessions_equal_min: float | None = None


PEERS = {
    "spark": Peer(
        "PySpark Structured Streaming",
        "spark_streaming.py",
        FILES,
        "pyspark",
        "`local[2]`, from files, two shuffle partitions; a query for each output, each of which "
        "reads the files. Sessions by a gap of 30 minutes, written when closed: not compared. No "
        "delivery is kept exactly once where rows are updated.",
        warm=True,
        variants=(("in batches of 500,000 events", "500000"), ("all in one batch", "0")),
    ),
    "flink": Peer(
        "PyFlink SQL",
        "flink_sql.py",
        KAFKA,
        "apache-flink",
        "parallelism 2, from Kafka (its file source loses events in silence), one statement set, "
        "checkpoints every 10 s. Sessions by a gap of 30 minutes: not compared; distinct users "
        "exactly.",
        warm=True,
        pom="flink-pom.xml",
        variants=(("with object reuse", "true"), ("without object reuse", "false")),
    ),
    "bytewax": Peer(
        "Bytewax",
        "bytewax_flow.py",
        ONE_FILE,
        "bytewax",
        "from one file, each batch of 10,000 lines aggregated before windows see it. Sessions by "
        "marks, in the order of arrival; distinct users exactly. No recovery store.",
        variants=(("with one worker", "1"), ("with two workers", "2")),
        sessions_equal_min=0.93,
    ),
    "pathway": Peer(
        "Pathway",
        "pathway_tables.py",
        FILES,
        "pathway",
        "two threads, from files, static mode (it reads all, then ends), windows without a cutoff "
        "(with one it loses events). Sessions by a gap of 30 minutes: not compared.",
        slow=frozenset({"five"}),
    ),
    "quix": Peer(
        "Quix Streams",
        "quix_streams.py",
        KAFKA,
        "quixstreams",
        "one process, from Kafka, at least once. **Four outputs, not five**: distinct users would "
        "write a state of thousands with each message. Sessions by marks, in the order of "
        "arrival; windows wait 30 minutes for late events (with two, a third of the page views was "
        "lost: partitions drift apart when a topic is read from its beginning).",
        slow=frozenset({"five", "count"}),
        sessions_equal_min=0.93,
    ),
}
