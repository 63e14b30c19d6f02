"""One owner, many readers: the lock and the socket of a job's directory."""

from headrace.ops.owner.client import Client, HolderGone
from headrace.ops.owner.lock import Held, Holder
from headrace.ops.owner.owner import (
    RUN,
    Owner,
    acquire,
    acquire_to_run,
    perform,
    reach_or_acquire,
)
from headrace.ops.owner.server import Handler, Progress
from headrace.ops.owner.wire import HolderFailed, Reply

__all__ = [
    "RUN",
    "Client",
    "Handler",
    "Held",
    "Holder",
    "HolderFailed",
    "HolderGone",
    "Owner",
    "Progress",
    "Reply",
    "acquire",
    "acquire_to_run",
    "perform",
    "reach_or_acquire",
]
