"""Java, and the jars of the servers that run on it.

Maven fetches the jars of `pom.xml` once, into `$XDG_CACHE_HOME/headrace/jars/<hash of pom.xml>`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.servers.cached import cache_directory, made_once
from tests.servers.missing import Missing

POM = Path(__file__).with_name("pom.xml")
JAVA_MIN = 17
FETCH_SECONDS_MAX = 200
GET_JAVA = "apt-get install default-jre-headless, or set JAVA_HOME"
GET_MAVEN = "apt-get install maven"


@cache
def java() -> str:
    """The `java` to run servers with. Raises Missing where there is none that is new enough."""
    home = os.environ.get("JAVA_HOME")
    found = (shutil.which("java", path=f"{home}/bin") if home else None) or shutil.which("java")
    if found is None:
        raise Missing(f"no Java was found: {GET_JAVA}")
    version = re.search(r'version "(?:1\.)?(\d+)', java_version(found))
    if version is None or int(version[1]) < JAVA_MIN:
        raise Missing(f"{found} is older than Java {JAVA_MIN}: {GET_JAVA}")
    return found


@cache
def java_version(program: str) -> str:
    """All that `java -version` tells."""
    return subprocess.run([program, "-version"], capture_output=True, text=True).stderr


@cache
def classpath() -> str:
    """The jars of `pom.xml`, fetched where they are not there yet. Raises Missing."""
    return ":".join(str(jar) for jar in sorted(fetched(cache_directory()).glob("*.jar")))


def fetched(cache_in: Path, pom: Path = POM) -> Path:
    """The directory below `cache_in` with all jars of `pom`. Raises Missing."""
    return made_once(cache_in / short_hash(pom.read_bytes()), lambda part: _fetch(pom, part))


def short_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _fetch(pom: Path, into: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise Missing(f"no Maven was found to fetch the servers' jars: {GET_MAVEN}")
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={into}"]
    try:
        done = subprocess.run(
            [maven, "--quiet", "--batch-mode", "--file", str(pom), *goal],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired:
        raise Missing(
            f"Maven did not fetch the servers' jars in {FETCH_SECONDS_MAX} s: is there a network?"
        ) from None
    if done.returncode != 0:
        told = "\n".join((done.stdout + done.stderr).strip().splitlines()[:5])
        raise Missing(f"Maven could not fetch the servers' jars; is there a network?\n{told}")
