"""As kills, but what was not synced is gone: what was acknowledged must be on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from random import Random

from tests.torture.course import Part
from tests.torture.kills.left import check_same, left
from tests.torture.kills.place import SUBJECTS, Place, told
from tests.torture.kills.points import embedded
from tests.torture.kills.power import Witness, watched

_RUN = ("run", "APP", "--until", "caught-up")
_CUTS = 5


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    """One log, and runs over it whose machine loses its power."""
    chance = Random(seed)
    place = Place(chance.choice(SUBJECTS), directory / "data", chance)
    witness = Witness(place.data, directory / "witness")
    place.data.mkdir()
    witness.begin()

    def cut(least: bool = False) -> None:
        place.done["files set back"] += witness.cut(chance, least=least)
        witness.begin()

    place.before, place.after_kill = watched(place.data, witness.aside), cut
    place.fill(1500)
    undisturbed = Place(place.subject, place.copy(directory / "undisturbed"), chance)
    # The log was acknowledged: it is there, whatever happens now.
    cut(least=True)
    undisturbed.run(*_RUN)
    try:
        return _disturbed(place, undisturbed, partial(cut, least=True))
    except Exception as error:
        error.add_note("\n".join(place.history))
        raise


def _disturbed(place: Place, undisturbed: Place, cut: Callable[[], None]) -> Mapping[str, int]:
    chance, points = place.chance, [p for p in embedded() if not p.startswith("log.re")]
    for _ in range(3 * _CUTS):
        if place.done["kills"] >= _CUTS:
            break
        settings = {
            "epoch_records_max": chance.choice([60, 150, 400]),
            "lake_interval_seconds": chance.choice([0, 0, 10]),
        }
        if chance.random() < 0.6:
            point = f"{chance.choice(points)}:{chance.choice([1, 2, 3, 6])}"
            place.kill_at(point, *_RUN, **settings)
        else:
            place.kill_after(chance.uniform(0.2, 1.2), *_RUN, **settings)
    place.finish()
    # All of it was delivered: it is there as well.
    cut()
    assert not place.done["stops in words, followed"], "a power cut needs no command"
    found, wanted = (left(each.subject.app, each.data) for each in (place, undisturbed))
    check_same(found, wanted)
    done = told(place.done)
    return {"power cuts": done.get("kills", 0), "files set back": done.get("files set back", 0)}


POWER = Part(
    "power cuts",
    "Where a kill also takes what was not synced, in any way in which a disk may, all of what was "
    "acknowledged is there, and the end is that of a run that nobody disturbed.",
    trial,
    share=1.5,
    goals={"power cuts": 200},
)
