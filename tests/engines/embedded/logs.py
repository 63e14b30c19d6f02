"""Random logs: bytes for the partitions of topics, and what happens between them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from headrace.plan.operators import Plan, Source
from headrace.values.schema import DecimalType, Field, ListType, LiteralType, StructType, Type
from tests.engines.embedded.chance import perhaps

START = datetime(2026, 1, 1)
STEPS = (0, 1, 1, 2, 5, 7, 8, 12)
"""Seconds from one record to the next."""

ACTIONS = ("epoch", "restart", "wait")

NO_EVENTS = [
    b"{",
    b"[]",
    b"",
    b"7",
    b'"text"',
    b"\xff{}",
    b'{"who": "a", "who": "a"}',
    b'{"moment": "2026-01-01T00:00:00Z",}',
    b'{"moment": "2026-01-01"}',
    None,
]
ODD_TOKENS = [
    *("null", "true", "1.0", "1e2", "1.7", "-0", "-0.0", '"1"', '"2026-02-30"', "{}", "[]"),
    *("9223372036854775808", "1e400", "NaN", '"\\u0000"', '"caf\\u00e9"', '"banned"', '"new"'),
    *('"2026-01-09T00:00:00Z"', '"2026-01-01t00:00:07.1234567+02:00"', '"2026-01-01T24:00:00Z"'),
    *("12345678901.25", '"10.50"', "0.001", '[{"name": "p"}]', '{"name": "p", "name": "q"}'),
    *("[1, 2, 3, 4, 5]", '[1, "2"]', "1767225600007", '{"ms": 1767225600123}', '{"ms": 1e3}'),
]


@dataclass(frozen=True)
class Record:
    """A record on its way to a partition, and what is done after it: nothing, or an action.

    An epoch is read; or one is, and the job stops and starts; or eleven minutes pass before one.
    """

    topic: str
    partition: int
    value: bytes | None
    then: str = ""


def random_log(
    plan: Plan, chance: Random, size: int, moments: Sequence[datetime] = ()
) -> list[Record]:
    """About `size` records for every topic that the plan reads, mixed, some of them twice.

    Their times are within a minute or two of `START`, or those of `moments`.
    """
    made: list[Record] = []
    for source in {s.topic: s for job in plan.jobs for s in job.sources}.values():
        partitions = [p for p in range(source.partitions) if perhaps(chance, 0.85)] or [0]
        disorder = chance.choice([1, 5, 30])
        # Steps as long as windows, gaps and timeouts are: much falls on their very edges.
        paces = chance.choice([[60 / size], STEPS])
        begun = 0.0
        for _ in range(size):
            begun += chance.choice(paces)
            apart = chance.uniform(0, disorder) if len(paces) == 1 else chance.choice([0, 0, -5])
            second = begun + apart
            moment = START + timedelta(seconds=chance.choice([int(second), round(second, 6)]))
            value = value_at(source, chance.choice(moments) if moments else moment, chance)
            made.append(Record(source.topic, chance.choice(partitions), value))
    if len({r.topic for r in made}) > 1:
        chance.shuffle(made)
    for _ in range(chance.randint(0, 3)):
        made.insert(chance.randint(0, len(made)), chance.choice(made))
    return [_then(record, chance, size) for record in made]


def _then(record: Record, chance: Random, size: int) -> Record:
    """Half a dozen epochs in all, whatever the size."""
    then = chance.choice([*("epoch",) * 4, "restart", "wait"]) if chance.random() * size < 5 else ""
    return Record(record.topic, record.partition, record.value, then)


def value_at(source: Source, moment: datetime, chance: Random) -> bytes | None:
    """A record of that time; one in twenty is none that is accepted."""
    if perhaps(chance, 0.03):
        return chance.choice(NO_EVENTS)
    tokens = {f.name: _token(f, f.name, moment, source, chance) for f in source.schema.fields}
    if perhaps(chance, 0.06):
        tokens[chance.choice(list(tokens))] = chance.choice(ODD_TOKENS)
    if perhaps(chance, 0.04):
        del tokens[chance.choice(list(tokens))]
    pairs = [f"{json.dumps(name)}: {token}" for name, token in tokens.items() if token is not None]
    if perhaps(chance, 0.05):
        pairs.append('"unknown": [1, {"x": null}]')
    if perhaps(chance, 0.02):
        pairs.append(chance.choice(pairs or ['"x": 1']))
    if perhaps(chance, 0.1):
        chance.shuffle(pairs)
    return ("{" + chance.choice([", ", ",", " ,\n"]).join(pairs) + "}").encode()


def _token(field: Field, path: str, moment: datetime, source: Source, chance: Random) -> str | None:
    """The text of a field, None where it is left out."""
    if path == source.time:
        return _time(moment, source.time_unit, chance)
    if field.nullable and perhaps(chance, 0.2):
        return chance.choice(["null", None])
    if isinstance(field.type, StructType):
        inner = {
            f.name: _token(f, f"{path}.{f.name}", moment, source, chance) for f in field.type.fields
        }
        return "{" + ", ".join(f'"{n}": {t}' for n, t in inner.items() if t is not None) + "}"
    if isinstance(field.type, ListType):
        item = Field(field.name, field.type.item, field.type.nullable)
        items = [
            _token(item, f"{path}[]", moment, source, chance)
            for _ in range(chance.choice([0, 1, 1, 2, 3]))
        ]
        return "[" + ", ".join(t or "null" for t in items) + "]"
    return json.dumps(_plain(field, field.type, moment, chance), default=str)


def _time(moment: datetime, unit: str | None, chance: Random) -> str:
    if unit is not None:
        return str((moment - datetime(1970, 1, 1)) // _UNITS[unit])
    if perhaps(chance, 0.8):
        return f'"{moment.isoformat()}Z"'
    minutes = chance.choice([-300, 0, 330]) if 1 < moment.year < 9999 else 0
    text = (moment + timedelta(minutes=minutes)).isoformat(sep=chance.choice("Tt "))
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    return f'"{text}{sign}{hours:02}:{rest:02}"' if minutes else f'"{text}"'


def _plain(field: Field, type_: Type, moment: datetime, chance: Random) -> Any:
    if isinstance(type_, LiteralType):
        return chance.choice([*type_.values, *("x",) * 3])
    if isinstance(type_, DecimalType):
        return chance.choice(_DECIMALS)
    name = getattr(type_, "name", "")
    if name == "datetime":
        return moment.replace(microsecond=chance.choice([0, 1, 999_999])).isoformat() + "Z"
    if name == "str" and field.name != "text":
        return chance.choice(["a", "b", "p", "ü"])
    return chance.choice(_VALUES[name])


_UNITS = {
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
    "us": timedelta(microseconds=1),
}
_DECIMALS = [float(d) for d in (Decimal("0.25"), Decimal("-3"), Decimal("10.5"), Decimal("999.75"))]
_VALUES: dict[str, Sequence[Any]] = {
    "int": [-2, 0, 1, 1, 2, 3],
    "float": [0.5, 1.0, -2.0, 0.1, 1e6, -1e6],
    "bool": [True, False],
    "date": [date(2026, 1, 1), date(2024, 2, 29), date(1969, 12, 31)],
    "str": ["1", "1", "2", "-7", "seven"],
}
