"""The state of a job that was killed, damaged: what it knows is in the engine's log then."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random

from headrace.storage.state.store import FILE_NAME
from tests.torture.disks.damaged import COUNTED, damage_and_run
from tests.torture.disks.tables import TABLES
from tests.torture.kills.left import left
from tests.torture.kills.place import SUBJECTS, Place

_RUN = ("run", "APP", "--until", "caught-up")
_RECORDS, _EPOCH_RECORDS = 900, 60


def damaged_after_a_kill(chance: Random, directory: Path, damages: int) -> Mapping[str, int]:
    """Copies of one job that was killed, each with a file of its state damaged, and run."""
    place = Place(chance.choice([*SUBJECTS, TABLES]), directory / "data", chance)
    place.fill(_RECORDS)
    undisturbed = Place(place.subject, place.copy(directory / "undisturbed"), chance)
    undisturbed.run(*_RUN)
    wanted = left(undisturbed.subject.app, undisturbed.data)
    _kill(place)
    if chance.random() < 0.7:
        # What was committed goes into the file when it is closed.
        place.run("state", "list", "APP")
        _kill(place)
    state = next(place.data.glob(f"jobs/*/{FILE_NAME}")).relative_to(place.data)
    log = state.with_name(f"{FILE_NAME}.wal")
    assert (place.data / log).exists(), "it was killed with nothing in its log"
    try:
        for _ in range(damages):
            name = chance.choice([log, log, state])
            damage_and_run(place, directory / "damaged", name, wanted)
    except Exception as error:
        error.add_note("\n".join(place.history))
        raise
    counted = {what: place.done[what] for what in COUNTED}
    return {"states of killed jobs damaged": place.done["files damaged"], **counted}


def _kill(place: Place) -> None:
    point = f"state.committed:{place.chance.randint(3, 8)}"
    interval = place.chance.choice([0, 10])
    killed = place.kill_at(
        point, *_RUN, epoch_records_max=_EPOCH_RECORDS, lake_interval_seconds=interval
    )
    assert killed, "it came to its end"
