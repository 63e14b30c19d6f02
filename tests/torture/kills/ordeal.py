"""What is done to one data directory, while its log grows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from tests.torture.kills import leading
from tests.torture.kills.again import Again
from tests.torture.kills.earlier import put_back
from tests.torture.kills.place import REFUSED, Place, begun, restored, stopped
from tests.torture.kills.replaced import outlast, replaced

RUN = ("run", "APP", "--until", "caught-up")
BEGIN, MORE = 800, 400
_HELD_SECONDS = 10.0


class Ordeal:
    """A place, and the same log read by a run that nobody disturbs.

    `recomputes`, `retains`, `restores` say what may be done to it; `anew` that a new generation of
    the state may begin, which knows of no recompute.
    """

    kills = 20
    cuts = False
    recomputing = 0.4
    restorable: tuple[str, ...] = ("lake", "topic")
    begun_seconds = 120.0
    stopped_at: tuple[str, ...] = ("state.before_commit", "topic.appended", "lake.files.synced")

    def __init__(self, place: Place, undisturbed: Place) -> None:
        self.place, self.undisturbed, self.chance = place, undisturbed, place.chance
        self.recomputes = self.chance.random() < self.recomputing
        self.restores = self.chance.random() < 0.4
        self.anew = self.restores
        self.retains = not self.restores and self.chance.random() < 0.5
        self.again = Again(place, undisturbed, self.follow)
        self._points = leading.common(retains=self.retains, cuts=self.cuts)
        self.chance.shuffle(self._points)
        if self.retains:
            self._points.sort(key=lambda point: point not in leading.RETAINING)
        self._missed: set[str] = set()
        self._replaced: set[Path] = set()

    def begin(self) -> None:
        """The first records, and the first runs, killed while they make the job's outputs."""
        self.place.earlier = self.place.subject.earlier is not None
        self._points.remove(leading.COLUMNS_ADDED)
        if self.place.earlier:
            # Soon: a replay goes on from it as well.
            self._points.insert(self.chance.randint(0, 6), leading.COLUMNS_ADDED)
        self.feed(BEGIN)
        making = [*leading.MAKING]
        self.chance.shuffle(making)
        # Whoever makes an output has a state.
        making.sort(key=lambda point: not point.startswith("state."))
        for point in making:
            self.place.kill_at(f"{point}:1", *RUN, **self.settings())

    @property
    def put_back(self) -> bool:
        """Whether something that was delivered may have been put back, or begun anew."""
        return self.anew or self.place.done["stops in words, followed"] > 0

    def acts(self) -> list[Callable[[], None]]:
        """What may happen next; what comes more often stands there more often."""
        acts = [*[self.at_a_point] * 12, *[self.at_any_time] * 3]
        acts += [self.while_it_recovers, self.two_at_once]
        if not self.retains:
            # One of the two may have to begin anew, from what the log holds.
            acts.append(self.a_zombie)
        if self.recomputes:
            acts += [self.again.recompute, self.again.rebuild]
        if not self.restores and self.chance.random() < 0.5:
            # Who begins anew would read what was replayed in the order of the log.
            acts += [self.again.replay]
        if self.restores:
            acts += [self.an_older_state, self.an_older_destination]
        return acts

    def feed(self, count: int = MORE) -> None:
        """More records; those before are kept for the undisturbed run where retention may go on."""
        self._filled(count)

    def finish(self) -> None:
        """Runs until all is delivered; nothing is killed from here on."""
        self.place.go_on()
        self.place.finish()
        self._count_removed()

    def _filled(self, count: int, *at: str, killed: bool = True) -> None:
        self.place.fill(count, *at, killed=killed)
        if self.retains:
            self.follow()

    def follow(self) -> None:
        """The undisturbed run reads what the log has by now."""
        topic = f"topics/{self.place.subject.topic}"
        shutil.rmtree(self.undisturbed.data / topic, ignore_errors=True)
        self.place.copy(self.undisturbed.data, (topic,))
        self.undisturbed.run(*RUN)

    def settings(self) -> dict[str, object]:
        """How a run cuts its epochs and keeps its lake; retention where it may be."""
        made: dict[str, object] = {
            "epoch_records_max": self.chance.choice([40, 60, 150, 150, 400]),
            "threads": self.chance.choice([1, 2]),
        }
        made["lake_interval_seconds"] = self.chance.choice([0, 0, 0, 10])
        if self.retains:
            made["retention_bytes"] = self.chance.choice([1, 1, 100_000])
        return made

    def at_a_point(self) -> None:
        point = self._points.pop(0)
        self._kill_at(point)
        # What leads to some hangs on chance: those come once more soon.
        soon = not self.place.done[f"at {point}"] and point not in self._missed
        self._missed.add(point)
        self._points.insert(1 if soon else len(self._points), point)

    def _kill_at(self, point: str) -> None:
        if point.startswith("log.") and self.chance.random() < 0.5:
            if point in leading.WRITING:
                self._filled(MORE, point)
                return
            if point in leading.MENDING:
                self._filled(MORE, leading.MENDING[point], point)
                return
        at = f"{point}:{self.chance.choice(leading.passes(point))}"
        settings = self.settings() | self._led_to(point)
        self.feed_if_idle()
        self.place.kill_at(at, *RUN, **settings)

    def _led_to(self, point: str) -> dict[str, object]:
        """Does what leads a run to `point`; the settings that it needs for it."""
        place = self.place
        if point in leading.REMOVING:
            self.leave_old_files()
        if point in leading.TIDYING + leading.REMOVING:
            self.feed()
            return {**leading.MANY_COMMITS}
        if point in leading.MENDING:
            self.feed_if_idle()
            place.kill_at(leading.MENDING[point], *RUN, **self.settings())
        elif point == leading.CONFIGURED:
            [grace] = {*leading.GRACES_SECONDS} - {place.seldom.lake_grace_seconds}
            place.seldom = replace(place.seldom, lake_grace_seconds=grace)
        elif point == leading.CHECKPOINTED:
            place.seldom = replace(place.seldom, state_log_bytes_busy=leading.STATE_LOG_BYTES)
        elif point == leading.COLUMNS_ADDED:
            place.go_on()
        elif point == leading.MIGRATED:
            put_back(place.data)
        return {}

    def leave_old_files(self) -> None:
        """Files that no commit names, or that one has replaced, and a checkpoint: all old."""
        settings = self.settings() | leading.MANY_COMMITS
        self.feed()
        self.place.kill_at("lake.files.synced:2", *RUN, **settings)
        self.place.run(*RUN, **settings)
        self.time_passes()

    def upkeep(self) -> None:
        """Lakes and log are tidied, twice; nothing is killed in between."""
        settings = self.settings() | leading.MANY_COMMITS
        if self.retains:
            settings["retention_bytes"] = 1
        for again in (False, True):
            if again:
                self.time_passes()
            self._filled(MORE, killed=False)
            self.place.run(*RUN, **settings)
        # A power cut may bring back the name of what was removed.
        self._count_removed()

    def at_any_time(self) -> None:
        self.feed_if_idle()
        with_job = self.chance.random() < 0.75
        seconds = self.chance.uniform(0.0 if with_job else 0.05, 0.8)
        self.place.kill_after(seconds, *RUN, with_job=with_job, **self.settings())

    def while_it_recovers(self) -> None:
        self.at_any_time()
        for _ in range(3):
            seconds = self.chance.uniform(0.0, 0.3)
            self.place.kill_after(seconds, *RUN, what="while it recovers", **self.settings())

    def two_at_once(self) -> None:
        """One of them has the job; the other, where it lives to say so, names who has it."""
        self.feed_if_idle()
        runs = [self.place.start(*RUN, **self.settings()) for _ in range(2)]
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
        at = f"{self.chance.choice(self.stopped_at)}:{self.chance.randint(2, 8)}"
        self.feed_if_idle()
        held = self.chance.random() < 0.5
        self.a_zombie_at(at, self.settings(), self.settings(), held=held)

    def a_zombie_at(
        self, at: str, its: Mapping[str, object], successors: Mapping[str, object], *, held: bool
    ) -> None:
        """With `held` the successor stands still as soon as it has the job, until it was awake."""
        place = self.place
        zombie = place.start(*RUN, at=at, stops=True, **its)
        if not stopped(zombie):
            assert zombie.process.exitcode == 0, zombie.text
            return
        had_job = zombie.has_job
        beside = place.data.with_name("beside")
        place.copy(beside, ("jobs",))
        for part in ("topics", "lakes"):
            if (place.data / part).exists():
                (beside / part).symlink_to(place.data / part)
        successor = place.start(*RUN, data=beside, **successors)
        begun(successor, self.begun_seconds)
        if held:
            # It has opened all its outputs, and given rows to hardly one of them.
            successor.hold()
        else:
            successor.end(self.chance.choice([0, 0.3, 60]))
        zombie.wake()
        if held:
            # It may have been stopped while it held a lock that the zombie waits for.
            zombie.end(_HELD_SECONDS)
            successor.wake()
            successor.end()
        code = zombie.end()
        # To one that slept for long a system seems to be away.
        assert code in (0, 4, REFUSED) and "Traceback" not in zombie.text, zombie.text
        successor.kill()
        place.done["zombies"] += 1
        place.done["zombies refused"] += code == REFUSED
        if successor.process.exitcode == REFUSED:
            # It had copied the state before the zombie took its number, and the zombie was first.
            assert not (had_job and successor.has_job), f"no zombie stops it: {successor.text}"
            assert "Traceback" not in successor.text, successor.text
        else:
            place.counted(successor, "successors of zombies")
            shutil.rmtree(place.data / "jobs")
            (beside / "jobs").rename(place.data / "jobs")
        shutil.rmtree(beside)
        # Where both had one number, what each of them left may stop the other.
        place.finish()

    def time_passes(self) -> None:
        """So long that what lakes have replaced may be removed."""
        self._count_removed()
        outlast(self.place.data, self.place.seldom.lake_grace_seconds or 0)
        self._replaced = replaced(self.place.data)

    def _count_removed(self) -> None:
        gone = {path for path in self._replaced if not path.exists()}
        self.place.done["replaced files removed"] += len(gone)
        self._replaced -= gone

    def views(self) -> list[str]:
        [job] = self.place.subject.app.plan.jobs
        return [view.name for view in job.views]

    def an_older_state(self) -> None:
        """Copied at one time, put back at another; then the words are followed."""
        self._copied_and_put_back("jobs")

    def an_older_destination(self) -> None:
        [job] = self.place.subject.app.plan.jobs
        output = self.chance.choice([o for o in job.outputs if o.role in self.restorable])
        self._copied_and_put_back(f"{output.role}s/{output.name}")

    def feed_if_idle(self) -> None:
        if self.place.idle:
            self.feed()

    def _copied_and_put_back(self, part: str) -> None:
        place = self.place
        if not (place.data / part).exists():
            return
        aside: Path = place.data.with_name("aside")
        place.copy(aside, (part,))
        self.at_a_point()
        self.at_any_time()
        self._count_removed()
        self._replaced.clear()
        restored(aside / part, place.data / part)
        shutil.rmtree(aside)
        place.done["older copies put back"] += 1
        place.finish()
