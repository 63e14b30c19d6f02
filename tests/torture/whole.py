"""All parts one after another, within a time that has an end.

Each part has its share of the minutes. A part that is slower than that may take what nobody is
meant to take, two thirds as much again for all together; then it is ended and was too slow. So
those after it have their share, whatever those before it took.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from tests.torture.course import Course, Failed, Part, Result, TooSlow

# The default of 53 minutes comes to 89: within 90 with what make does first.
_MOST = 1.67


class Whole:
    """`parts` in about `minutes`, each for its own and its share of the others."""

    def __init__(self, parts: Sequence[Part], minutes: float) -> None:
        self.parts = parts
        self.seconds_max = _MOST * minutes * 60
        self._shared = (minutes - sum(part.minutes for part in parts)) * 60
        self._shares = max(sum(map(_share, parts)), 1.0)

    @property
    def fits(self) -> bool:
        """Whether the parts that have minutes of their own leave the others some."""
        return self._shared >= 0

    def meant(self, part: Part) -> float:
        """How many seconds a part has."""
        return part.minutes * 60 + self._shared * _share(part) / self._shares

    def allowed(self, part: Part, spent: float) -> float:
        """How many seconds a part may take that begins when so many are spent."""
        after = self.parts[self.parts.index(part) + 1 :]
        return self.seconds_max - spent - sum(self.meant(other) for other in after)

    def run(
        self, course: Course, clock: Callable[[], float] = time.monotonic
    ) -> list[Result] | None:
        """Prints what each part did or found; None where one found something or was too slow."""
        results, slow, begun = [], [], clock()
        took: dict[Part, float] = {}
        for part in self.parts:
            spent = clock() - begun
            try:
                result = course.run(part, self.meant(part), self.allowed(part, spent))
            except Failed as failure:
                print(failure, file=sys.stderr, flush=True)
                if isinstance(failure, TooSlow):
                    slow.append(part)
            else:
                print(result.line(), flush=True)
                results.append(result)
            took[part] = clock() - begun - spent
        if slow:
            print(self._too_slow(slow, took), file=sys.stderr, flush=True)
        return results if len(results) == len(self.parts) else None

    def _too_slow(self, slow: Sequence[Part], took: dict[Part, float]) -> str:
        longer = [
            f"{part.name} took {seconds / 60:.1f} minutes and was meant to take "
            f"{self.meant(part) / 60:.1f}"
            for part, seconds in took.items()
            if seconds > 1.1 * self.meant(part)
        ]
        names = ", ".join(part.name for part in slow)
        most = f"{self.seconds_max / 60:.0f} minutes"
        return f"Too slow, for the whole ends after {most}: {names}. {'; '.join(longer)}."


def _share(part: Part) -> float:
    return part.share if part.long_trial is None else 0.0
