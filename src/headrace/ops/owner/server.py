"""The owner's side of the socket: a thread that accepts, and one for each who asks."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from multiprocessing.connection import Client as connect
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from headrace.ops.owner import wire
from headrace.ops.owner.lock import Holder
from headrace.values.errors import UsageError, did_you_mean

Progress = Callable[[Mapping[str, Any]], None]
Handler = Callable[[Mapping[str, Any], Progress], wire.Reply]

_END_SECONDS_MAX = 5.0


class ClientGone(Exception):
    """The one who asked has closed the connection: the work for it ends."""


class Server:
    """Answers on a unix socket until `close`; requests wait until there are handlers."""

    def __init__(self, path: Path, holder: Holder) -> None:
        path.unlink(missing_ok=True)  # left over from a process that was killed
        self._listener = Listener(str(path), family="AF_UNIX")
        path.chmod(0o600)
        self._path = path
        self._holder = holder
        self._handlers: Mapping[str, Handler] = {}
        self._ready = threading.Event()
        self._closing = False
        self._open: dict[Connection, threading.Thread] = {}
        self._busy = 0
        # Whether requests under way are no longer waited for: what they need may be closed.
        self._left_behind = False
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._accept, name="headrace-socket", daemon=True)
        self._thread.start()

    def serve(self, handlers: Mapping[str, Handler]) -> None:
        """Answers requests by `handlers` from now on; each is called in a thread of its own."""
        self._handlers = handlers
        self._ready.set()

    def drain(self, timeout_seconds: float) -> None:
        """Takes no more requests, and waits for those that are being answered.

        What fails of those that take longer fails for want of the state: that is no answer, and
        whoever asked is hung up on, to ask the next owner.
        """
        if not self._closing:
            self._closing = True
            self._ready.set()
            with contextlib.suppress(OSError):
                connect(str(self._path), family="AF_UNIX").close()  # wakes `accept`
            self._thread.join()
            self._listener.close()
            self._path.unlink(missing_ok=True)
        end = time.monotonic() + timeout_seconds
        with self._change:
            while self._busy and (left := end - time.monotonic()) > 0:
                self._change.wait(left)
            self._left_behind = self._busy > 0

    def close(self) -> None:
        """Ends every conversation; whoever was waiting asks the next owner.

        A thread that outlived the process's end would hold on to what the state's file closes.
        """
        self.drain(timeout_seconds=0)
        with self._change:
            threads = list(self._open.values())
            for connection in self._open:
                wire.hang_up(connection)  # its own thread closes it
        end = time.monotonic() + _END_SECONDS_MAX
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _accept(self) -> None:
        while not self._closing:
            try:
                connection = self._listener.accept()
            except OSError:
                continue  # the client left before it was let in
            if self._closing or not wire.is_same_user(connection):
                connection.close()
                continue
            thread = threading.Thread(
                target=self._converse, args=(connection,), name="headrace-guest", daemon=True
            )
            with self._change:
                self._open[connection] = thread
            thread.start()

    def _converse(self, connection: Connection) -> None:
        try:
            with contextlib.suppress(OSError, EOFError, ClientGone):
                hello = {"version": wire.VERSION, "holder": self._holder.to_json()}
                wire.send(connection, "hello", hello)
                while True:
                    kind, content = wire.receive(connection)
                    self._answer(connection, content["name"], content["request"])
        finally:
            with self._change:
                self._open.pop(connection, None)
                connection.close()

    def answer(self, name: str, request: Mapping[str, Any]) -> wire.Reply:
        """The reply to a request of the owner's own process; `drain` waits for it as for others.

        Raises ClientGone once no more requests are taken.
        """
        with self._under_way():
            return self._handled(name, request, lambda content: None)

    def _answer(self, connection: Connection, name: str, request: Mapping[str, Any]) -> None:
        def progress(content: Mapping[str, Any]) -> None:
            try:
                wire.send(connection, "progress", content)
            except OSError as error:
                raise ClientGone from error

        with self._under_way():
            try:
                messages = wire.reply_messages(self._handled(name, request, progress))
                first = next(messages)
            except ClientGone:
                raise
            except Exception as error:
                if self._left_behind:
                    raise
                wire.send(connection, "error", wire.error_content(error, traceback.format_exc()))
            else:
                for message in chain([first], messages):
                    connection.send_bytes(message)

    def _handled(self, name: str, request: Mapping[str, Any], progress: Progress) -> wire.Reply:
        handler = self._handlers.get(name)
        if handler is None:
            raise UsageError(
                f"{self._holder} cannot answer {name!r}",
                remedy=did_you_mean(name, self._handlers),
            )
        return handler(request, progress)

    @contextlib.contextmanager
    def _under_way(self) -> Iterator[None]:
        """Once there are handlers; what is under way is waited for, and fails as `drain` says."""
        self._ready.wait()
        with self._change:
            if self._closing:
                raise ClientGone
            self._busy += 1
        try:
            yield
        except Exception as error:
            if self._left_behind:
                raise ClientGone from error
            raise
        finally:
            with self._change:
                self._busy -= 1
                self._change.notify_all()
