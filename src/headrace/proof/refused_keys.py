"""Records that a topic refused, as they are noted: by their keys, of which long ones are cut."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headrace.plan.operators import Output
from headrace.proof.fixed import Fixed
from headrace.values.schema import literal

NOTED = "_proof_noted"
"""A table of what a topic refused, made by `key_numbers`."""

# The last character of what was cut may be one that was cut in two.
CUT = "'\ufffd'"


def refused_any(fix: Fixed, output: Output) -> bool:
    """Whether rows are noted that `output` refused."""
    sql = "select 1 from meta.refused_rows where destination = ? limit 1"
    return bool(fix.cursor.execute(sql, [output.name]).fetchall())


def key_numbers(fix: Fixed, output: Output, keys: pa.Array) -> pa.Array:
    """For each of `keys` of records (binary) the number of the noted key that it is, else null.

    A key that was cut stands for all that begin like it and are as long. The table NOTED has the
    `number`, `key`, `bytes` of the whole of it where it was cut, `value` and `value_bytes`.
    """
    fix.cursor.execute(
        f"create or replace temp table {NOTED} as select dense_rank() over (order by key, bytes) "
        "as number, * from (select \"row\"->>'$.key' as key, "
        "(\"row\"->>'$.key_bytes')::bigint as bytes, \"row\"->>'$.value' as value, "
        "(\"row\"->>'$.value_bytes')::bigint as value_bytes "
        f"from meta.refused_rows where destination = {literal(output.name)})"
    )
    places = pa.array(np.arange(len(keys)))
    fix.cursor.register("_keyed", pa.table({"key": keys.cast(pa.string()), "nth": places}))
    noted = f"(select distinct number, key, bytes from {NOTED})"
    found = fix.cursor.sql(
        f"select k.nth, n.number from _keyed k join {noted} n on n.key = k.key and n.bytes is null "
        f"union all select k.nth, n.number from _keyed k join {noted} n on k.key is null "
        f"and n.key is null union all select k.nth, min(n.number) from _keyed k join {noted} n "
        f"on n.bytes = strlen(k.key) and starts_with(k.key, rtrim(n.key, {CUT})) group by 1"
    ).fetchnumpy()
    fix.cursor.unregister("_keyed")
    numbers, none = np.zeros(len(keys), np.int64), np.ones(len(keys), np.bool_)
    at = np.asarray(found["nth"]).astype(np.int64)
    numbers[at], none[at] = np.asarray(found["number"]), False
    return pa.array(numbers, mask=none)
