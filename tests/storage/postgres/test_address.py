"""The URL of a profile: what is understood, and that no password comes out."""

from __future__ import annotations

import pytest

from headrace.storage.postgres import address
from headrace.storage.postgres.address import check_options, parse
from headrace.storage.postgres.system import PostgresSystem
from headrace.values.errors import StateRefused, Unreachable, UsageError
from tests.servers.ports import free_port
from tests.servers.postgres import Postgres
from tests.storage.postgres.targets import JOB, target


@pytest.mark.parametrize(
    ("url", "dsn", "shown", "schema"),
    [
        ("postgresql://h/d", "postgresql://h/d", "postgresql://h/d", None),
        ("postgres://u@h:1,i/d?schema=s",
         "postgresql://u@h:1,i/d", "postgresql://u@h:1,i/d?schema=s", "s"),
        ("postgresql://u:p%40w@[::1]/d",
         "postgresql://u:p%40w@[::1]/d", "postgresql://u:***@[::1]/d", None),
        (
            "postgresql:///d?host=/run&password=pw&connect_timeout=3",
            "postgresql:///d?host=%2Frun&password=pw&connect_timeout=3",
            "postgresql:///d?host=%2Frun&password=***&connect_timeout=3",
            None,
        ),
        ("postgresql://h/d?password=a+b%2Bc%20d&&schema=e+f&fallback_application_name=",
         "postgresql://h/d?password=a%2Bb%2Bc%20d&fallback_application_name=",
         "postgresql://h/d?password=***&schema=e%2Bf&fallback_application_name=", "e+f"),
    ],
)  # fmt: skip
def test_urls_are_taken_apart(url: str, dsn: str, shown: str, schema: str | None) -> None:
    found = parse(url)
    assert (found.dsn, found.shown, found.schema) == (dsn, shown, schema)
    assert shown in repr(PostgresSystem(url))


def test_an_option_is_what_the_client_library_takes_it_for() -> None:
    conninfo = pytest.importorskip("psycopg").conninfo
    url = "postgresql://h/d?application_name=a+b%2Bc%20d%3De%26f%25&options=-c%20x%3D1+2"
    assert conninfo.conninfo_to_dict(parse(url).dsn) == conninfo.conninfo_to_dict(url)
    assert parse(url + "&password=p+q").clean("it was p+q") == "it was ***"


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "postgresql://u:sec/ret@h/d", "secret"])
def test_what_is_no_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        PostgresSystem(url)
    assert "sec/ret" not in str(refused.value)
    assert "u:secret" not in str(refused.value)


def test_unknown_options_are_refused_with_the_near_one() -> None:
    with pytest.raises(UsageError, match='Did you mean "connect_timeout"'):
        check_options(parse("postgresql://u:pw@h/d?conect_timeout=3"))


def test_a_missing_library_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ImportError(f"no {name}")

    monkeypatch.setattr(address.importlib, "import_module", fail)
    with pytest.raises(UsageError, match=r'pip install "headrace\[postgres\]"'):
        PostgresSystem("postgresql://h/d").destination(target()).open(JOB, 1)
    (finding,) = PostgresSystem("postgresql://h/d").findings([target()], {})
    assert finding.level == "error"
    assert finding.remedy == 'Install it: pip install "headrace[postgres]"'


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            ("postgres:headrace@", "postgres:s3cr3t@"),
            StateRefused,
            "password authentication failed",
        ),
        (("postgres:headrace@", "nobody:s3cr3t@"), StateRefused, "refused the login"),
        (("/postgres", "/nowhere"), StateRefused, 'database "nowhere" does not exist'),
        (("127.0.0.1", "no-such-host.invalid"), Unreachable, "no-such-host.invalid"),
    ],
)
def test_a_wrong_address_is_refused_in_words(
    postgres: Postgres, change: tuple[str, str], error: type[Exception], words: str
) -> None:
    before, _, after = postgres.dsn().rpartition(change[0])
    system = PostgresSystem(f"{before}{change[1]}{after}")
    with pytest.raises(error, match=words) as refused:
        system.destination(target()).open(JOB, 1)
    assert "s3cr3t" not in str(refused.value)
    assert "s3cr3t" not in repr([*system.findings([], {})])
    assert "headrace@" not in str(refused.value)


def test_nobody_there_may_pass() -> None:
    system = PostgresSystem(f"postgresql://u:s3cr3t@127.0.0.1:{free_port()}/d")
    with pytest.raises(Unreachable, match="(?i)connection refused") as refused:
        system.destination(target()).open(JOB, 1)
    assert "s3cr3t" not in str(refused.value)
    with pytest.raises(Unreachable):
        system.snapshot([])
