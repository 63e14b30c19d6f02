"""A state file looked at by somebody who does not own it: nothing is made, nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from headrace.storage.state.migrations import MIGRATIONS
from headrace.storage.state.store import FILE_NAME, cannot_open, connect_file, other_version


@dataclass(frozen=True)
class Peeked:
    """The greatest event time of each partition that has given one, by topic."""

    greatest_us: Mapping[str, Mapping[int, int]]


def peek(directory: Path) -> Peeked:
    """What stands in the state file in `directory`, which no process may hold.

    Raises StateRefused for a file of another version, or one that cannot be read.
    """
    path = directory / FILE_NAME
    try:
        connection = connect_file(path, read_only=True)
    except duckdb.Error as error:
        raise cannot_open(path, error) from error
    try:
        facts = dict(connection.execute("select name, value from meta.facts").fetchall())
        if facts.get("format") in MIGRATIONS:
            return Peeked({})  # whoever opens it takes it on
        refused = other_version(path, facts)
        if refused is not None:
            raise refused
        rows = connection.execute(
            "select s.topic, s.greatest_after_us from (select unnest(sources) as s "
            "from meta.epochs where epoch = (select max(epoch) from meta.epochs))"
        ).fetchall()
    except duckdb.Error as error:
        raise cannot_open(path, error) from error
    finally:
        connection.close()
    return Peeked(
        {topic: {p: us for p, us in enumerate(times) if us is not None} for topic, times in rows}
    )
