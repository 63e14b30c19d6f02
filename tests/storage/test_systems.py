"""Systems by the scheme of their URL, those of third parties too."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from headrace.storage.postgres.system import PostgresSystem
from headrace.storage.systems import Systems, maker_of
from headrace.testing.table_conformance import TableConformance
from headrace.values.errors import UsageError
from headrace.values.settings import Settings
from tests.storage import sqlite_system

ENTRY_POINT = "[headrace.systems]\nsqlite = headrace_sqlite:SqliteSystem\n"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with a package that registers the scheme `sqlite`, as an installer leaves it."""
    site = tmp_path / "site"
    about = site / "headrace_sqlite-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: headrace-sqlite\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRY_POINT)
    shutil.copy(sqlite_system.__file__, site / "headrace_sqlite.py")
    return site


class TestSystemOfAThirdParty(TableConformance):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "tables.sqlite"

    def system(self) -> sqlite_system.SqliteSystem:
        return sqlite_system.SqliteSystem(f"sqlite:{self.path}")

    def backup(self) -> Callable[[], None]:
        copy = self.path.with_suffix(".copy")
        shutil.copy(self.path, copy)
        return lambda: shutil.copy(copy, self.path) and None

    @contextmanager
    def outage(self) -> Iterator[None]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("begin exclusive")
            yield


def test_a_package_adds_a_scheme(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(installed))
    importlib.invalidate_caches()
    maker_of.cache_clear()
    systems = Systems(Settings(tmp_path, tables=f"sqlite:{tmp_path}/t"))
    made = systems.of("table")
    assert type(made).__module__ == "headrace_sqlite"
    assert systems.of("table") is made and systems.of("lake") is None
    systems.close()
    with pytest.raises(UsageError, match="sqlite") as told:
        maker_of("sqlit", "tables")
    assert 'Did you mean "sqlite"' in str(told.value)
    monkeypatch.delitem(sys.modules, "headrace_sqlite")
    maker_of.cache_clear()


def test_an_app_has_its_tables_there(installed: Path, tmp_path: Path) -> None:
    """From the profile to the proof, in processes of their own."""
    (tmp_path / "headrace.toml").write_text(
        f'[profile.own]\ndata = "d"\ntables = "sqlite:{tmp_path}/tables.sqlite"\n'
    )

    def give(*words: str) -> str:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("headrace")), *words, "--profile", "own"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(installed), *sys.path])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    give("simulate", "activity", "--count", "2000", "--seed", "7")
    give("run", "activity", "--until", "caught-up")
    proof = json.loads(give("verify", "activity", "--json"))["jobs"][0]
    checked: dict[str, Any] = {c["name"]: c["rows"] for c in proof["checked"]}
    with closing(sqlite3.connect(tmp_path / "tables.sqlite")) as connection:
        held = dict(connection.execute("select name, count(*) from held group by 1").fetchall())
    assert held["page_view_counts"] == checked["page_view_counts"] > 0
    assert set(held) <= set(checked)


def test_an_unknown_scheme_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'tables' names a system 'postgre'") as told:
        Systems(Settings(tmp_path, tables="postgre://host/database")).of("table")
    assert 'Did you mean "postgres' in str(told.value)


@pytest.mark.parametrize(
    ("role", "setting", "url", "remedy"),
    [
        ("topic", "topics", "postgresql://u:geheim@host/database", "kafka://"),
        ("table", "tables", "kafka://u:geheim@host:9092", "postgresql://"),
    ],
)
def test_a_system_plays_no_role_that_it_cannot(
    tmp_path: Path, role: str, setting: str, url: str, remedy: str
) -> None:
    systems = Systems(Settings(tmp_path, **{setting: url}))
    with pytest.raises(UsageError, match=f"{setting}.*holds no {setting}\n.*{remedy}") as told:
        systems.of(role)
    assert "geheim" not in str(told.value)


def test_a_system_is_not_connected_before_it_is_needed(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tables="postgresql://nowhere.invalid/database")
    assert isinstance(Systems(settings).of("table"), PostgresSystem)
