from __future__ import annotations

import dataclasses
import io
import json
import logging

import pytest

from headrace.values import telemetry
from headrace.values.telemetry import Event, JobStopped, JsonLines, RecordsDeadLettered, log_event


@pytest.fixture
def lines() -> io.StringIO:
    logger, stream = logging.getLogger("headrace"), io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    before, level = logger.handlers, logger.level
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    yield stream
    logger.handlers, logger.propagate = before, True
    logger.setLevel(level)


def test_an_event_is_one_line_of_json(lines: io.StringIO) -> None:
    log_event(RecordsDeadLettered(job="activity", epoch=3, records=2, reasons={"user_id: null": 2}))
    line = json.loads(lines.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "event": "records_dead_lettered",
        "job": "activity",
        "epoch": 3,
        "records": 2,
        "reasons": {"user_id: null": 2},
    }


def test_a_plain_message_is_a_line_too(lines: io.StringIO) -> None:
    logging.getLogger("headrace.storage").warning("odd\n%s", "thing")
    line = json.loads(lines.getvalue())
    assert (line["event"], line["text"]) == ("message", "odd\nthing")


def test_level_decides_what_is_written(lines: io.StringIO) -> None:
    log_event(telemetry.EpochCommitted("a", 1, 1, 10, 0, 0.1, 0))
    assert lines.getvalue() == ""
    log_event(JobStopped("a", "caught up", 1, 10, 0.1))
    assert lines.getvalue().count("\n") == 1


def test_every_event_is_frozen_and_says_when_it_is_told() -> None:
    types = [t for t in vars(telemetry).values() if isinstance(t, type) and issubclass(t, Event)]
    for type_ in types:
        assert type_.__doc__ and dataclasses.is_dataclass(type_)
        assert type_.__dataclass_params__.frozen
        assert type_.level in ("debug", "info", "warning", "error")
