"""What `headrace plan` prints, word by word."""

from __future__ import annotations

import json

from headrace.plan.build import build
from headrace.plan.explain import explain_json, explain_mermaid, explain_text
from tests.plan.samples import Click, activity, clicks
from tests.plan.test_serial import everything, from_data

ACTIVITY = """\
app activity
topic user_activity: UserActivity, 3 partitions, key user_id, time event_time,
│   lateness 2 minutes
├─ view page_view_counts
│    where   event_type = 'page_view'
│    tumble  1 minute
│    by      page_url
│    agg     view_count = count(*)
│  → table page_view_counts (key window_start, page_url)
├─ view active_users
│    slide   5 minutes every 1 minute
│    agg     active_user_count = approx_count_distinct(user_id)
│  → table active_users (key window_start)
├─ view session_history
│    session from event_type = 'session_start' to event_type = 'session_end',
│            timeout 30 minutes
│    by      user_id
│    agg     event_count = count(*)
│  → table session_history (key user_id, session_start_time)
│  → table user_sessions (key user_id; greatest session_start_time stays)
├─ stream activity
│    add     event_date = cast(event_time as date)
│    keep    every event whole
│  → lake activity (partitioned by event_date)
└─ stream enriched_activity
     add     processing_time = processing_time()
     keep    every event whole
   → topic enriched_activity (key user_id)"""

EVERYTHING = """\
app shop
topic clicks: Click, 3 partitions, key user_id, time event_time, lateness 2
│   minutes, idle after 5 minutes
├─ view a
│    where   paid [free]
│    dedupe  by user_id, page_url within 1 day
│    explode tags as tag
│    slide   1 hour every 5 minutes
│    by      tag
│    agg     n = count(*) filter (where paid)
│    agg     q = approx_quantile(score, 0.9)
│    where   n > 1
│    top     10 by n
│  → table a (key window_start, tag)
├─ view b
│    session gap 5 minutes
│    by      user_id
│    agg     n = sum(price)
│  → lake b (once, when final)
├─ view c
│    select  user_id, price
│    by      user_id
│    keep    the latest row
│  → index c (key user_id)
└─ stream d
     add     at = processing_time()
     keep    every event whole
   → topic d (key user_id)"""


def test_the_example_as_text() -> None:
    assert explain_text(build(activity())) == ACTIVITY


def test_every_step_as_text() -> None:
    text = explain_text(build(everything()))
    assert text == EVERYTHING
    assert max(len(line) for line in text.splitlines()) <= 80


def test_jobs_are_named_where_there_are_several() -> None:
    app, stream = clicks()
    app.lake("all", stream)
    job = app.job("idle")
    job.source(Click, topic="x")
    text = explain_text(build(app))
    assert "job shop\n" in text
    assert "job shop.idle\n" in text
    assert text.endswith("└─ (nothing reads it)")


def test_as_a_graph() -> None:
    app, stream = clicks()
    app.lake("all", stream.where("note <> '\"<b>'"))
    assert explain_mermaid(build(app)).splitlines() == [
        "flowchart LR",
        '  subgraph j0 ["shop"]',
        '    j0s0(["topic clicks"])',
        "    j0s0 --> j0v0[\"all<br>where note &lt;&gt; '&quot;&lt;b&gt;'\"]",
        '    j0v0 --> j0o0[("lake all")]',
        "  end",
    ]


def test_as_data() -> None:
    plan = build(activity())
    data = json.loads(json.dumps(explain_json(plan)))
    assert data.pop("version") == 1
    assert from_data(data) == plan


def test_in_a_notebook() -> None:
    html = build(activity())._repr_html_()
    assert "<b>Plan of activity</b>" in html
    assert "<td>user_sessions</td><td>user_id</td>" in html
