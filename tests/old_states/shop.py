"""An app with each kind of view and destination; never changed: what is kept was written by it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import headrace as hr


class Item(hr.Struct):
    article: str
    price: Annotated[Decimal, hr.Precision(12, 2)]


class Order(hr.Event):
    made: datetime
    customer: str
    kind: str
    amount: int
    weight: float | None
    items: list[Item]


app = hr.App("shop")
orders = app.source(
    Order, topic="orders", key="customer", time="made", lateness="1 minute", partitions=2
)
once = orders.dedupe(by=("customer", "made", "kind"), within="10 minutes")
sold = orders.explode("items", name="item").where("item.price > 0", reason="free")

totals = orders.by("kind").agg(
    n="count(*)",
    amount="sum(amount)",
    customers="count(distinct customer)",
    about="approx_count_distinct(customer)",
    middle="approx_quantile(amount, 0.5)",
    spread="stddev(weight)",
    first="first(customer)",
    kinds="list(kind)",
)
minutes = once.tumble("1 minute").by("kind").agg(n="count(*)", heaviest="max(weight)")
sliding = orders.slide("4 minutes", every="2 minutes").agg(n="count(*)")
articles = sold.tumble("5 minutes").by(article="item.article").agg(revenue="sum(item.price)")
best = articles.top(2, by="revenue", per="window_start")
visits = orders.session(gap="3 minutes").by("customer").agg(n="count(*)")
marked = (
    orders.session(starts="kind = 'open'", ends="kind = 'close'", timeout="5 minutes")
    .by("customer")
    .agg(n="count(*)")
)

app.table("totals", totals)
app.table("minutes", minutes)
app.table("sliding", sliding)
app.table("best", best)
app.table("visits", visits)
app.table("marked", marked)
app.table("latest_marked", marked, key="customer")
app.table("last_orders", orders.select("customer", "made", "amount"), key="customer")
app.index("by_kind", orders.select("kind", "amount"), key="kind")
app.lake("orders", orders.with_columns(day="cast(made as date)"), partition_by="day")
app.lake("final_minutes", minutes, emit="final")
app.topic("copies", once.with_columns(seen="processing_time()"))
app.topic("visit_changes", visits)
