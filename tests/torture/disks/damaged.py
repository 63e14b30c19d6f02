"""One file of a data directory damaged, and the job run on: the same end, or words.

Never a difference: what is served would then be wrong, and `verify` only the one to say so. What
the words name is done, and the end is the same again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from headrace.storage.state.store import FILE_NAME
from headrace.values.errors import HeadraceError
from tests.torture.disks.bytes import some
from tests.torture.disks.words import Ways, check_words, ways_in
from tests.torture.kills.left import Left, check_same, left
from tests.torture.kills.place import REFUSED, Place, restored

_RUN = ("run", "APP", "--until", "caught-up")
_STEPS_MAX = 4
COUNTED = ("files damaged", "refused in words", "went on", "ways followed")


def any_file(place: Place) -> Path:
    """A file of a data directory, relative to it."""
    files = [p.relative_to(place.data) for p in place.data.rglob("*") if _has_bytes(p)]
    # By folder first: a lake has more files than all others.
    part = place.chance.choice(sorted({p.parts[0] for p in files}))
    return place.chance.choice(sorted(p for p in files if p.parts[0] == part))


def damage_and_run(place: Place, copy: Path, name: Path, wanted: Left) -> None:
    """Damages the file `name` of a copy, and runs; `wanted` is what there is undamaged."""
    data, path = place.copy(copy), copy / name
    damage = some(path.stat().st_size, place.chance)
    said = f"{damage} of {name}, {path.stat().st_size} bytes"
    place.history.append(said)
    damage.inflict(path)
    place.done["files damaged"] += 1
    words = _run(place, data, wanted)
    if not words:
        place.done["went on"] += 1
    else:
        place.done["refused in words"] += 1
        place.history.append(words)
        check_words(words, path, data / _of(name), missing=damage.how == "missing")
        _follow(place, data, name, words, wanted)
    shutil.rmtree(data)


def _has_bytes(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 1


def _of(name: Path) -> Path:
    """The topic, lake or state that a file belongs to."""
    return Path(*name.parts[:2], FILE_NAME) if name.parts[0] == "jobs" else Path(*name.parts[:2])


def _run(place: Place, data: Path, wanted: Left, *, put_back: bool = False) -> str:
    """Runs to the end, which is compared; the words where that is refused."""
    run = place.start(*_RUN, data=data)
    code, said = run.end(), run.text
    if code == 0:
        try:
            found = left(place.subject.app, data, put_back=put_back)
        except HeadraceError as refused:
            code, said = refused.exit_code, str(refused)
        else:
            check_same(found, wanted)
            return ""
    assert code == REFUSED and "Traceback" not in said, f"{code}: {said}"
    return said


def _follow(place: Place, data: Path, name: Path, words: str, wanted: Left) -> None:
    """Does what the words say, until the end is the same."""
    for _ in range(_STEPS_MAX):
        _go(place, data, name, ways_in(words))
        place.done["ways followed"] += 1
        words = _run(place, data, wanted, put_back=True)
        if not words:
            return
        place.history.append(words)
    raise AssertionError(f"the words led nowhere: {words}")


def _go(place: Place, data: Path, name: Path, ways: Ways) -> None:
    """One of the ways, by chance."""
    kinds = [kind for kind in ("commands", "restore", "remove") if getattr(ways, kind)]
    kind = place.chance.choice(kinds)
    place.history.append(f"followed: {kind}")
    if kind == "remove":
        (data / name).unlink()
    elif kind == "restore":
        part = Path(*name.parts[:2])
        restored(place.data / part, data / part)
    else:
        # The first may leave out what is gone; the last counts all of it anew.
        run = place.start(*ways.commands[-1], "--yes", data=data)
        assert run.end() == 0, run.text
