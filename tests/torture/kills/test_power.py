"""What a power cut leaves of files that were synced, and of what was written since."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.torture.kills.power import Witness


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory in which one file is durable."""
    made = tmp_path / "data"
    made.mkdir()
    (made / "grows").write_bytes(b"durable.")
    return made


@pytest.mark.parametrize("seed", range(5))
def test_the_least_is_what_was_synced(data: Path, seed: int) -> None:
    _cut(data, seed, least=True)
    assert {path.name: path.read_bytes() for path in data.iterdir()} == {"grows": b"durable."}


@pytest.mark.parametrize("seed", range(5))
def test_what_is_torn_keeps_its_name_and_half_of_what_was_written(data: Path, seed: int) -> None:
    _cut(data, seed, torn=True)
    found = {path.name: path.read_bytes() for path in data.iterdir()}
    assert found == {"grows": b"durable.wri", "new": b"al"}


@pytest.mark.parametrize("seed", range(20))
def test_a_name_that_was_replaced_is_there(data: Path, seed: int) -> None:
    witness = Witness(data, data.with_name("witness"))
    witness.begin()
    (data / "draft").write_bytes(b"newer")
    (data / "draft").replace(data / "grows")
    witness.cut(Random(seed))
    assert (data / "grows").exists()


def _cut(data: Path, seed: int, *, least: bool = False, torn: bool = False) -> None:
    witness = Witness(data, data.with_name("witness"))
    witness.begin()
    with (data / "grows").open("ab") as file:
        file.write(b"written")
    (data / "new").write_bytes(b"all.")
    assert witness.cut(Random(seed), least=least, torn=torn) > 0
