"""`headrace.testing` as a user's tests call it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated

import pytest

import headrace as hr
import headrace.testing
from headrace.values.errors import DifferenceFound, UsageError


class Paid(hr.Event):
    at: datetime
    who: str
    amount: Annotated[Decimal, hr.Precision(8, 2)]
    day: date | None


app = hr.App("shop")
paid = app.source(Paid, topic="paid", key="who", time="at", lateness="1 minute")
app.table("per_minute", paid.tumble("1 minute").by("who").agg(total="sum(amount)"))
app.table("moving", paid.slide("2 minutes", every="1 minute").agg(n="count(*)"))
app.lake("payments", paid)
app.topic("copies", paid.with_columns(big="amount > 100", seen="processing_time()"))

NOON = datetime(2026, 1, 1, 12)


def payment(seconds: int, who: str = "ann", amount: str = "1.50") -> dict[str, object]:
    at = NOON + timedelta(seconds=seconds)
    return {"at": at, "who": who, "amount": Decimal(amount), "day": date(2026, 1, 1)}


def test_events_in_rows_out() -> None:
    with headrace.testing.run(app, start=NOON) as t:
        t.send("paid", [payment(1), payment(2, "bob"), payment(3)])
        assert t.rows("per_minute") == [
            {
                "window_start": NOON,
                "window_end": NOON + timedelta(minutes=1),
                "who": who,
                "total": Decimal(total),
            }
            for who, total in [("ann", "3.00"), ("bob", "1.50")]
        ]
        assert [row["n"] for row in t.rows("moving")] == [3, 3]
        assert len(t.rows("payments")) == 3
        assert t.counts("per_minute") == {"accepted": 3, "applied": 3}
        assert t.counts("paid") == {"read": 3, "accepted": 3}
        (proof,) = t.verify()
        assert proof.holds and proof.events == 3


def test_late_events_wait_for_a_recompute() -> None:
    with headrace.testing.run(app, start=NOON) as t:
        t.send("paid", [payment(0), payment(300), payment(10)], partition=0)
        assert t.epoch() == 3
        assert t.late("per_minute") == 1
        assert t.watermark("paid") == NOON + timedelta(minutes=4)
        first = t.rows("per_minute")[0]
        assert first["total"] == Decimal("1.50")
        t.verify()
        (report,) = t.recompute()
        assert report.corrections > 0
        assert t.rows("per_minute")[0] == {**first, "total": Decimal("3.00")}
        t.verify()


def test_malformed_records_are_dead_letters_with_their_bytes() -> None:
    with headrace.testing.run(app, start=NOON) as t:
        t.send("paid", ["{", b"\xff", None, payment(1, amount="1.234"), payment(2)], partition=1)
        letters = t.dead_letters()
        assert [letter["value"] for letter in letters][:3] == [b"{", b"\xff", None]
        assert [letter["field"] for letter in letters] == [None, None, None, "amount"]
        assert t.counts("paid") == {"read": 5, "accepted": 1, "dead_lettered": 4}
        assert t.replay() == 0
        t.verify()


def test_the_clock_stands_until_it_is_moved() -> None:
    with headrace.testing.run(app, start=NOON) as t:
        t.send("paid", [payment(2 * 86_400)])
        assert "too far ahead" in t.dead_letters()[0]["reason"]
        t.advance(timedelta(days=1, hours=1))
        t.send("paid", [payment(2 * 86_400)])
        assert t.counts("paid")["accepted"] == 1
        (copy,) = t.rows("copies")
        assert copy["key"] == "ann"
        assert copy["value"]["seen"] == "2026-01-02T13:00:00Z"


def test_epochs_are_cut_where_the_test_says() -> None:
    with headrace.testing.run(app, start=NOON) as t:
        for second in range(6):
            t.send("paid", [payment(second)], partition=0)
        assert t.epoch(records_max=2) == 2
        t.restart()
        assert t.rows("per_minute")[0]["total"] == Decimal("9.00")
        epochs = t.query("select records from epochs order by epoch")
        assert [e["records"] for e in epochs if e["records"]] == [2, 4]
        t.verify()


def test_names_that_are_not_there_are_refused_in_words() -> None:
    with headrace.testing.run(app) as t:
        with pytest.raises(UsageError, match='Did you mean "per_minute"'):
            t.rows("per_minutes")
        with pytest.raises(UsageError, match='Did you mean "paid"'):
            t.send("payd", [])
        with pytest.raises(UsageError, match="has the partitions 0 to 2, not 3"):
            t.send("paid", [payment(1)], partition=3)
        with pytest.raises(UsageError, match="which JSON has not"):
            t.send("paid", [{"who": object()}])
        with pytest.raises(UsageError, match="has no 'nothing'"):
            t.counts("nothing")


def test_a_failed_proof_names_the_rows() -> None:
    with headrace.testing.run(app, start=NOON) as t:
        t.send("paid", [payment(1)])
        t.rows("per_minute")
        runner = next(iter(t.runners.values()))
        runner.store.connection.execute("update main.per_minute set total = 7")
        with pytest.raises(DifferenceFound, match="table per_minute: 1 rows differ"):
            t.verify()


def test_jobs_read_what_other_jobs_write() -> None:
    two = hr.App("two")
    source = two.source(Paid, topic="paid", key="who", time="at")
    two.topic("large", source.where("amount > 2"))
    second = two.job("second")
    again = second.source(Paid, topic="large", key="who", time="at")
    second.table("large_totals", again.by("who").agg(total="sum(amount)"))
    with headrace.testing.run(two, start=NOON) as t:
        t.send("paid", [payment(1), payment(2, amount="5")])
        assert t.rows("large_totals") == [{"who": "ann", "total": Decimal("5.00")}]
        assert len(t.verify()) == 2


def test_a_source_and_a_destination_of_one_name_are_told_apart() -> None:
    shop = hr.App("one_name")
    source = shop.source(Paid, topic="paid", key="who", time="at")
    shop.lake("paid", source.where("amount > 2"))
    shop.table("last", source.tumble("1 minute").agg(n="count(*)"))
    again = shop.job("again").source(Paid, topic="paid", key="who", time="at")
    shop.job("again").topic("last.paid", again)
    with headrace.testing.run(shop, start=NOON) as t:
        t.send("paid", [payment(1), "{", payment(2, amount="5")], partition=0)
        with pytest.raises(UsageError, match=r"'paid' names lake\.paid and source\.paid") as found:
            t.counts("paid")
        assert found.value.remedy == 'Say which: "lake.paid" or "source.paid".'
        assert t.counts("source.paid") == {"read": 3, "accepted": 2, "dead_lettered": 1}
        assert t.counts("lake.paid") == {"accepted": 2, "applied": 1, "filtered": 1}
        assert t.counts("last") == t.counts("table.last") == {"accepted": 2, "applied": 2}
        assert t.counts("last.paid") == t.counts("topic.last.paid")
        # Only a destination has late records.
        assert t.late("paid") == 0
        with pytest.raises(UsageError, match="has no 'topic.paid'"):
            t.counts("topic.paid")
