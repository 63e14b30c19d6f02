"""A run that is killed, whenever and wherever, ends as one that was not.

A trial: one app, one log that grows, a score of kills and what goes with them; then everything that
is left is held against a run over the same log that nobody disturbed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from random import Random

from tests.torture.course import Part
from tests.torture.kills import leading
from tests.torture.kills.left import check_same, left, sessions
from tests.torture.kills.ordeal import BEGIN, MORE, RUN, Ordeal
from tests.torture.kills.place import ACTIVITY, EVERYTHING, SUBJECTS, Place, Subject, told

_COMMITTED = "state.committed:6"


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    """One trial with at least so many kills."""
    chance = Random(seed)
    return ended(_ordeal(chance.choice(SUBJECTS), directory, chance), disturb)


def short_trial(seed: int, directory: Path) -> Mapping[str, int]:
    """Every kind of output, and what shows the most: kills with all in flight, and a zombie.

    What is killed at a commit has handed over nothing of it, and nothing that waits for a lake.
    In the end lakes are tidied, and some views built again.
    """
    log = Place(ACTIVITY, directory / "log/data", Random(seed))
    # Records that are made again have their numbers; those of a file it knows by where it was.
    log.fill(MORE, "log.published")
    one = _ordeal(EVERYTHING, directory, Random(seed))
    done = ended(one, _disturb_briefly)
    one.place.run("state", "rebuild", "APP", *one.views()[::3])
    left(one.place.subject.app, one.place.data, recomputed=True, put_back=one.put_back)
    return done


def _ordeal(subject: Subject, directory: Path, chance: Random) -> Ordeal:
    place, undisturbed = (
        Place(subject, directory / name, chance, seldom=leading.often(chance))
        for name in ("disturbed/data", "undisturbed/data")
    )
    return Ordeal(place, undisturbed)


def ended(one: Ordeal, disturb: Callable[[Ordeal], None]) -> Mapping[str, int]:
    """What was done to a job that is disturbed; it must end as one that nobody disturbs."""
    place = one.place
    try:
        disturb(one)
        one.finish()
        one.follow()
        check_end(one)
    except Exception as error:
        error.add_note("\n".join([f"recomputes {one.recomputes}:", *place.history]))
        raise
    return told(place.done)


def disturb(one: Ordeal) -> None:
    """Does this and that, until it was killed as often as it says."""
    one.begin()
    deck: list[Callable[[], None]] = []
    for _ in range(3 * one.kills):
        if one.place.done["kills"] >= one.kills:
            break
        if not deck:
            # All of it, in some order, before any of it again: so what is rare comes in time.
            deck = one.acts()
            one.chance.shuffle(deck)
        deck.pop()()


def _disturb_briefly(one: Ordeal) -> None:
    place = one.place
    one.recomputes = one.retains = one.anew = False
    one.feed(BEGIN)
    for seconds in (0, 10):
        one.feed_if_idle()
        place.kill_at(_COMMITTED, *RUN, epoch_records_max=60, lake_interval_seconds=seconds)
    one.feed()
    # To each an epoch is something else; what the zombie has for lakes waits, for topics does not.
    its = {"epoch_records_max": 60, "lake_interval_seconds": 10}
    one.a_zombie_at("state.before_commit:7", its, {"epoch_records_max": 400}, held=True)
    assert place.done["zombies"], "it had no epoch to be stopped in"
    place.fill(MORE, "log.written")
    one.at_any_time()
    one.while_it_recovers()
    one.upkeep()


def check_end(one: Ordeal, *, other_log: bool = False) -> None:
    """Recomputed by both at the same places of the log, or once more at the end.

    After somebody began anew it is the latter; which sessions a recompute covers hangs on what was
    open then, so those are left to the proof.
    """
    moot: Collection[str] = ()
    if one.recomputes and one.anew:
        moot = sessions(one.place.subject.app)
        for each in (one.place, one.undisturbed):
            each.run("recompute", "APP")
    found, wanted = (
        left(
            each.subject.app,
            each.data,
            recomputed=one.recomputes,
            other_log=other_log,
            without=moot,
            put_back=one.put_back and each is one.place,
            **each.settings,
        )
        for each in (one.place, one.undisturbed)
    )
    check_same(found, wanted)


KILLS = Part(
    "kills",
    "Whatever is killed and whenever, nothing is lost or counted twice: rows, lakes, topics, dead "
    "letters and sums end as those of a run that nobody disturbed.",
    trial,
    short_trial=short_trial,
    share=13.0,
    # Of what chance decides a third or so of what comes with so many kills.
    goals={
        # A thousand with those of "servers" and "power cuts"; the soak's come on top.
        "kills": 700,
        "at random times": 50,
        "at later passes of a point": 50,
        "while it recovers": 25,
        "of two at once": 15,
        "zombies": 8,
        "zombies refused": 2,
        "older copies put back": 8,
        "stops in words, followed": 4,
        "kills of what words name": 1,
        "kills of recomputes": 3,
        "kills of rebuilds": 3,
        "kills of replays": 3,
        "replaced files removed": 40,
        **{f"at {name}": 1 for name in leading.reached(cuts=False)},
    },
)
