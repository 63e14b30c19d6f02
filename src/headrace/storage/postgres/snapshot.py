"""Tables as they are at one moment, read as Arrow batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pyarrow as pa

from headrace.storage.contract import Target
from headrace.storage.postgres import catalog
from headrace.storage.postgres.address import Address, driver
from headrace.storage.postgres.decode import Decoder, selected
from headrace.storage.postgres.failures import translated
from headrace.storage.postgres.session import connect
from headrace.storage.postgres.shape import Shape
from headrace.values.errors import StateRefused
from headrace.values.schema import quote

_BEGIN = "begin transaction isolation level repeatable read, read only"


class PostgresSnapshot:
    """A view of a database from one moment on; each reader has a connection of its own.

    The moment lasts until `close`; readers that are not at their end are cut off then.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        with _words(address), ExitStack() as self._open:
            self._moment = self._connected()
            self._moment.execute(_BEGIN)
            exported = self._moment.execute("select pg_export_snapshot()").fetchone()
            self._id = str(exported[0])
            self._schema = catalog.schema_of(self._moment, address.schema)
            self._open = self._open.pop_all()  # all is well: closed by `close`, not here

    def rows(self, target: Target) -> pa.RecordBatchReader:
        """The rows of the table, with the columns of the target, in pieces of some thousands.

        Raises StateRefused when the table is missing or does not fit, and Unreachable, both also
        while it is read.
        """
        shape = Shape(target)
        with _words(self._address):
            table = catalog.relation(self._moment, self._schema, target.name)
            if table is None:
                raise StateRefused(
                    f'There is no table "{target.name}" in the schema "{self._schema}"',
                    remedy=f'Run the job "{target.job}": it makes it.',
                )
            there = {c.name for c in catalog.found(self._moment, table).columns}
        if missing := [name for name in shape.names if name not in there]:
            raise StateRefused(
                f'Table "{target.name}" has no column {", ".join(missing)}',
                remedy="Start the job: it says how to mend the table.",
            )
        decoder = Decoder(target.columns, shape.kinds)
        return pa.RecordBatchReader.from_batches(decoder.schema, self._read(shape, decoder))

    def close(self) -> None:
        """Lets go of the moment."""
        self._open.close()

    def _connected(self) -> Any:
        connection = connect(self._address, "snapshot")
        self._open.callback(connection.close)
        # The moment may be held for long with nothing asked of it.
        connection.execute("set idle_in_transaction_session_timeout = 0")
        return connection

    def _read(self, shape: Shape, decoder: Decoder) -> Iterator[pa.RecordBatch]:
        columns = ", ".join(selected(name, kind) for name, kind in shape.kind.items())
        place = f"{quote(self._schema)}.{quote(shape.target.name)}"
        with _words(self._address):
            connection = self._connected()
            connection.execute(_BEGIN)
            connection.execute(f"set transaction snapshot '{self._id}'")
            asked = f"copy (select {columns} from {place}) to stdout (format binary)"
            with connection.cursor().copy(asked) as copy:
                yield from decoder.batches(copy)
            connection.close()


@contextmanager
def _words(address: Address) -> Iterator[None]:
    """Turns errors of the client library into Headrace's, with the server's words."""
    error_type = driver().Error
    try:
        yield
    except error_type as error:
        raise translated(error, address, "show its tables", opening=True) from None
