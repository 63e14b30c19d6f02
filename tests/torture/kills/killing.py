"""A run that is killed, whenever and wherever, ends as one that was not.

A trial: one app, one log, a dozen kills and what goes with them; then everything that is left is
held against a run over the same log that nobody disturbed.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from tests.torture.course import Part
from tests.torture.kills.left import check_same, left
from tests.torture.kills.place import REFUSED, SUBJECTS, Place, age, begun, restored, stopped, told
from tests.torture.kills.points import embedded

_RUN = ("run", "APP", "--until", "caught-up")
_KILLS = 8


class Ordeal:
    """What is done to one data directory; `recomputes`, `retains`, `restores` say what may be."""

    def __init__(self, place: Place) -> None:
        self.place, self.chance = place, place.chance
        self.recomputes = self.chance.random() < 0.4
        self.restores = self.chance.random() < 0.4
        self.retains = not self.restores and self.chance.random() < 0.4
        self._points = list(embedded())
        self.chance.shuffle(self._points)
        self._aside: Path | None = None

    def acts(self) -> list[Callable[[], None]]:
        """What may happen next; what comes more often stands there more often."""
        acts = [*[self.at_a_point] * 8, *[self.at_any_time] * 3, self.while_it_recovers]
        acts += [self.two_at_once, self.a_zombie, self.time_passes]
        if self.recomputes:
            acts += [self.recompute, self.rebuild]
        if self.restores:
            acts += [self.an_older_state, self.an_older_destination] * 2
        return acts

    def settings(self) -> dict[str, object]:
        """How a run cuts its epochs and keeps its lake; retention where it may be."""
        small = self.chance.choice([60, 150, 150, 400, 2000])
        made: dict[str, object] = {
            "epoch_records_max": small,
            "threads": self.chance.choice([1, 2]),
        }
        made["lake_interval_seconds"] = self.chance.choice([0, 0, 0, 10])
        if self.retains:
            made["retention_bytes"] = self.chance.choice([1, 100_000])
        return made

    def at_a_point(self) -> None:
        self._points.append(point := self._points.pop(0))
        nth = self.chance.choice([1, 1, 2, 3, 7])
        self.place.kill_at(f"{point}:{nth}", *_RUN, **self.settings())

    def at_any_time(self) -> None:
        self.place.kill_after(self.chance.uniform(0.05, 1.0), *_RUN, **self.settings())

    def while_it_recovers(self) -> None:
        for _ in range(3):
            self.place.kill_after(self.chance.uniform(0.0, 0.3), *_RUN, **self.settings())

    def two_at_once(self) -> None:
        """One of them has the job; the other, where it lives to say so, names who has it."""
        runs = [self.place.start(*_RUN, **self.settings()) for _ in range(2)]
        self.chance.shuffle(runs)
        for run in runs:
            run.end(self.chance.uniform(0, 0.6))
            run.kill()
        refused = [run for run in runs if run.process.exitcode == REFUSED]
        assert len(refused) < 2, [run.text for run in refused]
        for run in runs:
            if run not in refused:
                self.place.counted(run, "of two at once")
                continue
            [other] = [one for one in runs if one is not run]
            assert "is held by `" in run.text and f"(process {other.process.pid}," in run.text, (
                run.text
            )

    def a_zombie(self) -> None:
        """Stopped in the midst; a successor with its state goes on; then it awakes."""
        place = self.place
        point = self.chance.choice(["state.before_commit", "topic.appended", "lake.files.synced"])
        zombie = place.start(
            *_RUN, at=f"{point}:{self.chance.randint(3, 6)}", stops=True, **self.settings()
        )
        if not stopped(zombie):
            assert zombie.process.exitcode == 0, zombie.text
            return
        beside = place.data.with_name("beside")
        place.copy(beside, ("jobs",))
        for part in ("topics", "lakes"):
            if (place.data / part).exists():
                (beside / part).symlink_to(place.data / part)
        successor = place.start(*_RUN, data=beside, **self.settings())
        begun(successor)
        successor.end(self.chance.choice([0, 0.3, 60]))
        assert zombie.process.pid is not None
        os.kill(zombie.process.pid, signal.SIGCONT)
        code = zombie.end()
        assert code == 0 or code == 5 and "Traceback" not in zombie.text, zombie.text
        successor.kill()
        place.counted(successor, "successors of zombies")
        place.done["zombies"] += 1
        shutil.rmtree(place.data / "jobs")
        (beside / "jobs").rename(place.data / "jobs")
        shutil.rmtree(beside)

    def time_passes(self) -> None:
        age(self.place.data, 2 * 3600 + 60)

    def recompute(self) -> None:
        self._perhaps_killed("recompute", "APP")

    def rebuild(self) -> None:
        self._perhaps_killed("state", "rebuild", "APP")

    def _perhaps_killed(self, *command: str) -> None:
        if not (self.place.data / "jobs").exists():
            return
        point = self.chance.choice(["state.before_commit", "state.committed", "topic.appended"])
        if self.chance.random() < 0.5:
            self.place.kill_at(f"{point}:{self.chance.randint(1, 3)}", *command)
        else:
            self.place.kill_after(self.chance.uniform(0.1, 0.8), *command)

    def an_older_state(self) -> None:
        """Copied at one time, put back at another; then the words are followed."""
        self._copied_and_put_back("jobs")

    def an_older_destination(self) -> None:
        outputs = [
            o for o in self.place.subject.app.plan.jobs[0].outputs if o.role in ("lake", "topic")
        ]
        output = self.chance.choice(outputs)
        self._copied_and_put_back(f"{output.role}s/{output.name}")

    def _copied_and_put_back(self, part: str) -> None:
        place = self.place
        if not (place.data / part).exists():
            return
        aside = place.data.with_name("aside")
        place.copy(aside, (part,))
        self.at_a_point()
        self.at_any_time()
        restored(aside / part, place.data / part)
        shutil.rmtree(aside)
        place.done["older copies put back"] += 1
        place.finish()


def ordeal(seed: int, directory: Path, kills: int) -> Mapping[str, int]:
    """One trial with at least so many kills."""
    chance = Random(seed)
    place = Place(chance.choice(SUBJECTS), directory / "data", chance)
    place.fill(chance.choice([1500, 3000]))
    one = Ordeal(place)
    undisturbed = Place(place.subject, place.copy(directory / "undisturbed"), chance)
    undisturbed.run(*_RUN)
    try:
        return _disturbed(one, undisturbed, kills)
    except Exception as error:
        error.add_note("\n".join([f"recomputes {one.recomputes}:", *place.history]))
        raise


def _disturbed(one: Ordeal, undisturbed: Place, kills: int) -> Mapping[str, int]:
    place, acts = one.place, one.acts()
    for _ in range(3 * kills):
        if place.done["kills"] >= kills:
            break
        one.chance.choice(acts)()
    place.finish()
    if one.recomputes:
        for each in (place, undisturbed):
            each.run("recompute", "APP")
    found, wanted = (
        left(each.subject.app, each.data, recomputed=one.recomputes)
        for each in (place, undisturbed)
    )
    check_same(found, wanted)
    return told(place.done)


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    return ordeal(seed, directory, _KILLS)


KILLS = Part(
    "kills",
    "Whatever is killed and whenever, nothing is lost or counted twice: rows, lakes, topics, dead "
    "letters and sums end as those of a run that nobody disturbed.",
    trial,
    share=3.0,
    goals={"kills": 1000, **{f"at {name}": 1 for name in embedded()}},
)
