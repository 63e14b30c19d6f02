"""Views: what `agg` makes of a stream, with conditions and rankings on the result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from headrace.language.checks import expression, whole
from headrace.language.describe import group_lines, html_of, pair_words, source_words, step_lines
from headrace.language.location import caller
from headrace.language.names import Names, names
from headrace.language.steps import Pairs, SourceSpec, StepSpec, TopSpec, WindowSpec
from headrace.values.errors import DefinitionError, did_you_mean

_NOT_YET = {
    "join": "joins of views are not there yet",
    "union": "unions of views are not there yet",
    **dict.fromkeys(
        ("tumble", "slide", "session", "by", "agg", "dedupe", "explode"),
        "views of views are not there yet",
    ),
    **dict.fromkeys(
        ("select", "with_columns"),
        "the columns of a view are its keys and what agg names",
    ),
}


@dataclass(frozen=True, repr=False)
class View:
    """A keyed aggregate of a stream. Its columns: window or session, keys, results, rank."""

    source: SourceSpec
    job: object = field(compare=False)
    steps: tuple[StepSpec, ...]
    window: WindowSpec | None
    keys: Pairs
    results: Pairs
    where_made: str
    conditions: tuple[tuple[str, str], ...] = ()
    ranking: TopSpec | None = None

    def where(self, condition: str) -> View:
        """Keeps rows of the result for which `condition` (SQL over its columns) is true."""
        if self.ranking is not None:
            raise DefinitionError(
                "where(…) stands after top(…), which already counted the rows",
                where=caller(),
                remedy="Write where(…) before top(…).",
            )
        made = (expression(condition, "where"), caller())
        return replace(self, conditions=(*self.conditions, made))

    def top(self, count: int, *, by: str, per: Names = ()) -> View:
        """The first `count` rows by the column `by`, descending, nulls last; adds `rank`.

        Counted in each window, and in each group of the key columns `per`.
        """
        if self.ranking is not None:
            raise DefinitionError("top(…) was already said", where=caller())
        ranking = TopSpec(
            whole(count, "top"), expression(by, "top(by=…)"), names(per, "per"), caller()
        )
        return replace(self, ranking=ranking)

    def __getattr__(self, name: str) -> NoReturn:
        raise missing_step(name, View, _NOT_YET)

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        return html_of(self._lines())

    def _lines(self) -> list[str]:
        lines = [f"View of {source_words(self.source)}", *step_lines(self.steps)]
        lines += group_lines(self.window, self.keys)
        lines.append(f"  agg {pair_words(self.results)}")
        lines += [f"  where {condition}" for condition, _ in self.conditions]
        if self.ranking is not None:
            per = f" per {', '.join(self.ranking.per)}" if self.ranking.per else ""
            lines.append(f"  top {self.ranking.count} by {self.ranking.by}{per}")
        return lines


def missing_step(name: str, kind: type, words: dict[str, Any]) -> Exception:
    """The error for a call that `kind` does not have: in words where `words` has them."""
    if name in words:
        return DefinitionError(f"{name}(…): {words[name]}", where=caller())
    missing = f"{kind.__name__!r} object has no attribute {name!r}"
    if name.startswith("_"):
        return AttributeError(missing)
    calls = [n for n, found in vars(kind).items() if n[0] != "_" and callable(found)]
    return AttributeError(f"{missing}. {did_you_mean(name, calls)}")
