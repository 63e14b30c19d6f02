"""Kafka's classes as Java keeps them in memory, in a file: a broker starts with half the work.

Written once by a broker that is started and stopped for it, for these jars and this Java. Java
itself checks that the file fits, and does without it where it does not.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.servers.cached import cache_directory, made_once
from tests.servers.jars import classpath, java, java_version, short_hash
from tests.servers.kafka import SHORT_LIVED, Kafka
from tests.servers.process import temporary_directory


@cache
def archive_options() -> tuple[str, ...]:
    """Options of `java` that use the archive; it is made where it is not there. Raises Missing."""
    key = short_hash((java_version(java()) + classpath()).encode())
    return (f"-XX:SharedArchiveFile={made_once(cache_directory() / f'{key}.jsa', _write)}",)


def _write(path: Path) -> None:
    with temporary_directory("archive") as directory:
        options = [*SHORT_LIVED, f"-XX:ArchiveClassesAtExit={path}"]
        kafka = Kafka(directory, java_options=options)
        kafka.start()
        kafka.create_topic("topic")
        kafka.stop()
    path.touch()  # a Java that writes none is not asked again
