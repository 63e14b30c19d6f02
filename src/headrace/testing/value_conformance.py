"""Values of every type that a view can have must come back as they were, alone and as keys.

`headrace verify` compares what a table shows with the batch result value by value: a text that was
trimmed, a time without its microseconds, a number that was rounded would be a difference.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headrace.storage.contract import Target
from headrace.testing.asked import JOB, mark
from headrace.testing.model import same
from headrace.testing.table_place import TablePlace, as_table, delivery
from headrace.values.errors import DefinitionError

# Values as SQL, by DuckDB type; in each list neighbours are easily taken for one another, but none
# is equal to the next one in SQL (0.0 and -0.0 are: a system need not write one over the other).
VALUES: dict[str, Sequence[str]] = {
    "BOOLEAN": ("true", "false"),
    "BIGINT": ("-9223372036854775808", "0", "9007199254740992", "9007199254740993"),
    "HUGEINT": ("-99999999999999999999999999999999999999", "0", "9223372036854775808"),
    "DOUBLE": (
        *("0.1", "0.30000000000000004", "'-0.0'", "5e-324", "0.0", "1.7976931348623157e308"),
        *("'nan'", "'inf'", "'-inf'"),
    ),
    "DECIMAL(18,2)": ("0.00", "-0.01", "9999999999999999.99", "9999999999999999.98"),
    "DECIMAL(38,10)": ("0.0000000001", "1234567890123456789012345678.5"),
    "VARCHAR": (
        *("''", "' '", "'a'", "'A'", "'a '", "' a'", "'null'", "'NULL'", "'{}'"),
        # An accent, in one code point and in two.
        *("e'\\u00e9'", "e'e\\u0301'", "'ß漢😀'", "'\"q\", ''s'' %s $1 :v'"),
        *("'\\N\\\\'", "e'line\\nnext\\r\\ttab'", "repeat('ab', 500)"),
    ),
    "DATE": ("'1970-01-01'", "'1969-12-31'", "'0001-01-01'", "'9999-12-31'"),
    "TIMESTAMP": (
        *("'2026-01-01 00:00:00'", "'2026-01-01 00:00:00.000001'", "'1969-12-31 23:59:59.999999'"),
        *("'0001-01-01'", "'9999-12-31 23:59:59.999999'", "'2026-03-29 02:30:00'"),
    ),
    "BIGINT[]": ("[]", "[null]", "[1, null, -3]", "[9007199254740993]"),
    "VARCHAR[]": ("[]", "['']", "['a', 'b']", "['a,b']", "['{}', null, 'NULL', '\"', 'é']"),
    "STRUCT(a BIGINT, b VARCHAR[])": (
        *("{'a': 1, 'b': ['x', null]}", "{'a': null, 'b': null}", "{'a': null, 'b': []}"),
        "{'a': 9007199254740993, 'b': ['é']}",
    ),
    'STRUCT("at" TIMESTAMP, cost DECIMAL(18,2), fit BOOLEAN)[]': (
        *("[]", "[null]", "[{'at': null, 'cost': -0.10, 'fit': false}]"),
        "[{'at': '2026-01-01 00:00:00.000001', 'cost': 9999999999999999.99, 'fit': true}]",
    ),
}
_NO_KEYS = ("'-0.0'", "'nan'")
"""Equal to another value, or not to itself."""


class ValueConformance(TablePlace):
    """The tests of values; a type that the system refuses in words is left out."""

    @pytest.mark.parametrize("type_", VALUES)
    def test_values_come_back_as_they_were(self, type_: str) -> None:
        """Delivered, written over each other, and given anew; a null is among them."""
        values = [f"cast({value} as {type_})" for value in ("null", *VALUES[type_])]
        self._aim_at(("k", "BIGINT"), ("v", type_))
        with self.opened(1) as (handle, _):
            for epoch in range(1, 4):
                turned = values[epoch:] + values[:epoch]
                rows = delivery(self.aim, [f"'u', {k}, {v}" for k, v in enumerate(turned)])
                if epoch < 3:
                    assert handle.deliver(rows, mark(epoch)) == len(values)
                else:
                    given = rows.drop_columns(["_op"]).to_reader()
                    assert as_table(handle).replace(given, mark(epoch)) == len(values)
                wanted = self.model()
                wanted.take(rows, mark(epoch))
                same(self.held(), wanted)
                assert [(f.name, f.type) for f in self.shown().schema] == [
                    (f.name, f.type) for f in rows.schema if f.name != "_op"
                ]

    @pytest.mark.parametrize("type_", [name for name in VALUES if not name.endswith(("]", "[])"))])
    def test_every_value_is_a_key_of_its_own(self, type_: str) -> None:
        """What looks alike must not be one row: each is written, changed and removed alone."""
        values = ("null", *(value for value in VALUES[type_] if value not in _NO_KEYS))
        keys = [f"cast({value} as {type_})" for value in values]
        self._aim_at(("k", type_), ("v", "BIGINT"))
        wanted = self.model()
        changed = [f"'{'d' if n % 2 else 'u'}', {k}, {-n}" for n, k in enumerate(keys)]
        with self.opened(1) as (handle, _):
            for epoch, listed in enumerate(([f"'u', {k}, 1" for k in keys], changed), 1):
                rows = delivery(self.aim, listed)
                assert handle.deliver(rows, mark(epoch)) == len(keys)
                wanted.take(rows, mark(epoch))
                same(self.held(), wanted)

    def _aim_at(self, *columns: tuple[str, str]) -> None:
        self.aim = Target(JOB, "every_value", "table", columns, ("k",))
        try:
            self.make().close()
        except DefinitionError as refusal:
            pytest.skip(str(refusal))
