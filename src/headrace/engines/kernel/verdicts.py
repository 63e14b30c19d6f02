"""What can become of a row in a view, as one small number per row.

`_verdict` is 0 for a row that goes on; otherwise kind * SPAN + the step or expression that
decided, so that counts and dead letters can name it. Verdicts fall in the order of the steps, then
keys and arguments, then lateness (semantics, section 3).
"""

from __future__ import annotations

APPLIED = 0
FILTERED = 1
FAILED = 2
DUPLICATE = 3
LATE = 4
NAMES = {
    APPLIED: "applied",
    FILTERED: "filtered",
    FAILED: "failed",
    DUPLICATE: "duplicate",
    LATE: "late",
}
SPAN = 1000


def code(kind: int, index: int = 0) -> int:
    """The number for a verdict of `kind`, decided by step or expression `index`."""
    return kind * SPAN + index


def kind_of(verdict: int) -> int:
    """The kind of a verdict: APPLIED, FILTERED, …"""
    return verdict // SPAN


def is_kind_sql(kind: int) -> str:
    """The condition that a row's verdict is of `kind`, which may have an index."""
    return f"_verdict >= {code(kind)} and _verdict < {code(kind + 1)}"


# A record that becomes several rows is applied if any of them is, else late, failed, duplicate,
# filtered: the greatest of these ranks.
RECORD_RANK_SQL = (
    f"case when _verdict = 0 then 5 when _verdict >= {code(LATE)} then 4 "
    f"when _verdict >= {code(DUPLICATE)} then 2 when _verdict >= {code(FAILED)} then 3 else 1 end"
)
RANK_KINDS = {5: APPLIED, 4: LATE, 3: FAILED, 2: DUPLICATE, 1: FILTERED}
