"""The activity app, whole: what its generator says must come is what comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.apps.activity import app
from headrace.apps.activity_simulation.generator import ActivityGenerator
from headrace.ops.ingest.formats import Reading
from headrace.ops.ingest.generator import Simulation
from headrace.ops.ingest.ingest import ingest
from headrace.ops.ingest.simulate import simulate
from headrace.storage.topics.log import LocalTopic

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
COLUMNS = {
    "page_view_counts": ["window_start", "window_end", "page_url", "view_count"],
    "active_users": ["window_start", "window_end", "active_user_count"],
    "session_history": [
        "user_id",
        "session_start_time",
        "session_end_time",
        "session_duration_seconds",
        "ended_by",
        "event_count",
    ],
}
KEYS = {
    "page_view_counts": {"window_start", "page_url"},
    "active_users": {"window_start"},
    "session_history": {"user_id", "session_start_time"},
    "user_sessions": {"user_id"},
}


def topic_in(data: Path) -> LocalTopic:
    return LocalTopic.ensure(data / "topics", "user_activity", 3)


def sums(data: Path) -> dict[tuple[str, str], dict]:
    rows = app.query("select * from conservation", data=data).to_pylist()
    return {(row["kind"], row["name"]): row for row in rows}


def test_the_plan_has_the_promised_columns_and_keys() -> None:
    (job,) = app.plan.jobs
    views = {view.name: view for view in job.views}
    for name, columns in COLUMNS.items():
        assert sorted(column.name for column in views[name].columns) == sorted(columns)
    outputs = {(output.role, output.name): output for output in job.outputs}
    for name, key in KEYS.items():
        assert set(outputs["table", name].key) == key
    assert outputs["lake", "activity"].partition_by == ("event_date",)
    assert outputs["topic", "enriched_activity"].key == ("user_id",)
    (source,) = job.sources
    assert (source.partitions, source.key, source.lateness_us) == (3, "user_id", 120_000_000)


@pytest.mark.parametrize(("late_every", "malformed_every"), [(50, 1000), (3, 7)])
def test_the_outcome_that_the_generator_foretells_comes_true(
    tmp_path: Path, late_every: int, malformed_every: int
) -> None:
    simulation = Simulation(30_000, 50.0, 7, 1_767_571_200_000_000, late_every, malformed_every)
    report = simulate(topic_in(tmp_path), ActivityGenerator, simulation)
    assert report.alone
    app.run(until="caught-up", data=tmp_path)
    counted, outcome = sums(tmp_path), report.outcome
    source = counted["source", "user_activity"]
    assert (source["read"], source["accepted"]) == (30_000, outcome["accepted"])
    assert source["dead_lettered"] == outcome["malformed"] == 30_000 // malformed_every
    late = {name: counted["view", name]["late"] for name in outcome["late"]}
    assert late == outcome["late"]
    assert all(row["balanced"] for row in counted.values())
    assert all(verification.holds for verification in app.verify(data=tmp_path))


def test_a_real_access_log_loses_nothing(tmp_path: Path) -> None:
    path = DATA / "activity/apache_access.log.gz"
    if not path.exists():
        pytest.skip(f"the recorded data is not there: {path}")
    (source,) = app.plan.jobs[0].sources
    reading = Reading("combined", schema=source.schema)
    ingest(topic_in(tmp_path), [path], key="user_id", reading=reading)
    app.run(until="caught-up", data=tmp_path)
    counted = sums(tmp_path)
    read = counted["source", "user_activity"]
    assert (read["read"], read["accepted"], read["dead_lettered"]) == (10_000, 9_999, 1)
    # Times are shuffled within each minute, which is within the lateness.
    assert [row["late"] for row in counted.values()] == [0] * len(counted)
    assert all(verification.holds for verification in app.verify(data=tmp_path))
