"""Where a cluster is and how to talk to it: the URL and the properties of a profile.

Invariant: no secret leaves this module but into a client's configuration; `scrubbed` takes them
out of whatever a client says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from headrace.values.errors import UsageError
from headrace.values.masking import MASK, is_secret

SCHEME = "kafka://"
_PORT = "9092"
# What exactly-once and the engine's own offsets rest on.
OWNED = {
    "bootstrap.servers": "the URL names the brokers",
    "metadata.broker.list": "the URL names the brokers",
    "enable.auto.commit": "offsets are kept in the job's own state",
    "enable.auto.offset.store": "offsets are kept in the job's own state",
    "enable.partition.eof": "it tells where a partition ends",
    "auto.offset.reset": "an offset that is gone must stop the job",
    "isolation.level": "aborted transactions are not read",
    "group.id": "it is made from the job's name",
    "transactional.id": "it is made from the job and the output",
    "enable.idempotence": "every record is written once",
    "acks": "every record is on all replicas in sync",
}


@dataclass(frozen=True)
class Address:
    """A cluster's brokers and the client properties given for it.

    `shown` is the URL without a password. Make one with `parse`.
    """

    shown: str
    servers: str
    properties: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, url: str, properties: Mapping[str, Any]) -> Address:
        """From `kafka://[user:password@]host[:port][,host…]`; UsageError when it is none."""
        if not url.startswith(SCHEME):
            raise UsageError(f"A Kafka cluster is named {SCHEME}host:port,host:port")
        login, at, places = url[len(SCHEME) :].rstrip("/").rpartition("@")
        user, _, password = login.partition(":")
        if not places or any(mark in places for mark in "/?# ") or (at and not (user and password)):
            raise UsageError(
                "The URL of the Kafka cluster does not read as kafka://user:password@host:port",
                remedy="Name hosts and ports only; give everything else as properties: "
                'kafka.security.protocol = "SASL_SSL"',
            )
        hosts = [h if h.rpartition(":")[2].isdecimal() else f"{h}:{_PORT}" for h in _hosts(places)]
        given = dict(properties)
        for name in OWNED.keys() & given.keys():
            raise UsageError(
                f"The property kafka.{name} cannot be set: {OWNED[name]}",
                remedy=f"Remove kafka.{name} from the profile.",
            )
        if at:
            # Never in the clear unless somebody asks for it.
            given = {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "PLAIN",
                "sasl.username": unquote(user),
                "sasl.password": unquote(password),
            } | given
        servers = ",".join(hosts)
        masked = f"{user}:{MASK}@" if at else ""
        return cls(f"{SCHEME}{masked}{servers}", servers, given)

    def client(self, defaults: Mapping[str, Any], owned: Mapping[str, Any]) -> dict[str, Any]:
        """A client's configuration: `defaults`, then the profile's properties, then `owned`."""
        quiet = {"log_level": 0, "reconnect.backoff.max.ms": 1000, "client.id": "headrace"}
        return {**quiet, **defaults, **self.properties, **owned, "bootstrap.servers": self.servers}

    def scrubbed(self, text: str) -> str:
        """`text` without the values of secret properties."""
        for name, value in self.properties.items():
            if is_secret(name) and str(value):
                text = text.replace(str(value), MASK)
        return text


def _hosts(places: str) -> list[str]:
    return [host for host in places.split(",") if host]
