"""Logs and states damaged at every byte of the last block of each file, and opened.

Opened is all or a beginning of what was there, whole, to which more can be appended; or it is
refused in words that name the file.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import duckdb
import numpy as np
import pyarrow as pa

from headrace.storage.state.store import FILE_NAME, StateStore
from headrace.storage.topics.log import LocalTopic
from headrace.values.errors import HeadraceError
from tests.storage.topics.model import SMALL_SEGMENTS, read_all
from tests.torture.course import Part
from tests.torture.disks.bytes import Damage, of_last_block

_APPENDS, _EPOCHS = 10, 4
_SHORT, _OF_TABLES = 8, 200
_ENGINES_WORDS = ("checksum", "orrupt", "Could not read enough bytes")
_SPARED = ("lock",)

Check = Callable[[Path], bool]
"""Opens what is in a directory; whether all of it was there. HeadraceError where refused."""


def short_trial(seed: int, directory: Path) -> Mapping[str, int]:
    return _trial(Random(seed), directory, _SHORT)


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    return _trial(Random(seed), directory, None)


def _trial(chance: Random, directory: Path, most: int | None) -> Mapping[str, int]:
    done: Counter[str] = Counter()
    for make in (_log, _state):
        whole = directory / make.__name__
        check = make(whole, chance)
        assert check(_copy(whole, directory / "damaged")), "not whole, though nothing was damaged"
        for path in sorted(p for p in whole.rglob("*") if p.is_file() and p.name not in _SPARED):
            name = path.relative_to(whole)
            # The engine's blocks are much longer, and mostly empty.
            spread = most or (_OF_TABLES if path.name == FILE_NAME else None)
            for damage in of_last_block(path.stat().st_size, chance, spread):
                done.update(_damaged(whole, directory / "damaged", name, damage, check))
    return done


def _damaged(
    whole: Path, copy: Path, name: Path, damage: Damage, check: Check
) -> Mapping[str, int]:
    _copy(whole, copy)
    damage.inflict(copy / name)
    done = {"files damaged": 1}
    try:
        done["recovered"] = int(check(copy))
    except HeadraceError as refused:
        assert str(copy) in str(refused), f"{damage} of {name}: no file is named: {refused}"
        assert refused.remedy, f"{damage} of {name}: no way on is named: {refused}"
        done["refused in words"] = 1
    except Exception as error:
        error.add_note(f"{damage} of {name}")
        raise
    return done


def _copy(whole: Path, copy: Path) -> Path:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(whole, copy)
    return copy


def _log(directory: Path, chance: Random) -> Check:
    """A topic of a few small segments, with a producer and a reader."""
    topic = LocalTopic.create(directory, "t", 2, limits=SMALL_SEGMENTS)
    for number in range(_APPENDS):
        values = [chance.randbytes(chance.randint(0, 60)) for _ in range(chance.randint(1, 5))]
        topic.append(pa.array(values), producer="p", sequence=number)
    topic.register_reader("r", topic.begin_offsets())
    wanted = _records(topic)

    def check(copy: Path) -> bool:
        again = LocalTopic.open(copy, "t", limits=SMALL_SEGMENTS)
        found = _records(again)
        for partition, values in found.items():
            assert values == wanted[partition][: len(values)], partition
        before = again.end_offsets()
        again.append(pa.array([b"more"]), partition=np.zeros(1, int))
        assert again.end_offsets() == [before[0] + 1, before[1]]
        assert _records(again) == {**found, 0: [*found[0], b"more"]}
        again.readers()
        return found == wanted

    return check


def _records(topic: LocalTopic) -> dict[int, list[bytes | None]]:
    found: dict[int, list[bytes | None]] = {0: [], 1: []}
    for partition, _, _, value, _ in read_all(topic):
        found[partition].append(value)
    return found


def _state(directory: Path, chance: Random) -> Check:
    """A state of some epochs, the last of them in the engine's log, as a killed job leaves it."""
    made = directory.with_name("made")
    with StateStore(made, threads=1, memory_limit="200MB") as store:
        for epoch in range(_EPOCHS):
            with store.transaction() as connection:
                connection.execute(
                    "insert into meta.views values ('v', ?, ?)", [f"{chance.random()}", epoch]
                )
                store.count([("view", "v", "applied", 1)])
            if epoch == _EPOCHS // 2:
                store.connection.execute("checkpoint")
        wanted = _epochs(store)
        shutil.copytree(made, directory)

    def check(copy: Path) -> bool:
        with StateStore(copy, threads=1, memory_limit="200MB") as again:
            try:
                found = _epochs(again)
            except duckdb.Error as error:
                # What the command line says of it is looked at where whole jobs run.
                assert any(w in str(error) for w in _ENGINES_WORDS), error
                return False
            assert found == wanted[: len(found)]
            assert again.counters.value(("view", "v", "applied")) in (len(found), None)
            with again.transaction():
                again.count([("view", "v", "applied", 1)])
            return found == wanted

    assert (directory / f"{FILE_NAME}.wal").exists()
    return check


def _epochs(store: StateStore) -> list[tuple[object, ...]]:
    return store.rows("select * from meta.views order by since_epoch")


DAMAGE = Part(
    "damage",
    "A log or a state with a file that was cut at any byte of its last block, or has a byte "
    "flipped there, or that is gone, is opened as it was or as it was before, or refused in words.",
    short_trial,
    long_trial=trial,
    minutes=8,
    seconds_max=3600,
)
