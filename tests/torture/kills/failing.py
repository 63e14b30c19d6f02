"""Disks that refuse: each call that writes, syncs or renames may fail, once or from then on.

The run says in words what was refused and ends with exit code 5 or 4, or goes on by itself; and
when the disk takes again what it is given, the end is that of a run that nobody disturbed.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from tests.torture.course import Part
from tests.torture.kills import syncs
from tests.torture.kills.left import check_same, left
from tests.torture.kills.place import SUBJECTS, Place

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
}
_REFUSALS = 6
_CUTS = 6


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    """Calls that fail while a log is written and read, then files that are not what they were."""
    chance = Random(seed)
    place = Place(chance.choice(SUBJECTS), directory / "data", chance)
    place.fill(1500)
    undisturbed = Place(place.subject, place.copy(directory / "undisturbed"), chance)
    undisturbed.run(*_RUN)
    try:
        for _ in range(_REFUSALS):
            _refuse(place)
        place.run(*_RUN)
        found, wanted = (left(each.subject.app, each.data) for each in (place, undisturbed))
        check_same(found, wanted)
        for _ in range(_CUTS):
            _damage(place, directory)
    except Exception as error:
        error.add_note("\n".join(place.history))
        raise
    return {
        what: place.done[what] for what in ("calls refused", "files damaged", "refused in words")
    }


def _refuse(place: Place) -> None:
    """One run in which the nth call of a kind fails."""
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
        assert os.strerror(number) in run.text or "disk" in run.text, said
    place.done["calls refused"] += flag.exists()


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


def _damage(place: Place, directory: Path) -> None:
    """A copy in which one file is cut, has a byte flipped, or is gone: the same end, or words."""
    chance = place.chance
    data = place.copy(directory / "damaged")
    files = [p for p in data.rglob("*") if p.is_file() and p.stat().st_size > 1]
    path = chance.choice(sorted(p for p in files if "lakes" not in p.parts))
    size, how = path.stat().st_size, chance.choice(["cut", "flipped", "missing"])
    if how == "cut":
        os.truncate(path, chance.randint(max(0, size - 4096), size - 1))
    elif how == "flipped":
        content = bytearray(path.read_bytes())
        content[chance.randrange(size)] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
    else:
        path.unlink()
    place.history.append(f"{how}: {path.relative_to(data)} of {size} bytes")
    run = place.start(*_RUN, data=data)
    code = run.end()
    place.done["files damaged"] += 1
    said = f"{how} {path}: {code}\n{run.text}"
    assert code in (0, 4, 5) and "Traceback" not in run.text, said
    if code:
        place.done["refused in words"] += 1
        assert "headrace " in run.text or "estore" in run.text or "emove" in run.text, said
    else:
        proof = place.start("verify", "APP", data=data)
        assert proof.end() in (0, 1, 5), f"{said}\n{proof.text}"
    shutil.rmtree(data)


DISKS = Part(
    "disks",
    "A disk that is full, broken or forbidden is said in words, and nothing is lost; a file that "
    "was cut, changed or lost is mended or refused in words that name the way on.",
    trial,
    goals={"calls refused": 300, "files damaged": 400},
)
