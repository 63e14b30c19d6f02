"""Data directories of earlier versions: opened and gone on with, or refused in words."""

from __future__ import annotations

import json
import tarfile
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from headrace.cli.main import call
from headrace.storage.state.schema import FORMAT
from headrace.values.errors import StateRefused
from tests.old_states.shop import app
from tests.old_states.write import KEPT, give, orders, served

APP = str(Path(__file__).with_name("shop.py"))
STATE = Path("jobs", "shop", "job.duckdb")


def unpacked(path: Path, directory: Path) -> Path:
    with tarfile.open(path) as archive:
        archive.extractall(directory, filter="data")
    return directory / "data"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    kept = KEPT / f"format-{FORMAT}.tar.xz"
    assert kept.exists(), "a new format is kept too: python -m tests.old_states.write"
    return unpacked(kept, tmp_path)


@pytest.mark.parametrize("kept", sorted(KEPT.glob("*.tar.xz")), ids=lambda path: path.name)
def test_what_an_earlier_version_wrote(kept: Path, tmp_path: Path) -> None:
    data = unpacked(kept, tmp_path)
    try:
        found = served(data)
    except StateRefused as refused:
        assert kept.name != f"format-{FORMAT}.tar.xz"
        assert refused.remedy
        if "headrace state rebuild APP" not in refused.remedy:
            assert str(data / STATE) in refused.what
            return
        # The state of a view has another form: it is built again from all events.
        assert call(["state", "rebuild", APP, "--data", str(data)]) == 0
    else:
        kept_rows = json.loads((data / "served.json").read_text())
        # The first ones do not have the rows of lakes and topics.
        found = {name: found[name] for name in kept_rows}
        assert json.loads(json.dumps(found, default=str)) == kept_rows
    assert all(proof.holds for proof in app.verify(data=data))
    for step in range(2):
        give(data, orders(seed=3 + step, count=200, after=timedelta(minutes=30 + 20 * step)))
        app.run(until="caught-up", data=data)
        assert all(proof.holds for proof in app.verify(data=data))
    assert call(["recompute", APP, "--data", str(data)]) == 0
    assert all(proof.holds for proof in app.verify(data=data))
    sums = app.query("from conservation", data=data).to_pylist()
    assert sums and all(row["balanced"] for row in sums)


@pytest.mark.parametrize("number", ["999", "1"])
def test_a_state_of_a_format_that_is_not_known(
    number: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _set_fact(data, "format", number)
    for command in ("run --until caught-up", "verify", "query"):
        words = [*command.split(), *(["select 1"] if command == "query" else [])]
        assert call([words[0], APP, *words[1:], "--data", str(data)]) == 5
        said = capsys.readouterr().err
        assert f"{data / STATE} has format {number}, this version reads {FORMAT}" in said
        assert "Use the version of Headrace that wrote it" in said
    _set_fact(data, "format", before)
    assert all(proof.holds for proof in app.verify(data=data))


def test_a_state_of_another_engine(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _set_fact(data, "duckdb", "1.9")
    assert call(["run", APP, "--until", "caught-up", "--data", str(data)]) == 5
    said = capsys.readouterr().err
    assert f"{data / STATE} holds aggregate states of DuckDB 1.9" in said
    assert f"headrace state reset {APP} --data {data}" in said
    assert call(["state", "reset", APP, "--yes", "--data", str(data)]) == 0
    assert call(["run", APP, "--until", "caught-up", "--data", str(data)]) == 0
    # The kept directory was recomputed; a new generation begins with what was on time.
    assert call(["recompute", APP, "--data", str(data)]) == 0
    assert call(["verify", APP, "--data", str(data)]) == 0


def test_a_topic_of_another_format(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    about = data / "topics" / "orders" / "topic.json"
    content = json.loads(about.read_text())
    about.write_text(json.dumps({**content, "format": 77}))
    assert call(["run", APP, "--until", "caught-up", "--data", str(data)]) == 5
    said = capsys.readouterr().err
    assert f"{about} has log format 77, this version reads {content['format']}" in said
    assert "Use the version of Headrace that wrote it" in said
    about.write_text(json.dumps(content))
    assert all(proof.holds for proof in app.verify(data=data))


def _set_fact(data: Path, name: str, value: str) -> str:
    """Writes a fact into the state; returns what was there."""
    with duckdb.connect(str(data / STATE)) as state:
        [(found,)] = state.execute("select value from meta.facts where name = ?", [name]).fetchall()
        state.execute("update meta.facts set value = ? where name = ?", [value, name])
    return str(found)
