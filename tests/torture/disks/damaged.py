"""One file of a data directory damaged, and the job run on: the same end, or words.

Never a difference: what is served would then be wrong, and `verify` only the one to say so.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from headrace.values.errors import HeadraceError
from tests.torture.disks.bytes import some
from tests.torture.kills.left import Left, check_same, left
from tests.torture.kills.place import Place

_RUN = ("run", "APP", "--until", "caught-up")


def damage_and_run(place: Place, copy: Path, wanted: Left) -> None:
    """Damages a file of a copy, chosen by chance, and runs; `wanted` is what there is undamaged."""
    chance = place.chance
    data = place.copy(copy)
    files = [p for p in data.rglob("*") if p.is_file() and p.stat().st_size > 1]
    # By folder first: a lake has more files than all others.
    part = chance.choice(sorted({p.relative_to(data).parts[0] for p in files}))
    path = chance.choice(sorted(p for p in files if p.relative_to(data).parts[0] == part))
    damage = some(path.stat().st_size, chance)
    said = f"{damage} of {path.relative_to(data)}, {path.stat().st_size} bytes"
    place.history.append(said)
    damage.inflict(path)
    run = place.start(*_RUN, data=data)
    code = run.end()
    place.done["files damaged"] += 1
    said = f"{said}: {code}\n{run.text}"
    assert code in (0, 4, 5) and "Traceback" not in run.text, said
    found: Left = {}
    if code == 0:
        try:
            found = left(place.subject.app, data)
        except HeadraceError as refused:
            code, said = refused.exit_code, str(refused)
            assert code == 5, said
    if code:
        place.done["refused in words"] += 1
        assert any(word in said for word in ("headrace ", "estore", "emove")), said
    else:
        check_same(found, wanted)
        place.done["went on"] += 1
    shutil.rmtree(data)
