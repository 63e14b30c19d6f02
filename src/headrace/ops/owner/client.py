"""The asking side of the socket."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from multiprocessing.connection import Client as connect
from types import TracebackType
from typing import Any

from headrace.ops.owner import wire
from headrace.ops.owner.lock import Holder
from headrace.ops.owner.server import Progress
from headrace.values.errors import StateRefused

_POLL_SECONDS = 0.1


class HolderGone(Exception):
    """The holder ended (or was killed) before it had answered."""


class NotAnswering(Exception):
    """Something listens there, but says nothing in time."""


class Client:
    """A conversation with the owner of a job; use as a context manager.

    Raises HolderGone when nobody listens at `address`, NotAnswering when it stays silent,
    StateRefused when it speaks another version.
    """

    def __init__(self, address: str, timeout_seconds: float) -> None:
        try:
            self._connection = connect(address, family="AF_UNIX")
        except OSError as error:
            raise HolderGone(address) from error
        try:
            if not self._connection.poll(timeout_seconds):
                raise NotAnswering(address)
            _, hello = wire.receive(self._connection)
        except (OSError, EOFError) as error:
            self._connection.close()
            raise HolderGone(address) from error
        except NotAnswering:
            self._connection.close()
            raise
        self.holder = Holder(**hello["holder"])
        if hello["version"] != wire.VERSION:
            self._connection.close()
            raise StateRefused(
                f"{self.holder} is another version of Headrace",
                remedy="Stop it and start it again with this version.",
            )

    def call(self, name: str, request: Mapping[str, Any], progress: Progress) -> wire.Reply:
        """Asks, tells `progress` what comes in between, and returns the reply.

        Raises the holder's error, HolderFailed where that was unexpected, HolderGone.
        """
        kind, content = self._exchange({"name": name, "request": request})
        while kind == "progress":
            progress(content)
            kind, content = self._exchange()
        if kind == "error":
            wire.raise_error(content)
        try:
            return wire.receive_reply(self._connection, content)
        except (OSError, EOFError) as error:
            raise HolderGone(str(self.holder)) from error

    def _exchange(self, request: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Sends `request` if there is one, and takes the next message."""
        try:
            if request is not None:
                wire.send(self._connection, "request", request)
            return wire.receive(self._connection)
        except (OSError, EOFError) as error:
            raise HolderGone(str(self.holder)) from error

    def wait_until_gone(self, stop: threading.Event | None = None) -> None:
        """Blocks until the holder closes the conversation, which its end does at the latest.

        Or until `stop` is set.
        """
        try:
            while stop is None or not stop.is_set():
                if stop is None or self._connection.poll(_POLL_SECONDS):
                    self._connection.recv_bytes()
        except (OSError, EOFError):
            return

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
