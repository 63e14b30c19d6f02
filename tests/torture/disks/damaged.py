"""One file of a data directory damaged, and the job run on: the same end, or words."""

from __future__ import annotations

import shutil
from pathlib import Path

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
    if code == 0:
        proof = place.start("verify", "APP", data=data)
        code, said = proof.end(), f"{said}\nverify: {proof.text}"
        assert code in (0, 1, 5) and "Traceback" not in proof.text, said
        run = proof
    if code:
        place.done["refused in words"] += 1
        named = ("headrace ", "estore", "emove", "difference")
        assert any(word in run.text for word in named), said
    else:
        check_same(left(place.subject.app, data), wanted)
        place.done["went on"] += 1
    shutil.rmtree(data)
