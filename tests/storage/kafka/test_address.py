"""URLs and properties of a cluster, and what is never shown of them."""

from __future__ import annotations

import pytest

from headrace.storage.kafka.address import OWNED, Address
from headrace.storage.kafka.system import KafkaSystem
from headrace.values.errors import UsageError

PROPERTIES = {
    "sasl.password": "geheim",
    "ssl.key.password": "noch geheimer",
    "ssl.key.pem": "-----BEGIN",
    "sasl.oauthbearer.client.secret": "s3cret",
    "linger.ms": "20",
}


@pytest.mark.parametrize(
    ("url", "shown", "servers"),
    [
        ("kafka://one:9092,two:9093", "kafka://one:9092,two:9093", "one:9092,two:9093"),
        ("kafka://one,two:1/", "kafka://one:9092,two:1", "one:9092,two:1"),
        ("kafka://[::1]:9094,[::2]", "kafka://[::1]:9094,[::2]:9092", "[::1]:9094,[::2]:9092"),
        ("kafka://ann:p%40ss@one", "kafka://ann:***@one:9092", "one:9092"),
    ],
)
def test_a_url_names_brokers_and_shows_no_password(url: str, shown: str, servers: str) -> None:
    address = Address.parse(url, {})
    assert (address.shown, address.servers) == (shown, servers)
    assert address.client({}, {})["bootstrap.servers"] == servers


def test_a_login_never_goes_in_the_clear_by_itself() -> None:
    client = Address.parse("kafka://ann:p%40ss@one", {}).client({}, {})
    assert client["sasl.username"] == "ann"
    assert client["sasl.password"] == "p@ss"
    assert client["security.protocol"] == "SASL_SSL"
    asked = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512"}
    client = Address.parse("kafka://ann:x@one", asked).client({}, {})
    assert asked.items() <= client.items()


def test_properties_win_over_defaults_and_not_over_what_is_owned() -> None:
    address = Address.parse("kafka://one", PROPERTIES)
    client = address.client({"linger.ms": 5, "a": 1}, {"isolation.level": "read_committed"})
    assert client["linger.ms"] == "20" and client["a"] == 1
    for name in OWNED:
        with pytest.raises(UsageError, match="cannot be set"):
            Address.parse("kafka://one", {name: "x"})


def test_secrets_are_not_shown() -> None:
    address = Address.parse("kafka://ann:hush@one", PROPERTIES)
    secrets = ("geheim", "noch geheimer", "-----BEGIN", "s3cret", "20")
    said = address.scrubbed(f"no access with {' or '.join(secrets)}")
    assert said == "no access with *** or noch ***er or *** or *** or 20"
    assert not any(secret in repr(address) for secret in [*secrets[:-1], "hush"])


@pytest.mark.parametrize(
    "url", ["kafka://", "kafka://ann@one", "kafka://one/topic", "kafka://one?x=1", "http://one"]
)
def test_a_url_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Address.parse(url.replace("ann", "ann:"), {})
    assert "kafka://" in str(caught.value)


@pytest.mark.parametrize("name", ["linger", "security.protocol"])
def test_properties_that_the_client_refuses_are_a_usage_error(name: str) -> None:
    system = KafkaSystem("kafka://127.0.0.1:1", {name: "nonsense", "sasl.password": "geheim"})
    with pytest.raises(UsageError, match=f"{name}.*\n.*CONFIGURATION"):
        system.topic("t", 1)
    assert [f.level for f in system.findings([], {})] == ["error"]
    system.close()
