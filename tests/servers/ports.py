"""Free ports on the loopback address."""

from __future__ import annotations

import random
import socket

HOST = "127.0.0.1"

# Below the ports that systems give to outgoing connections. A client that keeps trying to reach a
# server that is down may be given the server's own port there: it then talks with itself, and the
# server cannot come back.
LOWEST, HIGHEST = 20_000, 32_000

_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on now and that this process has not been given before."""
    while True:
        port = random.SystemRandom().randint(LOWEST, HIGHEST)
        if port not in _given and is_free(port):
            _given.add(port)
            return port


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True
