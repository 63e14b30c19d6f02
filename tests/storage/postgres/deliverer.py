"""A process that delivers epochs to a table until it is done, killed, or the server is gone.

`python -m tests.storage.postgres.deliverer DSN INCARNATION EPOCHS GENERATION` goes on after the
mark that is there; it prints the mark it found and each epoch that was taken. Every epoch upserts
ten rows, deletes one of the epoch before, and has one row that a table with a check refuses. With
`replace` behind it, the table is replaced by what these epochs leave, and one row that is refused.
"""

from __future__ import annotations

import sys
from typing import Any

from headrace.storage.postgres.system import PostgresSystem
from tests.children import finished, start
from tests.storage.postgres.targets import JOB, delivery, mark, target

OF = target("totals", (("k", "BIGINT"), ("v", "BIGINT")), ["k"], required=("k",))
ROWS = 12


def changes(epoch: int) -> list[tuple[Any, ...]]:
    upserts = [("u", epoch * 10 + n, epoch) for n in range(10)]
    return [*upserts, ("d", epoch * 10 - 1, None), ("u", -epoch, epoch)]


def expected(epochs: int) -> list[tuple[int, int]]:
    rows = {k: v for epoch in range(1, epochs + 1) for op, k, v in changes(epoch) if op == "u"}
    for epoch in range(1, epochs + 1):
        rows.pop(epoch * 10 - 1, None)
    return sorted((k, v) for k, v in rows.items() if k >= 0)


def run(
    dsn: str, incarnation: int, epochs: int, kill_at: str = "", generation: int = 1, *how: str
) -> tuple[int, list[str]]:
    """Runs the process; its exit code (-9: killed) and the lines it printed."""
    return finished(start(__name__, dsn, incarnation, epochs, generation, *how, kill_at=kill_at))


def main(dsn: str, incarnation: str, epochs: str, generation: str, how: str = "") -> None:
    table = PostgresSystem(dsn).destination(OF)
    last = table.open(JOB, int(incarnation))
    found = last.epoch if last is not None and last.generation == int(generation) else 0
    print("mark", found, flush=True)
    if how == "replace":
        rows = [("u", *row) for row in [*expected(int(epochs)), (-1, 0)]]
        reader = delivery(OF, rows).drop_columns(["_op"]).to_reader(7)
        print("landed", table.replace(reader, mark(int(epochs), int(generation))), flush=True)
        return
    for epoch in range(found + 1, int(epochs) + 1):
        table.deliver(delivery(OF, changes(epoch)), mark(epoch, int(generation)))
        print("took", epoch, flush=True)
    table.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
