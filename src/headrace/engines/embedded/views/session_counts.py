"""Counts rows and records by where they stand now, in a session or not, and where they stood."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.engines.embedded.views.batch import Outcome
from headrace.engines.kernel import verdicts
from headrace.engines.kernel.sequence import Flags, Ints, Sequenced

_APPLIED_RANK = max(verdicts.RANK_KINDS)


def count_rows(outcome: Outcome, before: Sequenced, after: Sequenced, carried: int) -> None:
    """Corrects the rows' counts: those of earlier epochs may have moved in or out."""
    _add(outcome.row_counts, _placed(after, carried), 1)
    _add(outcome.row_counts, _placed(before, carried), -1)


def count_records(
    outcome: Outcome,
    before: Sequenced,
    after: Sequenced,
    records: Ints,
    rest: pa.ChunkedArray,
    carried: int,
) -> None:
    """Corrects the counts of records that became several rows.

    `records` says which record a row belongs to, `rest` the rank of its verdict without the rows
    in sessions.
    """
    ranks = rest.to_numpy().astype(np.int64)
    for found, by in ((after, 1), (before, -1)):
        inside = found.session[carried:] >= 0
        mine = records[carried : len(found.session)]
        distinct, number = np.unique(mine, return_inverse=True)
        best = np.zeros(len(distinct), np.int64)
        np.maximum.at(best, number, np.where(inside, _APPLIED_RANK, ranks[: len(mine)]))
        orphan = np.zeros(len(distinct), np.bool_)
        orphan[number[found.orphan[carried:]]] = True
        counted = {
            verdicts.NAMES[kind]: int((best == rank).sum())
            for rank, kind in verdicts.RANK_KINDS.items()
        }
        _add(outcome.counts, counted | {"orphan_ends": int(orphan.sum())}, by)


def _placed(found: Sequenced, carried: int) -> dict[str, int]:
    inside: Flags = found.session[carried:] >= 0
    applied = int(inside.sum())
    return {
        "applied": applied,
        "filtered": len(inside) - applied,
        "orphan_ends": int(found.orphan[carried:].sum()),
    }


def _add(counts: dict[str, int], more: dict[str, int], by: int) -> None:
    for name, number in more.items():
        if number or name in ("applied", "filtered", "orphan_ends"):
            counts[name] = counts.get(name, 0) + by * number


def rows_by_verdict(column: NDArray[np.int64]) -> dict[int, int]:
    """Rows by verdict."""
    numbers = np.bincount(column)
    return {int(v): int(numbers[v]) for v in np.flatnonzero(numbers)}
