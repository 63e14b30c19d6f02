"""A run that is killed, whenever and wherever, ends as one that was not.

A trial: one app, one log that grows, a score of kills and what goes with them; then everything that
is left is held against a run over the same log that nobody disturbed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random

from tests.torture.course import Part
from tests.torture.kills import leading
from tests.torture.kills.left import check_same, left
from tests.torture.kills.ordeal import Ordeal
from tests.torture.kills.place import SUBJECTS, Place, told
from tests.torture.kills.points import embedded

_KILLS = 20


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    """One trial with at least so many kills."""
    chance = Random(seed)
    subject = chance.choice(SUBJECTS)
    place, undisturbed = (
        Place(subject, directory / name, chance, checkpoint_commits=leading.CHECKPOINT_COMMITS)
        for name in ("disturbed/data", "undisturbed/data")
    )
    one = Ordeal(place, undisturbed)
    try:
        return _disturbed(one)
    except Exception as error:
        error.add_note("\n".join([f"recomputes {one.recomputes}:", *place.history]))
        raise


def _disturbed(one: Ordeal) -> Mapping[str, int]:
    place = one.place
    one.begin()
    acts = one.acts()
    for _ in range(3 * _KILLS):
        if place.done["kills"] >= _KILLS:
            break
        one.chance.choice(acts)()
    place.finish()
    one.follow()
    if one.recomputes:
        for each in (place, one.undisturbed):
            each.run("recompute", "APP")
    found, wanted = (
        left(each.subject.app, each.data, recomputed=one.recomputes)
        for each in (place, one.undisturbed)
    )
    check_same(found, wanted)
    return told(place.done)


KILLS = Part(
    "kills",
    "Whatever is killed and whenever, nothing is lost or counted twice: rows, lakes, topics, dead "
    "letters and sums end as those of a run that nobody disturbed.",
    trial,
    share=3.0,
    goals={"kills": 1000, **{f"at {name}": 1 for name in embedded()}},
)
