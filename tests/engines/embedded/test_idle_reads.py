"""A job with an idle timeout looks at its topics again and again, which must cost little."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import headrace.testing
from headrace.engines.embedded.epochs import sources
from tests.views.cases import thing, things


def test_nothing_is_decoded_where_nothing_came(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    plain = sources.decode

    def counted(connection: Any, source: Any, records: Any) -> Any:
        decoded.append(len(records))
        return plain(connection, source, records)

    monkeypatch.setattr(sources, "decode", counted)
    app, source = things(lateness="1 minute", idle_timeout="10 minutes")
    app.table("totals", source.agg(n="count(*)"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(0)])
        for _ in range(5):
            t.epoch()
            t.advance(timedelta(minutes=4))
        t.send("things", [thing(1)])
        assert t.rows("totals") == [{"n": 2}]
    assert [n for n in decoded if n] == [1, 1]
    assert len(decoded) <= 3
