"""examples/retail.py against a sum by hand."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.examples.real_input import Ran, check_proved, example, fed, recorded

FILE = recorded("activity/retail_transactions.csv.gz")


@pytest.fixture(scope="module")
def lines() -> list[dict[str, str]]:
    with gzip.open(FILE, "rt", encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    data: Path = tmp_path_factory.mktemp("retail")
    return fed(example("retail"), "invoice_lines", FILE, data)


def test_revenue_by_country_and_day(ran: Ran, lines: list[dict[str, str]]) -> None:
    revenue: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    cancelled: dict[tuple[Any, ...], Decimal] = {}
    invoices: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    counts: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    seen: set[tuple[str, ...]] = set()
    for line in lines:
        everything = tuple(line.values())
        if everything in seen:
            continue
        seen.add(everything)
        day = datetime.fromisoformat(line["InvoiceDate"]).replace(hour=0, minute=0)
        key = day, line["Country"]
        amount = int(line["Quantity"]) * Decimal(line["UnitPrice"])
        revenue[key] += amount
        if int(line["Quantity"]) < 0:
            cancelled[key] = cancelled.get(key, Decimal()) + amount
        invoices[key].add(line["InvoiceNo"])
        counts[key][0] += 1
        counts[key][1] += line["CustomerID"] == ""
    served = ran.table("revenue", "window_start", "Country")
    assert {k: r["revenue"] for k, r in served.items()} == revenue
    assert {k: r["cancelled"] for k, r in served.items() if r["cancelled"] is not None} == cancelled
    assert {k: r["invoices"] for k, r in served.items()} == {k: len(v) for k, v in invoices.items()}
    assert {k: [r["lines"], r["lines_without_customer"]] for k, r in served.items()} == counts
    assert ran.sums("view", "revenue")["duplicate"] == len(lines) - len(seen) == 5268


def test_every_line_is_in_the_lake_as_it_was_written(ran: Ran, lines: list[dict[str, str]]) -> None:
    [lake] = ran.rows(
        "select count(*) as lines, sum(Quantity)::bigint as quantity, sum(UnitPrice) as prices, "
        "count(CustomerID) as customers, count(Description) as described, "
        "sum(length(Description))::bigint as letters from lake.invoice_lines"
    )
    assert lake == {
        "lines": len(lines),
        "quantity": sum(int(line["Quantity"]) for line in lines),
        "prices": sum(Decimal(line["UnitPrice"]) for line in lines),
        "customers": sum(line["CustomerID"] != "" for line in lines),
        "described": sum(line["Description"] != "" for line in lines),
        "letters": sum(len(line["Description"]) for line in lines),
    }


def test_it_is_proved(ran: Ran) -> None:
    check_proved(ran)
