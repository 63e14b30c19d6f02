"""Commands that compute again what was computed: killed, and done by the undisturbed run as well.

What they give hangs on the records that were read by then. So both have caught up with the same
log before. A command that was killed is given again until it ends, unless it was committed: then
the next start delivers what it gave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from tests.torture.kills import leading
from tests.torture.kills.place import Place, accepting_more


@dataclass
class Again:
    """`follow` has the undisturbed run catch up; `points` are those that a command may pass.

    A command is disturbed as often as one of `tries` says, and that is counted by these names.
    """

    recomputes, rebuilds, replays = "kills of recomputes", "kills of rebuilds", "kills of replays"

    place: Place
    undisturbed: Place
    follow: Callable[[], None]
    points: tuple[str, ...] = leading.DELIVERING
    tries: tuple[int, ...] = (0, 1, 1, 2, 3)

    def recompute(self) -> None:
        """Late events are applied to what is closed."""
        [job] = self.place.subject.app.plan.jobs
        views = [view.name for view in job.views if view.window is not None]
        self._done(self.recomputes, ["recompute", "APP"], lambda: self._regions(views))

    def rebuild(self) -> None:
        """Some views, or all of them, are built again from all events."""
        [job] = self.place.subject.app.plan.jobs
        count = self.place.chance.choice([1, 1, 2, len(job.views)])
        chosen = self.place.chance.sample(job.views, min(count, len(job.views)))
        views = [view.name for view in chosen if view.window is not None]
        command = ["state", "rebuild", "APP", *(view.name for view in chosen)]
        self._done(self.rebuilds, command, lambda: self._regions(views))

    def replay(self) -> None:
        """The definition becomes one that accepts some of the dead letters, and judges them again.

        A last time there is none that accepts more: then nothing is accepted.
        """
        self.place.go_on()
        self._agree()
        for place in (self.place, self.undisturbed):
            place.subject = accepting_more(place.subject)
        self._done(self.replays, ["dead-letters", "replay", "APP"], self._replays)

    def _agree(self) -> None:
        self.place.finish()
        self.follow()

    def _done(self, what: str, command: Sequence[str], noted: Callable[[], Any]) -> None:
        """`noted` says what the state has noted of such commands.

        Where that is less than before, one was committed by half: it is not given again then.
        """
        place = self.place
        self._agree()
        before, killed = noted(), 0
        for _ in range(place.chance.choice(self.tries)):
            killed += self.disturb(what, *command)
            if killed and place.chance.random() < 0.3:
                place.kill_after(place.chance.uniform(0.0, 0.5), "run", "APP")
        place.finish()
        if noted() == before:
            place.run(*command)
        self.undisturbed.run(*command)

    def _regions(self, views: Sequence[str]) -> Any:
        """What was recomputed of views, if anything of each."""
        rows = self._rows("select view, max(number), max(epoch) from meta.regions group by view")
        mine = {view: row for view, *row in rows if view in views}
        return mine if len(mine) == len(views) else ()

    def _replays(self) -> Any:
        return self._rows("select * from meta.replays")

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        [job] = self.place.subject.app.plan.jobs
        state = self.place.data / "jobs" / job.id / "job.duckdb"
        with duckdb.connect(str(state), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def disturb(self, what: str, *command: str) -> bool:
        """Kills a command, which is counted as `what`; False where it ended before."""
        chance = self.place.chance
        # No run leads to these.
        its = [p for p in leading.CORRECTING if not self.place.done[f"at {p}"]]
        if what != self.replays and its and chance.random() < 0.6:
            killed = self.place.kill_at(chance.choice(its), *command)
        elif chance.random() < 0.3:
            killed = self.place.kill_after(chance.uniform(0.1, 0.8), *command)
        else:
            # What is delivered comes behind the fence of each lake.
            [job] = self.place.subject.app.plan.jobs
            nth = chance.randint(1, 3 + sum(output.role == "lake" for output in job.outputs))
            killed = self.place.kill_at(f"{chance.choice(self.points)}:{nth}", *command)
        self.place.done[what] += killed
        return killed
