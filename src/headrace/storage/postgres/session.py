"""One connection to PostgreSQL, made when it is needed and made anew when it was lost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from headrace.storage.postgres.address import Address, check_options, driver
from headrace.storage.postgres.failures import is_read_only, translated
from headrace.values.errors import HeadraceError

# Where the URL says nothing else: a peer that vanished is noticed within half a minute.
_DEFAULTS = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_NAME_BYTES_MAX = 63
_DIGEST_LETTERS = 12
LOCK_TIMEOUT_SECONDS = 10.0
# A process that stopped in the middle must not hold the mark's lock for ever.
_IDLE_TIMEOUT_SECONDS = 60.0
# Set by a server's owner for people and their queries; a delivery may take its time.
_TIMEOUTS = ["statement_timeout", "transaction_timeout", "idle_session_timeout"]
# Staged rows are kept and sorted in memory: a quarter faster than through the server's disk.
_MEMORY = "64MB"


def connect(address: Address, name: str, *, lock_seconds: float = LOCK_TIMEOUT_SECONDS) -> Any:
    """A new connection, in UTC, that waits `lock_seconds` for a lock; `name` shows at the server.

    Raises what the client library raises, UsageError for options that it does not know.
    """
    psycopg = driver()
    check_options(address)
    given = psycopg.conninfo.conninfo_to_dict(address.dsn)
    options = {key: value for key, value in _DEFAULTS.items() if key not in given}
    connection = psycopg.connect(
        address.dsn, **options, autocommit=True, client_encoding="UTF8", prepare_threshold=None
    )
    with connection.transaction():
        for setting, value in (
            ("application_name", application_name(name)),
            ("TimeZone", "UTC"),
            ("jit", "off"),
            ("lock_timeout", f"{int(lock_seconds * 1000)}ms"),
            ("idle_in_transaction_session_timeout", f"{int(_IDLE_TIMEOUT_SECONDS)}s"),
        ):
            connection.execute("select set_config(%s, %s, false)", (setting, value))
        connection.execute(
            "select set_config('synchronous_commit', 'on', false) "
            "where current_setting('synchronous_commit') not in ('on', 'remote_apply')"
        )
        connection.execute(
            "select set_config(name, '0', false) from pg_settings "
            "where name = any(%s) and source <> 'client'",
            (_TIMEOUTS,),
        )
        for setting in ("work_mem", "temp_buffers"):
            connection.execute(
                "select set_config(%(name)s, %(size)s, false) "
                "where pg_size_bytes(current_setting(%(name)s)) < pg_size_bytes(%(size)s)",
                {"name": setting, "size": _MEMORY},
            )
    return connection


def application_name(name: str) -> str:
    """`name` as the server shows it: ASCII, 63 bytes; what differs beyond looks the same."""
    plain = "".join(c if " " <= c <= "~" else "?" for c in f"headrace {name}")
    return plain[:_NAME_BYTES_MAX]


class Session:
    """A connection for the deliveries of one output; errors come out as Headrace's, in words.

    Its name at the server is of this output of this job in this schema alone: whoever may end
    what was left in the middle must not meet another's.
    """

    def __init__(self, address: Address, job: str, output: str, lock_seconds: float) -> None:
        self.address = address
        self._job, self._output = job, output
        self._lock_seconds = lock_seconds
        self._connection: Any = None
        self.times_connected = 0

    @contextmanager
    def use(self, doing: str, *, opening: bool = False) -> Iterator[Any]:
        """The connection, connected if need be, outside a transaction.

        After an error the transaction is rolled back, and a connection that is lost forgotten.
        """
        psycopg = driver()
        try:
            if self._connection is None:
                self._connection = self._connected()
                self.times_connected += 1
            yield self._connection
        except psycopg.Error as error:
            self._recover()
            if is_read_only(error):
                # A session keeps what it began with; another one may find a server that writes.
                self.close()
            raise translated(error, self.address, doing, opening=opening) from None
        except HeadraceError:
            self._recover()
            raise
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Lets the connection go; the next use makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def end_others(self) -> None:
        """Ends the other connections for this output, of whatever process."""
        self._connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = current_setting('application_name') "
            "and datname = current_database() and usename = current_user "
            "and pid <> pg_backend_pid()"
        )

    def _connected(self) -> Any:
        readable = f"{self._job}/{self._output}"
        connection = connect(self.address, readable, lock_seconds=self._lock_seconds)
        schema = self.address.schema
        if schema is None:
            (schema,) = connection.execute("select current_schema()").fetchone()
        whole = json.dumps([schema, self._job, self._output])
        digest = hashlib.sha256(whole.encode()).hexdigest()[:_DIGEST_LETTERS]
        named = application_name(f"{digest} {readable}")
        connection.execute("select set_config('application_name', %s, false)", (named,))
        return connection

    def _recover(self) -> None:
        if self._connection is None:
            return
        try:
            self._connection.rollback()
        except driver().Error:
            self.close()
