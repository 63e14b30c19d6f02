"""Messages between the owner of a job and those who ask it: JSON headers, Arrow for rows.

Nothing on the wire can run code (no pickle). A conversation: the owner says `hello` (who it is),
the client sends one `request`, the owner answers with any number of `progress` and one `reply` or
`error`. A reply with rows is followed by Arrow streams of one batch each and an empty message.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from os import dup, getuid
from typing import Any

import pyarrow as pa

from headrace.values import errors
from headrace.values.errors import DefinitionError, HeadraceError, public_name

VERSION = 1
BATCH_ROWS = 100_000


@dataclass(frozen=True)
class Reply:
    """The answer to a request: a header that JSON can carry, and rows where there are any."""

    header: Mapping[str, Any] = field(default_factory=dict)
    table: pa.Table | None = None


class HolderFailed(Exception):
    """The holder met an unexpected error; `trace` is its stack trace."""

    def __init__(self, what: str, trace: str) -> None:
        super().__init__(what)
        self.trace = trace


def send(connection: Connection, kind: str, content: Mapping[str, Any]) -> None:
    connection.send_bytes(_message(kind, content))


def _message(kind: str, content: Mapping[str, Any]) -> bytes:
    # What JSON does not know, such as a time among the keys of a difference, is shown as text.
    message = {"kind": kind, "content": content}
    return json.dumps(message, ensure_ascii=False, default=str).encode()


def receive(connection: Connection) -> tuple[str, dict[str, Any]]:
    message = json.loads(connection.recv_bytes())
    return message["kind"], message["content"]


def reply_messages(reply: Reply) -> Iterator[Any]:
    """The messages of a reply, in their order, as bytes."""
    yield _message("reply", {"header": reply.header, "rows": reply.table is not None})
    if reply.table is None:
        return
    batches = reply.table.to_batches(max_chunksize=BATCH_ROWS)
    for batch in batches or [pa.RecordBatch.from_pylist([], schema=reply.table.schema)]:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, reply.table.schema) as writer:
            writer.write_batch(batch)
        yield sink.getvalue()
    yield b""


def receive_reply(connection: Connection, content: Mapping[str, Any]) -> Reply:
    """The reply whose first message was `content`."""
    if not content["rows"]:
        return Reply(content["header"])
    tables = []
    while part := connection.recv_bytes():
        tables.append(pa.ipc.open_stream(part).read_all())
    return Reply(content["header"], pa.concat_tables(tables))


def error_content(error: BaseException, trace: str) -> dict[str, Any]:
    """An error as data; unexpected ones carry their stack trace."""
    if not isinstance(error, HeadraceError):
        return {"class": None, "what": f"{type(error).__name__}: {error}", "trace": trace}
    content: dict[str, Any] = {
        "class": public_name(error),
        "what": error.what,
        "remedy": error.remedy,
    }
    if isinstance(error, DefinitionError):
        for name in ("expression", "position", "where"):
            content[name] = getattr(error, name)
    return content


def raise_error(content: Mapping[str, Any]) -> None:
    """Raises here what `error_content` described there."""
    if content["class"] is None:
        raise HolderFailed(content["what"], content["trace"])
    arguments = {name: value for name, value in content.items() if name not in ("class", "what")}
    raise getattr(errors, content["class"])(content["what"], **arguments)


def hang_up(connection: Connection) -> None:
    """Ends the conversation for both sides, also while another thread waits for a message."""
    with contextlib.suppress(OSError), socket.socket(fileno=dup(connection.fileno())) as other:
        other.shutdown(socket.SHUT_RDWR)


def is_same_user(connection: Connection) -> bool:
    """Whether the other end runs as this user, where the system can tell (Linux)."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True  # the socket's directory is closed to others
    with socket.socket(fileno=dup(connection.fileno())) as other:
        size = struct.calcsize("3i")
        _, uid, _ = struct.unpack("3i", other.getsockopt(socket.SOL_SOCKET, option, size))
    return bool(uid == getuid())
