"""What `headrace doctor` says of a cluster and its topics; never raises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headrace.storage.contract import Finding, Target
from headrace.storage.kafka import appender, marks
from headrace.storage.kafka.cluster import Cluster
from headrace.values.errors import HeadraceError, TopicRefused, Unreachable

_CREATE = "headrace run APP --create-topics"


def findings_of(
    cluster: Cluster, targets: Sequence[Target], topics: Mapping[str, int]
) -> list[Finding]:
    """Whether the cluster answers, and each topic read or written: there, as declared, allowed."""
    subject = cluster.address.shown
    try:
        answers = f"answers; cluster {cluster.cluster_id()}, {cluster.brokers()}"
    except HeadraceError as error:
        remedy, silent = error.remedy or "Is the broker running?", isinstance(error, Unreachable)
        return [Finding("error", subject, error.what, remedy, unreachable=silent)]
    found = [Finding("ok", subject, answers)]
    written = {t.name: t.partitions for t in targets if t.role == "topic"}
    for name, partitions in topics.items():
        found.append(_topic(cluster, name, partitions, "READ"))
    for name, partitions in written.items():
        found.append(_topic(cluster, name, partitions, "WRITE"))
    if written:
        found.append(_notes(cluster, marks.TOPIC, "what was delivered"))
    found.append(_notes(cluster, appender.TOPIC, "what was ingested"))
    return found


def _topic(cluster: Cluster, name: str, partitions: int, right: str) -> Finding:
    subject = f"topic {name}"
    try:
        about = cluster.about(name)
        allowed = cluster.rights(name)
        begin = sum(cluster.offsets(name, about.partitions, "begin"))
        end = sum(cluster.offsets(name, about.partitions, "end"))
    except TopicRefused as error:
        return Finding("error", subject, error.what, _CREATE)
    except HeadraceError as error:
        return Finding("error", subject, error.what, error.remedy)
    grown = right == "READ" and about.partitions > partitions
    if about.partitions != partitions and not grown:
        text = f"has {about.partitions} partitions, {partitions} are declared"
        remedy = f"Declare {about.partitions} partitions, or use another topic."
        return Finding("error", subject, text, remedy)
    if allowed is not None and not {right, "ALL"} & allowed:
        text = f"the user may not {right.lower()} it"
        return Finding("error", subject, text, f"Grant the user {right} on topic {name}.")
    words = "1 partition" if about.partitions == 1 else f"{about.partitions} partitions"
    if grown:
        words += f" ({partitions} are declared)"
    return Finding("ok", subject, f"{words}, {end - begin:,} offsets")


def _notes(cluster: Cluster, name: str, what: str) -> Finding:
    """A compacted topic of Headrace's own."""
    subject = f"topic {name}"
    try:
        policy = cluster.settings(name).get("cleanup.policy")
    except TopicRefused:
        return Finding("ok", subject, f"is made when it is needed; it will note {what}")
    except HeadraceError as error:
        return Finding("warning", subject, error.what, error.remedy)
    if policy == "compact":
        return Finding("ok", subject, f"notes {what}")
    remedy = (
        f"kafka-configs.sh --alter --entity-type topics --entity-name {name} "
        "--add-config cleanup.policy=compact"
    )
    return Finding("error", subject, f"has cleanup.policy={policy}: it forgets {what}", remedy)
