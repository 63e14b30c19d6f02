"""What `headrace doctor` says of a cluster and its topics; never raises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from headrace.storage.contract import Finding, Target
from headrace.storage.kafka import appender, marks
from headrace.storage.kafka.cluster import Cluster
from headrace.storage.kafka.topic_settings import change, of_reading, of_safety, of_writing
from headrace.values.errors import HeadraceError, TopicRefused, Unreachable

_CREATE = "headrace run APP --create-topics"


def findings_of(
    cluster: Cluster, targets: Sequence[Target], topics: Mapping[str, int]
) -> list[Finding]:
    """Whether the cluster answers, and each topic read or written: there, as declared, allowed."""
    subject = cluster.address.shown
    try:
        brokers = cluster.brokers()
        words = "1 broker" if brokers == 1 else f"{brokers} brokers"
        found = [Finding("ok", subject, f"answers; cluster {cluster.cluster_id()}, {words}")]
    except HeadraceError as error:
        remedy, silent = error.remedy or "Is the broker running?", isinstance(error, Unreachable)
        return [Finding("error", subject, error.what, remedy, unreachable=silent)]
    written = {t.name: t.partitions for t in targets if t.role == "topic"}
    keyed = set(written) - {t.name for t in targets if "key" not in t.required}
    for right, named in (("READ", topics), ("WRITE", written)):
        for name, partitions in named.items():
            topic = _topic(cluster, name, partitions, right)
            found.append(topic)
            if topic.level == "ok":
                found += _settings(cluster, name, right, brokers, keyed=name in keyed)
    if written:
        found.append(_notes(cluster, marks.TOPIC, "what was delivered", "error"))
    # Only who ingests writes there.
    found.append(_notes(cluster, appender.TOPIC, "what was ingested", "warning"))
    return found


def _topic(cluster: Cluster, name: str, partitions: int, right: str) -> Finding:
    subject = f"topic {name}"
    try:
        about = cluster.about(name)
        allowed = cluster.rights(name)
        begin = sum(cluster.offsets(name, about.partitions, "begin"))
        end = sum(cluster.offsets(name, about.partitions, "end"))
    except HeadraceError as error:
        remedy = _CREATE if _CREATE in (error.remedy or "") else error.remedy
        silent = isinstance(error, Unreachable)
        return Finding("error", subject, error.what, remedy, unreachable=silent)
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


def _settings(
    cluster: Cluster, name: str, right: str, brokers: int, *, keyed: bool
) -> Iterator[Finding]:
    """What the settings of a topic that is there may do to it, and to rows for it."""
    servers = cluster.address.servers
    try:
        settings, replicas = cluster.settings(name), cluster.about(name).replicas
    except TopicRefused:
        return  # no job needs the right to see them
    except HeadraceError as error:
        yield Finding("warning", f"topic {name}", error.what, error.remedy)
        return
    if right == "READ":
        yield from of_reading(servers, name, settings)
    else:
        yield from of_writing(servers, name, settings, replicas, keyed=keyed)
    yield from of_safety(servers, name, settings, replicas, brokers)


def _notes(cluster: Cluster, name: str, what: str, level: str) -> Finding:
    """A compacted topic of Headrace's own; `level` is how bad it is that it cannot be used."""
    subject = f"topic {name}"
    try:
        cluster.about(name)
        allowed = cluster.rights(name)
        policy = cluster.settings(name).get("cleanup.policy")
    except TopicRefused as error:
        if _CREATE in (error.remedy or ""):
            return Finding("ok", subject, f"is made when it is needed; it will note {what}")
        return Finding("warning", subject, error.what, error.remedy)
    except HeadraceError as error:
        return Finding("warning", subject, error.what, error.remedy)
    lacking = [] if allowed is None or "ALL" in allowed else sorted({"READ", "WRITE"} - allowed)
    if lacking:
        rights = " and ".join(lacking)
        text = f"the user may not {rights.lower()} it: it notes {what}"
        mend = f"Grant the user {rights} on topic {name}."
        return Finding("error" if level == "error" else "warning", subject, text, mend)
    if policy == "compact":
        return Finding("ok", subject, f"notes {what}")
    mend = change(cluster.address.servers, name, "cleanup.policy", "compact")
    return Finding("error", subject, f"has cleanup.policy={policy}: it forgets {what}", mend)
