"""Logs and states damaged at every byte of the last block of each file, and opened.

A log is opened as it was, whole, and more can be appended. A state is opened as it was, or without
the end of its log as of an earlier commit, from which a job goes on: `killed.py` runs some. Or they
are refused in words that name the file and the way on.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Literal

import numpy as np
import pyarrow as pa

from headrace.storage.state.damage import damage_in_words
from headrace.storage.state.store import FILE_NAME, StateStore
from headrace.storage.topics.log import LocalTopic
from headrace.values.errors import HeadraceError
from tests.storage.topics.model import SMALL_SEGMENTS, read_all
from tests.torture.course import Part
from tests.torture.disks.bytes import Damage, of_last_block
from tests.torture.disks.words import check_words

_APPENDS, _EPOCHS, _CHECKPOINTED = 10, 4, 3
_SHORT, _PIECES = 8, 2
_LOG, _READERS = f"{FILE_NAME}.wal", "readers.json"
_SPARED = ("lock",)

Opened = Literal["whole", "older", "readers forgotten"]
Check = Callable[[Path], Opened]
"""Opens what is in a directory, and says what was there. HeadraceError where refused."""
_MAY_BE = {
    # Nothing tells of what was committed last but the log's own end.
    _LOG: ("whole", "older"),
    # As the page of reliability says: who runs registers again.
    _READERS: ("whole", "readers forgotten"),
}


def short_trial(seed: int, directory: Path) -> Mapping[str, int]:
    return _piece(seed, directory, _SHORT, 0, 1)


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    """All of it, in several processes: opening a state takes its time."""
    done: Counter[str] = Counter()
    with ProcessPoolExecutor(_PIECES, get_context("spawn")) as pool:
        piece = partial(_piece, seed, directory, None, of=_PIECES)
        for counts in pool.map(piece, range(_PIECES)):
            done.update(counts)
    return done


def _piece(seed: int, directory: Path, most: int | None, number: int, of: int) -> Mapping[str, int]:
    """Every damage whose number leaves `number` when divided by `of`."""
    chance, own, done = Random(seed), directory / str(number), Counter[str]()
    for make in (_topic, _state):
        whole = own / make.__name__
        check = make(whole, chance)
        opened = check(_copy(whole, own / "damaged"))
        assert opened == "whole", f"{opened}, though nothing was damaged"
        for path in sorted(p for p in whole.rglob("*") if p.is_file() and p.name not in _SPARED):
            every = of_last_block(path.stat().st_size, chance, most)
            for damage in islice(every, number, None, of):
                name = path.relative_to(whole)
                done.update(_damaged(whole, own / "damaged", name, damage, check))
    return done


def _damaged(
    whole: Path, copy: Path, name: Path, damage: Damage, check: Check
) -> Mapping[str, int]:
    _copy(whole, copy)
    path = copy / name
    damage.inflict(path)
    done = {"files damaged": 1}
    try:
        opened = check(copy)
        assert opened in _MAY_BE.get(path.name, ("whole",)), opened
        done[f"opened {opened}"] = 1
    except HeadraceError as refused:
        of = path if path.parent == copy else path.parent
        check_words(str(refused), path, of, missing=damage.how == "missing")
        done["refused in words"] = 1
    except Exception as error:
        error.add_note(f"{damage} of {name}")
        raise
    return done


def _copy(whole: Path, copy: Path) -> Path:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(whole, copy)
    return copy


def _topic(directory: Path, chance: Random) -> Check:
    """A topic of a few small segments, with a producer and a reader."""
    topic = LocalTopic.create(directory, "t", 2, limits=SMALL_SEGMENTS)
    for number in range(_APPENDS):
        values = [chance.randbytes(chance.randint(0, 60)) for _ in range(chance.randint(1, 5))]
        topic.append(pa.array(values), producer="p", sequence=number)
    topic.register_reader("r", topic.begin_offsets())
    wanted, readers = _records(topic), topic.readers()

    def check(copy: Path) -> Opened:
        again = LocalTopic.open(copy, "t", limits=SMALL_SEGMENTS)
        assert _records(again) == wanted
        # What was acknowledged to a producer is not taken again.
        again.append(pa.array([b"again"]), producer="p", sequence=_APPENDS - 1)
        again.append(pa.array([b"more"]), partition=np.zeros(1, int))
        assert _records(again) == {**wanted, 0: [*wanted[0], b"more"]}
        if again.readers() == readers:
            return "whole"
        assert not again.readers()
        return "readers forgotten"

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
            if epoch == _CHECKPOINTED - 1:
                store.connection.execute("checkpoint")
        wanted = _epochs(store)
        shutil.copytree(made, directory)
    assert (directory / _LOG).exists()

    def check(copy: Path) -> Opened:
        # As every command opens it.
        with (
            damage_in_words(copy / FILE_NAME),
            StateStore(copy, threads=1, memory_limit="200MB") as again,
        ):
            found = _epochs(again)
            assert _CHECKPOINTED <= len(found) <= _EPOCHS and found == wanted[: len(found)]
            assert again.counters.value(("view", "v", "applied")) == len(found)
            with again.transaction():
                again.count([("view", "v", "applied", 1)])
            return "whole" if found == wanted else "older"

    return check


def _epochs(store: StateStore) -> list[tuple[object, ...]]:
    return store.rows("select * from meta.views order by since_epoch")


DAMAGE = Part(
    "damage",
    "A file of a log or a state is cut at any byte of its last block, or has a byte flipped there, "
    "or is gone: a log is opened as it was, a state as it was or as of an earlier commit, or they "
    "are refused in words.",
    short_trial,
    long_trial=trial,
    minutes=6,
    seconds_max=3600,
)
