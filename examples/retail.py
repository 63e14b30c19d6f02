"""Lines of invoices: revenue by country and day, each line counted once."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import headrace as hr


class InvoiceLine(hr.Event):
    InvoiceNo: str
    StockCode: str
    Description: str | None
    Quantity: int
    InvoiceDate: datetime
    UnitPrice: Annotated[Decimal, hr.Precision(12, 3)]
    CustomerID: int | None
    Country: str


app = hr.App("retail")

lines = app.source(InvoiceLine, topic="invoice_lines", key="InvoiceNo", time="InvoiceDate")

# An article may stand on an invoice twice, at two prices or in two quantities: only a line that
# is equal in everything was entered twice. All lines of an invoice carry the same minute or two,
# so an hour is long enough to remember.
once = lines.dedupe(
    by=(
        "InvoiceNo",
        "StockCode",
        "Description",
        "Quantity",
        "InvoiceDate",
        "UnitPrice",
        "CustomerID",
        "Country",
    ),
    within="1 hour",
)

revenue = (
    once.tumble("1 day")
    .by("Country")
    .agg(
        revenue="sum(Quantity * UnitPrice)",
        cancelled="sum(Quantity * UnitPrice) filter (where Quantity < 0)",
        invoices="count(distinct InvoiceNo)",
        lines="count(*)",
        lines_without_customer="count(*) filter (where CustomerID is null)",
    )
)

app.table("revenue", revenue)
app.lake("invoice_lines", lines)
