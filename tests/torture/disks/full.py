"""A disk that is really full: a small file system where one may be mounted, else files that end.

It fails whatever writes: the log, the lake, the engine with its own files.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
from functools import partial
from pathlib import Path

from tests.torture.disks.words import says_why
from tests.torture.kills.left import Left, check_same, left
from tests.torture.kills.place import Place

_RUN = ("run", "APP", "--until", "caught-up")
_ROOM = (30_000, 100_000, 200_000, 400_000, 1_000_000)
_LARGE_BYTES = 400_000_000


def run_on_a_full_disk(place: Place, data: Path, wanted: Left) -> None:
    """Runs the log of `place` in `data`, with too little room until it was said; to the same end.

    `place` holds a log that nothing has read.
    """
    chance = place.chance
    used = sum(p.stat().st_size for p in place.data.rglob("*") if p.is_file())
    room = chance.choice(_ROOM)
    data.mkdir()
    mounted = _mount(data, used + room)
    small = Place(place.subject, data, chance)
    place.copy(data)
    if not mounted:
        small.before = partial(_end_files, room)
    try:
        run = small.start(*_RUN)
        code = run.end()
        said = f"room for {room} bytes, mounted {mounted}: {code}\n{run.text}"
        assert code in (0, 4, 5) and "Traceback" not in run.text, said
        if code:
            place.done["disks full"] += 1
            assert any(says_why(run.text, data, why) for why in ("no space left", "large")), said
        small.before = None
        if mounted:
            _mount(data, _LARGE_BYTES, "remount,")
        small.run(*_RUN)
        check_same(left(place.subject.app, data), wanted)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(data)], check=True)
        shutil.rmtree(data)


def _mount(data: Path, size: int, how: str = "") -> bool:
    if shutil.which("mount") is None:
        return False
    options = ["-o", f"{how}size={size}"]
    command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(data)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _end_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
