"""Where a PostgreSQL is: the URL in a profile, what may be shown of it, and the client library."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

from headrace.values.errors import UsageError, did_you_mean
from headrace.values.masking import MASK, is_secret, masked_url

_URL = re.compile(
    r"(?P<scheme>postgres(?:ql)?)://"
    r"(?:(?P<user>[^:@/?]*)(?::(?P<password>[^@/?]*))?@)?"
    r"(?P<hosts>[^/?@]*)(?:/(?P<database>[^?@]*))?(?:\?(?P<query>.*))?\Z",
    re.DOTALL,
)


@dataclass(frozen=True, repr=False)
class Address:
    """A URL taken apart: `dsn` for the client, `shown` for all; `schema` None: the search path.

    `secrets` are the texts that `clean` takes out of what a server or a library says.
    """

    dsn: str
    shown: str
    schema: str | None
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Address({self.shown!r})"

    def clean(self, text: str) -> str:
        """`text` on one line, without secrets."""
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return " ".join(text.split())


def parse(url: str) -> Address:
    """The address of `postgresql://user:password@host:port/database?schema=…&option=…`.

    Every other option goes to the client library as it stands. Raises UsageError, without the
    password in it.
    """
    found = _URL.match(url.strip())
    if found is None:
        raise UsageError(
            f'"{masked_url(url)}" is not the URL of a PostgreSQL',
            remedy="Write postgresql://user:password@host/database; in user and password "
            f"@ is written {quote('@')}, / is written {quote('/', safe='')}, : is written %3A.",
        )
    options = _options(found["query"] or "")
    schemas = [value for name, value in options if name == "schema"]
    passed = [(name, value) for name, value in options if name != "schema"]
    secrets = [value for name, value in passed if is_secret(name)]
    if found["password"]:
        secrets += [found["password"], unquote(found["password"])]
    place = f"{found['hosts']}/{found['database'] or ''}"
    login = found["user"] or ""
    hidden = [(name, MASK if is_secret(name) else value) for name, value in options]
    shown_login = login + (f":{MASK}" if found["password"] else "")
    whole_login = login + (f":{found['password']}" if found["password"] else "")
    return Address(
        dsn=_joined(whole_login, place, passed),
        shown=_joined(shown_login, place, hidden),
        schema=schemas[-1] if schemas else None,
        # Longest first: one may be part of another.
        secrets=tuple(sorted({s for s in secrets if s}, key=len, reverse=True)),
    )


def _options(query: str) -> list[tuple[str, str]]:
    """Names and values as libpq takes them: a plus is a plus, unlike in a form of the web."""
    pieces = [piece.partition("=") for piece in query.split("&") if piece]
    return [(unquote(name), unquote(value)) for name, _, value in pieces]


def _joined(login: str, place: str, options: list[tuple[str, str]]) -> str:
    at = f"{login}@" if login else ""
    query = f"?{urlencode(options, quote_via=quote, safe='*')}" if options else ""
    return f"postgresql://{at}{place}{query}"


def driver() -> Any:
    """The client library psycopg; UsageError with the command that installs it when missing."""
    try:
        return importlib.import_module("psycopg")
    except ImportError as error:
        raise UsageError(
            f"PostgreSQL needs the client library psycopg, which cannot be loaded: {error}",
            remedy='Install it: pip install "headrace[postgres]"',
        ) from error


def check_options(address: Address) -> None:
    """Raises UsageError when the client library does not know an option of the URL."""
    psycopg = driver()
    try:
        psycopg.conninfo.conninfo_to_dict(address.dsn)
    except psycopg.ProgrammingError as error:
        words = address.clean(str(error))
        known = [option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()]
        named = re.search(r'parameter: "([^"]*)"', words)
        hint = did_you_mean(named[1], ["schema", *known]) if named else None
        raise UsageError(f"{address.shown}: {words}", remedy=hint) from None
