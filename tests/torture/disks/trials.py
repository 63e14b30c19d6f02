"""A trial of disks: calls refused, a disk that is full, and files that are not what they were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.torture.course import Part
from tests.torture.disks.damaged import COUNTED, any_file, damage_and_run
from tests.torture.disks.full import run_on_a_full_disk
from tests.torture.disks.killed import damaged_after_a_kill
from tests.torture.disks.refusing import Refused, RefusedAgain
from tests.torture.kills.child import Seldom
from tests.torture.kills.leading import AHEAD_RECORDS
from tests.torture.kills.place import SUBJECTS, Place


@dataclass(frozen=True)
class _Times:
    """How often each is done."""

    fills: int = 6
    runs: int = 7
    again: int = 2
    retentions: int = 1
    damages: int = 4
    damages_of_unread: int = 2
    damages_of_killed: int = 4


_SHORT = _Times(2, 2, 1, 0, 1, 1, 1)


def short_trial(seed: int, directory: Path) -> Mapping[str, int]:
    return _trial(Random(seed), directory, _SHORT)


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    return _trial(Random(seed), directory, _Times())


def _trial(chance: Random, directory: Path, times: _Times) -> Mapping[str, int]:
    seldom = Seldom(ahead_records=chance.choice(AHEAD_RECORDS))
    subject = chance.choice(SUBJECTS)
    place = Place(subject, directory / "disturbed/data", chance, seldom=seldom)
    undisturbed = Place(subject, directory / "undisturbed/data", chance)
    try:
        _disturb(Refused(place, undisturbed), directory, times)
    except Exception as error:
        error.add_note("\n".join(place.history))
        raise
    done = Counter({what: n for what, n in place.done.items() if what in _COUNTED})
    done.update(damaged_after_a_kill(chance, directory / "killed", times.damages_of_killed))
    return done


def _disturb(one: Refused, directory: Path, times: _Times) -> None:
    place, chance = one.place, one.place.chance
    one.fill(times.fills)
    copy = place.copy(directory / "unread")
    unread = Place(place.subject, copy, chance, place.done, history=place.history)
    wanted = one.follow()
    one.run(times.runs, wanted)
    run_on_a_full_disk(unread, directory / "full", wanted)
    for _ in range(times.damages):
        damage_and_run(place, directory / "damaged", any_file(place), wanted)
    for _ in range(times.damages_of_unread):
        damage_and_run(unread, directory / "damaged", any_file(unread), wanted)
        place.done["logs damaged before they were read"] += 1
    again = RefusedAgain(one)
    for act in chance.sample([again.recompute, again.rebuild, again.replay], times.again):
        act()
    if times.retentions:
        one.retain(times.retentions)
    else:
        one.check_recomputed()


_GOALS = {
    "calls refused": 90,
    "opens refused": 8,
    "writes refused": 8,
    "syncs refused": 8,
    "closes refused": 8,
    "renames refused": 8,
    "directories refused": 5,
    "removals refused": 2,
    "cuts refused": 8,
    "refused fills": 10,
    "refused runs": 40,
    "refused recomputes": 4,
    "refused rebuilds": 3,
    "refused replays": 4,
    "refused retentions": 4,
    "disks full": 7,
    "files damaged": 50,
    "logs damaged before they were read": 12,
    "states of killed jobs damaged": 30,
}
_COUNTED = (*_GOALS, *COUNTED)

DISKS = Part(
    "disks",
    "A disk that is full, broken or forbidden is said in words, and nothing is lost; a file that "
    "was cut, changed or lost, in log, state or lake, is refused in words that name it and the way "
    "on, which leads to the same end, or the end is what it was.",
    trial,
    share=7.0,
    short_trial=short_trial,
    seconds_max=900.0,
    goals=_GOALS,
)
