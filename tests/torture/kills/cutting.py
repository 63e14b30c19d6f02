"""As kills, but what was not synced is gone: what was acknowledged must be on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from tests.torture.course import Part
from tests.torture.kills import leading
from tests.torture.kills.killing import disturb, ended
from tests.torture.kills.ordeal import MORE, RUN, Ordeal
from tests.torture.kills.place import EVERYTHING, SUBJECTS, Place, Subject
from tests.torture.kills.power import Witness, watched


class Cuts(Ordeal):
    """An ordeal in which each kill is a power cut."""

    kills = 16
    cuts = True

    def __init__(self, place: Place, undisturbed: Place) -> None:
        super().__init__(place, undisturbed)
        self.recomputes = self.restores = self.anew = False
        # No kill leads to some of them: a few come first.
        first = self.chance.sample([*leading.AFTER_A_CUT], 3)
        self._points.sort(key=lambda point: point not in first)
        self._tears = False
        self._witness = Witness(place.data, place.data.with_name("witness"))
        place.data.mkdir(parents=True)
        self._witness.begin()
        place.before = watched(place.data, self._witness.aside)
        place.after_kill = self.cut

    def acts(self) -> list[Callable[[], None]]:
        acts = [*[self.at_a_point] * 12, *[self.at_any_time] * 2, self.while_it_recovers]
        return [*acts, *[self.cut_after_upkeep] * 2]

    def feed(self, count: int = MORE) -> None:
        super().feed(count)
        if self.chance.random() < 0.3:
            # The log was acknowledged: it is there, whatever happens now.
            self.cut(least=True)

    def cut(self, *, least: bool = False) -> None:
        """The power fails while nothing runs; `least`: nothing is left but what has to be."""
        set_back = self._witness.cut(self.chance, least=least, torn=self._tears)
        self.place.done["files set back"] += set_back
        self._witness.begin()

    def _kill_at(self, point: str) -> None:
        """Where a torn end leads to the point, it is left."""
        self._tears = point in leading.AFTER_A_CUT
        super()._kill_at(point)
        self._tears = False

    def cut_after_upkeep(self) -> None:
        """What lake and log have removed hangs on what stands for it being on disk."""
        # What a cut left in between would count as synced from then on.
        self.upkeep()
        self.cut(least=True)
        self.place.done["power cuts after upkeep"] += 1
        self.place.done["power cuts after upkeep with retention"] += self.retains

    def finish(self) -> None:
        """Runs until all is delivered: it is there, whatever happens then."""
        super().finish()
        self.cut(least=True)
        assert not self.place.done["stops in words, followed"], "a power cut needs no command"


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    """One log that grows, and runs over it whose machine loses its power."""
    chance = Random(seed)
    return _counted(ended(_cuts(chance.choice(SUBJECTS), directory, chance), disturb))


def short_trial(seed: int, directory: Path) -> Mapping[str, int]:
    """Every kind of output; power cuts with all in flight, and after upkeep."""
    return _counted(ended(_cuts(EVERYTHING, directory, Random(seed)), _disturb_briefly))


def _cuts(subject: Subject, directory: Path, chance: Random) -> Cuts:
    place, undisturbed = (
        Place(subject, directory / name / "data", chance, seldom=leading.often(chance))
        for name in ("disturbed", "undisturbed")
    )
    return Cuts(place, undisturbed)


def _disturb_briefly(one: Ordeal) -> None:
    assert isinstance(one, Cuts)
    one.retains = True
    one.feed()
    for point in ("lake.committed:9", "state.committed:8"):
        one.place.kill_at(point, *RUN, **leading.MANY_COMMITS)
    one.cut_after_upkeep()
    one.feed()
    one.at_any_time()


def _counted(done: Mapping[str, int]) -> Mapping[str, int]:
    """Its kills are power cuts."""
    return {"power cuts" if what == "kills" else what: number for what, number in done.items()}


POWER = Part(
    "power cuts",
    "Where a kill also takes what was not synced, in any way in which a disk may, all of what was "
    "acknowledged is there, and the end is that of a run that nobody disturbed.",
    trial,
    short_trial=short_trial,
    share=4.5,
    seconds_max=600.0,
    # What a kill reaches too has its goal there.
    goals={
        "power cuts": 150,
        "power cuts after upkeep": 2,
        "power cuts after upkeep with retention": 1,
        "replaced files removed": 20,
        "files set back": 800,
        **{f"at {name}": 1 for name in leading.AFTER_A_CUT},
    },
)
