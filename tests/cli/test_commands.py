"""Every command on a small log, through the command line as a user types it."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.cli.main import call
from tests.cli.terminal import rest_of

COUNT = 20_000
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory in which the activity app has caught up with a simulated log."""
    place = tmp_path_factory.mktemp("cli") / "d"
    simulate = f"simulate activity --count {COUNT} --seed 7 --late-every 50 --malformed-every 1000"
    for line in (simulate, "run activity --until caught-up"):
        assert call([*line.split(), "--data", str(place), "--json"]) == 0
    return place


@pytest.fixture
def run(data: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Calls a command on `data`; gives exit code, output and errors."""
    capfd.readouterr()

    def go(*arguments: str) -> tuple[int, str, str]:
        code = call([*arguments, "--data", str(data)])
        return code, *capfd.readouterr()

    return go


def test_simulate_again_adds_nothing(run: Run) -> None:
    code, out, _ = run(
        *[
            "simulate",
            "activity",
            "--seed",
            "7",
            "--late-every",
            "50",
            "--malformed-every",
            "1000",
            "--json",
        ],
        "--count",
        str(COUNT),
    )
    report = json.loads(out)
    assert (code, report["added"], report["already_there"]) == (0, 0, COUNT)
    assert report["outcome"]["malformed"] == COUNT // 1000


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.ndjson", "rows.tsv", "rows.csv.gz", "rows.x"])
def test_a_file_s_name_that_says_no_format_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    ask = ["query", "activity", "from dead_letters", "--out", str(out)]
    code, shown, err = run(*ask)
    assert (code, shown, out.exists()) == (2, "", False)
    assert name in err and ".csv, .json or .parquet" in err and "--format table|csv|json" in err
    assert run(*ask, "--format", "csv")[0] == 0
    assert len(list(csv.reader(io.StringIO(out.read_text())))) == 1 + COUNT // 1000


@pytest.mark.parametrize("name", ["rows", "rows.txt"])
def test_a_table_in_a_file_says_that_it_is_cut(run: Run, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    ask = "select range::varchar || repeat('x', {}) as n from range({})"
    for length, rows, cut in ((1, 1000, False), (1, 1001, True), (300, 1, True)):
        code, shown, err = run("query", "activity", ask.format(length, rows), "--out", str(out))
        assert (code, shown) == (0, "")
        assert (str(out) in err and "--format csv" in err) if cut else err == ""
        assert len(out.read_text().splitlines()) > min(rows, 1000)


@pytest.mark.parametrize(
    ("words", "format"),
    [(["query", "activity", "select 1"], "csv"), (["plan", "activity"], "mermaid")],
)
def test_json_and_another_format_contradict_each_other(
    words: list[str], format: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call([*words, "--format", format, "--json"]) == 2
    out, err = capfd.readouterr()
    said = json.loads(err)["error"]
    assert (out, said["kind"]) == ("", "UsageError")
    assert f"--json or --format {format}, not both" in said["text"]


def test_json_is_the_format_of_a_plan(capfd: pytest.CaptureFixture[str]) -> None:
    shown = []
    for arguments in (["--json"], ["--format", "json"], ["--json", "--format", "json"]):
        assert call(["plan", "activity", *arguments]) == 0
        shown.append(json.loads(capfd.readouterr().out))
    assert shown[0] == shown[1] == shown[2]


def test_query_in_every_format(run: Run, tmp_path: Path) -> None:
    sql = "select kind, name, balanced from conservation order by kind, name"
    as_json = json.loads(run("query", "activity", sql, "--json")[1])
    as_csv = list(csv.DictReader(io.StringIO(run("query", "activity", sql, "--format", "csv")[1])))
    assert [r["name"] for r in as_json] == [r["name"] for r in as_csv]
    assert all(r["balanced"] for r in as_json)
    assert f"({len(as_json)} rows)" in run("query", "activity", sql)[1]
    out = tmp_path / "rows.parquet"
    assert run("query", "activity", sql, "--out", str(out))[0] == 0
    assert out.read_bytes()[:4] == b"PAR1"


def test_query_reaches_everything_that_is_served(run: Run) -> None:
    for table in ("page_view_counts", "user_sessions", "epochs", "dead_letters", "refused_rows"):
        assert run("query", "activity", f"select count(*) from {table}")[0] == 0
    for name in ("lake.activity", "topic.user_activity", "topic.enriched_activity"):
        out = run("query", "activity", f"select count(*) as n from {name}", "--json")[1]
        bad = COUNT // 1000 if name != "topic.user_activity" else 0
        assert json.loads(out) == [{"n": COUNT - bad}]


def test_a_wrong_query_is_the_users(run: Run) -> None:
    code, out, err = run("query", "activity", "select * from page_view_count")
    assert (code, out) == (2, "")
    assert 'Did you mean "page_view_counts"?' in err
    assert run("query", "activity", "drop table user_sessions")[0] == 2


def test_verify_recompute_verify(run: Run) -> None:
    code, out, _ = run("verify", "activity")
    assert code == 0 and out.rstrip().endswith("it holds")
    code, out, _ = run("recompute", "activity", "--dry-run", "--json")
    dry = json.loads(out)["jobs"][0]
    code, out, _ = run("recompute", "activity", "--json")
    wet = json.loads(out)["jobs"][0]
    assert dry["corrections"] == wet["corrections"] and dry["epoch"] is None
    code, out, _ = run("verify", "activity", "--json")
    assert code == 0 and json.loads(out)["holds"] is True


def test_recompute_bounds_exclude_each_other(run: Run) -> None:
    code, _, err = run("recompute", "activity", "--date", "2026-01-05", "--to", "2026-01-06")
    assert code == 2 and "--date stands for --from and --to" in err


def test_recompute_from_after_to_is_refused(run: Run) -> None:
    code, _, errors = run("recompute", "activity", "--from", "2026-01-06", "--to", "2026-01-05")
    assert (code, "--from is not before --to" in errors) == (2, True)


def test_the_last_day_of_the_calendar_is_a_date_too(run: Run) -> None:
    code, out, err = run("recompute", "activity", "--date", "9999-12-31", "--dry-run")
    assert (code, err) == (0, "") and "0 rows would change" in out


@pytest.mark.parametrize(
    "command",
    [
        ["verify", "activity"],
        ["status", "activity"],
        ["query", "activity", "select 1"],
        ["state", "rebuild", "activity"],
        ["state", "seek", "activity", "--from", "earliest", "--yes"],
        ["state", "reset", "activity", "--yes"],
        ["state", "forget-reader", "activity", "user_activity", "old"],
    ],
)
def test_a_data_directory_that_is_not_there_is_not_made(
    command: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "mistyped"
    assert call([*command, "--data", str(place)]) == 2
    assert "there is no data directory" in capfd.readouterr().err
    assert not place.exists()


@pytest.mark.parametrize("words", ["dead-letters activity", "dead-letters list activity"])
def test_dead_letters_are_listed_by_reason(run: Run, words: str) -> None:
    rows = json.loads(run(*words.split(), "--json")[1])
    assert sum(r["letters"] for r in rows) == COUNT // 1000


def test_dead_letters_are_shown_and_replayed(run: Run) -> None:
    rows = json.loads(run(*["dead-letters", "show", "activity", "--limit", "3", "--json"])[1])
    assert len(rows) == 3 and all(r["value"] and r["reason"] for r in rows)
    found = json.loads(run(*["dead-letters", "activity", "replay", "--json"])[1])["jobs"][0]
    assert (found["accepted"], found["refused"]) == (0, COUNT // 1000)


@pytest.mark.parametrize(
    ("limit", "told"), [("0", "less than 1"), ("99999999999999999999", "more than 1000000000")]
)
def test_a_limit_out_of_bounds_is_the_users(run: Run, limit: str, told: str) -> None:
    code, _, err = run("dead-letters", "show", "activity", "--limit", limit)
    assert code == 2 and f"'--limit': '{limit}' is {told}\n" in err
    assert run("dead-letters", "show", "activity", "--limit", "1000000000")[0] == 0


def test_status_says_how_far_it_is(run: Run) -> None:
    code, out, _ = run("status", "activity", "--json")
    job = json.loads(out)["jobs"][0]
    assert (code, job["running"], job["sources"][0]["lag_records"]) == (0, False, 0)
    assert job["sources"][0]["read"] == COUNT
    text = run("status", "activity")[1]
    assert text.startswith("job activity: not running") and "page_view_counts" in text


def test_results_that_could_not_be_computed_are_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, data = tmp_path / "big.py", ("--data", str(tmp_path / "d"))
    file.write_text(
        "import headrace as hr\n\napp = hr.App('big')\n\n\nclass Big(hr.Event):\n    n: int\n\n\n"
        "bigs = app.source(Big, topic='bigs')\napp.table('sums', bigs.agg(s='sum(n)::bigint'))\n"
        "app.table('counts', bigs.agg(c='count(*)'))\n"
    )
    (tmp_path / "big.jsonl").write_text(f'{{"n": {2**63 - 1}}}\n' * 2)
    assert call(["ingest", str(file), "bigs", str(tmp_path / "big.jsonl"), *data]) == 0
    capfd.readouterr()
    told = "view sums: 1 result that could not be computed, given as null"
    for command in (["run", "--until", "caught-up"], ["status"]):
        assert call([command[0], str(file), *command[1:], *data]) == 0
        out = capfd.readouterr().out
        assert told in out and "view counts" not in out
    assert call(["verify", str(file), *data]) == 0
    assert "failed 0; 1 result not computable" in capfd.readouterr().out
    assert call(["status", str(file), *data, "--json"]) == 0
    views = json.loads(capfd.readouterr().out)["jobs"][0]["views"]
    assert {v["name"]: v["failed_results"] for v in views} == {"sums": 1, "counts": 0}


def test_state_is_listed_and_inspected(run: Run) -> None:
    assert "page_view_counts" in run("state", "activity")[1]
    assert run("state", "inspect", "activity", "page_view_counts")[0] == 0
    code, _, err = run("state", "inspect", "activity", "page_views")
    assert code == 2 and "page_view_counts" in err


def test_reset_asks_and_begins_a_greater_generation(tmp_path: Path, capfd) -> None:
    place = str(tmp_path / "d")
    for line in ("simulate activity --count 1000", "run activity --until caught-up"):
        assert call([*line.split(), "--data", place]) == 0
    capfd.readouterr()
    reset = ["state", "reset", "activity", "--data", place]
    if not sys.stdin.isatty():
        assert call(reset) == 2
        err = capfd.readouterr().err
        assert "This forgets, of job activity:" in err
        assert "standard input is not a terminal, so nobody can agree\nAdd --yes." in err
    assert call([*reset, "--yes", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["generation"] == 2
    assert call(["run", "activity", "--until", "caught-up", "--data", place]) == 0
    assert call(["verify", "activity", "--data", place]) == 0


def test_check_and_plan(capfd) -> None:
    assert call(["check", "activity"]) == 0
    assert "job activity can run" in capfd.readouterr().out
    for arguments in ([], ["--format", "mermaid"], ["--json"]):
        assert call(["plan", "activity", *arguments]) == 0
        assert "page_view_counts" in capfd.readouterr().out


def test_ingest_from_a_file_once(tmp_path: Path, capfd) -> None:
    line = {
        "event_time": "2026-01-05T10:00:00Z",
        "user_id": "a",
        "page_url": "/",
        "event_type": "click",
    }
    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps(line) + "\n\nnot json\n")
    ingest = ["ingest", "activity", "user_activity", str(file), "--data", str(tmp_path), "--json"]
    assert call(ingest) == 0
    report = json.loads(capfd.readouterr().out)
    assert (report["added"], report["empty"]) == (2, 1)
    assert call(ingest) == 0
    assert json.loads(capfd.readouterr().out)["added"] == 0
    assert call([*ingest, "--again"]) == 0
    assert json.loads(capfd.readouterr().out)["added"] == 2


def test_ingest_names_what_is_wrong(tmp_path: Path, capfd) -> None:
    common = ["--data", str(tmp_path)]
    assert call(["ingest", "activity", "user_activty", "x", *common]) == 2
    assert 'Did you mean "user_activity"?' in capfd.readouterr().err
    assert call(["ingest", "activity", "user_activity", str(tmp_path / "no"), *common]) == 3
    assert "does not exist" in capfd.readouterr().err
    assert call(["ingest", "activity", "user_activity", "x", "--map", "y", *common]) == 2
    assert "FIELD=EXPRESSION" in capfd.readouterr().err
    twice = ["--map", "user_id=ip", "--map", " user_id=path"]
    assert call(["ingest", "activity", "user_activity", "x", *twice, *common]) == 2
    assert "--map is given twice for the field user_id" in capfd.readouterr().err


def live(place: Path, *arguments: str) -> subprocess.Popen[str]:
    """A live run without a terminal, once it says that it runs."""
    command = [sys.executable, "-m", "headrace.cli", "run", "activity", "--data", str(place)]
    process = subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert json.loads(process.stderr.readline())["event"] == "job_started"
    return process


def test_a_running_job_answers_and_stops_in_order(tmp_path: Path, capfd) -> None:
    place = tmp_path / "d"
    process = live(place, "--simulate", "2000")
    try:
        asked = ["query", "activity", "select * from active_users", "--json", "--data", str(place)]
        end = time.monotonic() + 30
        while json.loads(_out(asked, capfd)) == []:
            assert time.monotonic() < end
            time.sleep(0.2)
        status = json.loads(_out(["status", "activity", "--json", "--data", str(place)], capfd))
        assert status["jobs"][0]["running"] is True
        assert call(["verify", "activity", "--data", str(place)]) == 0
        assert call(["run", "activity", "--until", "caught-up", "--data", str(place)]) == 5
        assert f"process {process.pid}" in capfd.readouterr().err
        for words in ("rebuild activity", "seek activity --from latest", "reset activity"):
            assert call(["state", *words.split(), "--data", str(place)]) == 5
            assert f"process {process.pid}" in capfd.readouterr().err
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "job activity:" in out
    assert json.loads(err.splitlines()[-1])["event"] == "job_stopped"
    assert call(["verify", "activity", "--data", str(place)]) == 0


AT_ONCE = """
import os, signal, sys
from headrace.cli import live, main

number = signal.Signals[sys.argv[1]]
tell = live.Watch.tell


def tell_and_be_stopped(self, event):
    tell(self, event)
    if type(event).__name__ == "JobStarted":
        os.kill(os.getpid(), number)


live.Watch.tell = tell_and_be_stopped
sys.exit(main.call(sys.argv[2:]))
"""


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_signal_in_the_moment_of_the_start_stops_in_order(tmp_path: Path, number: str) -> None:
    arguments = ["run", "activity", "--simulate", "1000", "--data", str(tmp_path / "d")]
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE, number, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert (events[0], events[-1]) == ("job_started", "job_stopped")


def _out(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    capfd.readouterr()
    assert call(arguments) == 0
    return capfd.readouterr().out


def test_a_terminal_shows_a_line_per_view(tmp_path: Path) -> None:
    command = ["run", "activity", "--simulate", "1000", "--data", str(tmp_path / "d")]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-m", "headrace.cli", *command])
    shown = b""
    end = time.monotonic() + 30
    while b"page_view_counts" not in shown and time.monotonic() < end:
        shown += os.read(terminal, 4096)
    os.kill(child, signal.SIGINT)
    shown += rest_of(terminal)
    _, code = os.waitpid(child, 0)
    text = shown.decode()
    assert os.waitstatus_to_exitcode(code) == 0, text
    assert "events/s" in text and "watermark" in text and '"event"' not in text


def test_new_makes_an_app_that_runs(tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(["new", "shop", "--json"]) == 0
    steps = json.loads(capfd.readouterr().out)["next"]
    assert steps[0] == "cd shop"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = "."
    for step in steps[1:]:
        done = subprocess.run(
            step, shell=True, cwd="shop", capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, f"{step}\n{done.stdout}{done.stderr}"
    assert call(["new", "shop"]) == 2
    assert call(["new", "Shop!"]) == 2
