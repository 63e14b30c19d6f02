"""Disks that refuse: each call that opens, writes, syncs or renames may fail, once or from then on.

The run says in words what was refused and ends with exit code 5 or 4, or goes on by itself; and
when the disk takes again what it is given, the end is that of a run that nobody disturbed.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from tests.torture.course import Part
from tests.torture.disks.damaged import COUNTED, any_file, damage_and_run
from tests.torture.disks.full import run_on_a_full_disk
from tests.torture.disks.killed import damaged_after_a_kill
from tests.torture.kills import syncs
from tests.torture.kills.left import check_same, left
from tests.torture.kills.place import SUBJECTS, Place, restored

_RUN = ("run", "APP", "--until", "caught-up")
_CALLS = {
    "fsync": (errno.EIO, errno.ENOSPC),
    "fdatasync": (errno.EIO, errno.ENOSPC),
    "pwritev": (errno.ENOSPC, errno.EIO, errno.EDQUOT),
    "replace": (errno.EIO, errno.ENOSPC, errno.EACCES),
    "rename": (errno.EIO, errno.EACCES),
    "mkdir": (errno.ENOSPC, errno.EACCES),
    "unlink": (errno.EIO, errno.EACCES),
    "ftruncate": (errno.EIO,),
    "close": (errno.EIO, errno.EDQUOT),
    "open": (errno.EACCES, errno.EMFILE, errno.EIO),
}
_REFUSALS, _DAMAGED, _OF_KILLED = 12, 5, 5
_SHORT_REFUSALS, _SHORT_DAMAGED, _SHORT_OF_KILLED = 4, 2, 2


def short_trial(seed: int, directory: Path) -> Mapping[str, int]:
    chance = Random(seed)
    return _both(chance, directory, (_SHORT_REFUSALS, _SHORT_DAMAGED), _SHORT_OF_KILLED)


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    return _both(Random(seed), directory, (_REFUSALS, _DAMAGED), _OF_KILLED)


def _both(chance: Random, directory: Path, ended: tuple[int, int], killed: int) -> Counter[str]:
    done = Counter(_ended(chance, directory / "ended", *ended))
    done.update(damaged_after_a_kill(chance, directory / "killed", killed))
    return done


def _ended(chance: Random, directory: Path, refusals: int, damaged: int) -> Mapping[str, int]:
    """Calls that fail while a log is written and read, then files that are not what they were."""
    place = Place(chance.choice(SUBJECTS), directory / "data", chance)
    place.fill(1500)
    untouched = Place(place.subject, place.copy(directory / "untouched"), chance)
    undisturbed = Place(place.subject, place.copy(directory / "undisturbed"), chance)
    undisturbed.run(*_RUN)
    wanted = left(undisturbed.subject.app, undisturbed.data)
    try:
        for _ in range(refusals):
            if _refuse(place) == 0:
                # It has gone on by itself to the end; what follows needs something to do.
                check_same(left(place.subject.app, place.data), wanted)
                restored(untouched.data, place.data)
        place.run(*_RUN)
        check_same(left(place.subject.app, place.data), wanted)
        run_on_a_full_disk(untouched, directory / "full", wanted)
        place.done += untouched.done
        for _ in range(damaged):
            damage_and_run(place, directory / "damaged", any_file(place), wanted)
    except Exception as error:
        error.add_note("\n".join(place.history))
        raise
    return {what: place.done[what] for what in ("calls refused", "disks full", *COUNTED)}


def _refuse(place: Place) -> int | None:
    """One run in which the nth call of a kind fails; its exit code."""
    chance = place.chance
    name = chance.choice(list(_CALLS))
    number, nth = chance.choice(_CALLS[name]), chance.choice([1, 2, 3, 5, 9, 20])
    lasting = chance.random() < 0.3
    flag = place.data.with_name("refused")
    flag.unlink(missing_ok=True)
    place.before = partial(_fail, place.data, flag, name, number, nth, lasting)
    run = place.start(*_RUN, epoch_records_max=150, lake_interval_seconds=chance.choice([0, 10]))
    code = run.end()
    place.before = None
    said = f"{name} {os.strerror(number)} at {nth}, lasting {lasting}: {code}\n{run.text}"
    assert code in (0, 4, 5), said
    assert "Traceback" not in run.text, said
    if code:
        assert flag.exists(), said
        words = (os.strerror(number).lower(), "disk", "no permission")
        assert any(word in run.text.lower() for word in words), said
        assert "from a backup" not in run.text, f"nothing is damaged: {said}"
    place.done["calls refused"] += flag.exists()
    return code


def _fail(data: Path, flag: Path, name: str, number: int, nth: int, lasting: bool) -> None:
    left_over = nth

    def guard(called: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left_over
        if called != name or not _below(data, arguments[0]):
            return
        left_over -= 1
        if left_over == 0 or (lasting and left_over < 0):
            os.close(os.open(flag, os.O_CREAT | os.O_WRONLY))
            raise OSError(number, os.strerror(number), str(arguments[0]))

    syncs.guard(guard)


def _below(data: Path, target: object) -> bool:
    path = Path(f"/proc/self/fd/{target}").readlink() if isinstance(target, int) else target
    return Path(os.fspath(path)).is_relative_to(data)  # type: ignore[call-overload]


DISKS = Part(
    "disks",
    "A disk that is full, broken or forbidden is said in words, and nothing is lost; a file that "
    "was cut, changed or lost, in log, state or lake, is refused in words that name it and the way "
    "on, which leads to the same end, or the end is what it was.",
    trial,
    share=1.5,
    short_trial=short_trial,
    seconds_max=900.0,
    goals={
        "calls refused": 150,
        "disks full": 8,
        "files damaged": 60,
        "states of killed jobs damaged": 40,
    },
)
