"""Kafka and PostgreSQL where there are no containers: `make servers`, until Ctrl-C.

Data and ports are kept from one run to the next in the directory that is named.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import signal
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

from tests.servers import guard
from tests.servers.class_archive import archive_options
from tests.servers.kafka import LONG_LIVED, Kafka
from tests.servers.missing import Missing
from tests.servers.ports import free_port
from tests.servers.postgres import Postgres
from tests.servers.process import Server, ServerFailed
from tests.servers.profiles import profile_text

DATABASE = "stream_data"
NAMES = ("kafka", "postgres")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path(".servers"), help="for all data")
    directory = parser.parse_args(arguments).directory.resolve()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with alone_in(directory):
            serve(directory)
    except KeyboardInterrupt:
        print("\nKafka and PostgreSQL are stopped.")
        return 0
    except (Missing, ServerFailed, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def serve(directory: Path) -> None:
    """Returns never; raises ServerFailed where a server ends by itself."""
    ports = kept_ports(directory / "ports.json")
    java_options = [*LONG_LIVED, *archive_options()]
    kafka = Kafka(directory / "kafka", port=ports["kafka"], java_options=java_options)
    postgres = Postgres(directory / "postgres", port=ports["postgres"])
    with contextlib.ExitStack() as stack:
        for server in (kafka, postgres):
            guard.watch(server.directory, keep=True)
            stack.callback(server.stop)
        print("Kafka and PostgreSQL start …", flush=True)
        kafka.start(wait=False)
        postgres.start()
        kafka.wait_until_ready()
        if DATABASE not in postgres.databases():
            postgres.create_database(DATABASE)
        profile = profile_text(kafka.bootstrap_servers, postgres.dsn(DATABASE))
        print(
            f"Both run, for this machine alone; their data stay in {directory}\n"
            "For headrace.toml, to be used with --profile servers:\n\n"
            f"{textwrap.indent(profile, '    ')}\n"
            "Ctrl-C stops both.",
            flush=True,
        )
        watch(kafka, postgres)


def watch(*servers: Server) -> None:
    while True:
        time.sleep(0.5)
        for server in servers:
            if not server.running:
                raise ServerFailed(f"{server.name} has ended:\n{server.log_tail()}")


@contextlib.contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServerFailed(f"servers run in {directory} already") from None
        yield


def kept_ports(path: Path) -> dict[str, int]:
    """The ports of the run before, so that a profile that was written down stays true."""
    if not path.exists():
        path.write_text(json.dumps({name: free_port() for name in NAMES}))
    ports: dict[str, int] = json.loads(path.read_text())
    return ports


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
