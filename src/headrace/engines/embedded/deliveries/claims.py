"""What destinations say of a job, against its state: who may deliver, and from which epoch on.

Decided before anything is opened, so that a start which the state does not entitle to the outputs
(an empty directory, an older copy) takes nothing from the rightful one, however often it is tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from headrace.engines.embedded.epochs.definitions import refuse_changed_feeds
from headrace.engines.embedded.epochs.engine import JobEngine
from headrace.engines.embedded.epochs.places import fill_fact, stands_here
from headrace.plan.operators import TABLE_ROLES, Output, View, has_dedupe
from headrace.storage.contract import Claim, Mark
from headrace.values.errors import StateRefused

# A reset begins with a multiple of it: whoever asked for one is the rightful owner from then on.
STARTS_PER_GENERATION = 1_000_000
_LOST = (
    "Run it with the data directory that it was run with before: --data DIR. If that is lost, "
    "begin a new generation: headrace state reset APP"
)


def next_incarnation(engine: JobEngine, claims: Mapping[str, Claim | None]) -> int:
    """The number of this start, greater than that of every one before; by output, who has it.

    Raises as `refuse_unentitled`. A generation that has no epoch yet counts its own beyond what
    earlier ones delivered.
    """
    incarnation = refuse_unentitled(engine, claims)
    last = max((mark.epoch for mark in _marks(claims)), default=0)
    if last > engine.ledger.epoch:
        # All of them are of earlier generations, which a state that was lost knows nothing of.
        engine.ledger.count_beyond(last)
    return incarnation


def refuse_unentitled(engine: JobEngine, claims: Mapping[str, Claim | None]) -> int:
    """Raises StateRefused when the state cannot explain a mark, or a newer start has an output.

    Else returns the number of this start.
    """
    incarnation = int(engine.store.fact("incarnation") or 0) + 1
    marks = _marks(claims)
    if any(mark.epoch > engine.ledger.epoch for mark in marks):
        _note_elsewhere(engine, marks)
    for output in engine.job.outputs:
        claim = claims.get(output.name)
        if claim is None:
            continue
        if claim.mark is not None:
            refuse_unexplained(engine, output, claim.mark)
            refuse_changed_feeds(engine.store, engine.job, output)
        if claim.incarnation >= incarnation:
            raise _taken_over(engine, output, claim.incarnation, incarnation)
    return incarnation


def _marks(claims: Mapping[str, Claim | None]) -> list[Mark]:
    return [claim.mark for claim in claims.values() if claim is not None and claim.mark]


def _taken_over(engine: JobEngine, output: Output, theirs: int, ours: int) -> StateRefused:
    what = f"{output.role} {output.name}"
    if ours == 1:
        return _no_state(engine, f"{what} was opened by start number {theirs}")
    return StateRefused(
        f"{what} was taken over: job {engine.job.id} runs elsewhere, as its start number {theirs} "
        f"(this one, with the state {engine.store.path}, is number {ours})",
        remedy=_LOST,
    )


def _no_state(engine: JobEngine, has: str) -> StateRefused:
    return StateRefused(
        f"{has} of job {engine.job.id}, and this data directory has no state of it: "
        f"{engine.store.path} was lost, or never there",
        remedy=_LOST,
    )


def _note_elsewhere(engine: JobEngine, marks: Sequence[Mark]) -> None:
    """Keeps how far others went: a reset goes beyond it.

    So it need be given but once, and no two epochs whose rows a lake holds have one number.
    """
    store = engine.store
    found = {
        "generation_elsewhere": max(mark.generation for mark in marks),
        "epoch_elsewhere": max(mark.epoch for mark in marks),
    }
    with store.transaction():
        for name, number in found.items():
            store.set_fact(name, str(max(number, int(store.fact(name) or 0))))


def refuse_unexplained(engine: JobEngine, output: Output, mark: Mark) -> None:
    """Raises StateRefused when `mark` is not of this state's past."""
    ledger = engine.ledger
    if mark.generation < ledger.generation:
        return
    if mark.generation == ledger.generation and mark.epoch <= ledger.epoch:
        if not ledger.explains(mark):
            raise StateRefused(
                f"{output.role} {output.name} has epoch {mark.generation}.{mark.epoch} with other "
                f"records than the state {engine.store.path}: job {engine.job.id} went on "
                "elsewhere with a copy",
                remedy=_LOST,
            )
        return
    _note_elsewhere(engine, [mark])
    has = f"{output.role} {output.name} has epoch {mark.generation}.{mark.epoch}"
    if not ledger.epoch:
        raise _no_state(engine, has)
    raise StateRefused(
        f"{has}, the state {engine.store.path} only {ledger.generation}.{ledger.epoch}: the state "
        "is older than what it delivered, or the job runs elsewhere",
        remedy=_LOST,
    )


Reason = Literal["lost", "rebuilt", "moved"]
_REASONS: dict[str, Reason] = {"rebuilt": "rebuilt", "moved": "moved"}


@dataclass(frozen=True)
class Lack:
    """What an output lacks is not kept any more: it had `had`, and was given more up to `given`."""

    had: Mark | None
    given: int
    reason: Reason

    def refused(self, output: Output) -> StateRefused:
        """The error where it cannot be given its rows anew."""
        what = f"{output.role} {output.name} has lost what it was given up to epoch {self.given}"
        if self.had is not None:
            what += f", from epoch {self.had.generation}.{self.had.epoch} on"
        if self.reason == "rebuilt":
            what = f"{output.role} {output.name} has the rows of a view that was built again"
        if self.reason == "moved":
            return StateRefused(
                f"{output.role} {output.name} stood elsewhere until now, and what it held there "
                "cannot be computed again: neither a lake nor the log has all events",
                remedy="Leave it there, with the setting `tables` as it was, or begin a new "
                "generation: headrace state reset APP",
            )
        return StateRefused(
            f"{what}; that is no longer kept, and cannot be computed again",
            remedy="Restore it, or begin a new generation: headrace state reset APP",
        )


def lack_of(engine: JobEngine, output: Output, mark: Mark | None) -> Lack | None:
    """Whether what stands behind `mark` cannot be made from the epochs that are kept."""
    store, ledger, name = engine.store, engine.ledger, output.name
    if first_epoch(engine) > ledger.epoch:
        return None
    noted, counters = ledger.mark(name), store.counters
    begun = store.fact(fill_fact(name)) if output.role in TABLE_ROLES else None
    if begun is not None:
        return Lack(mark, ledger.epoch, _REASONS.get(begun, "lost"))
    if noted is None and output.role in TABLE_ROLES and stands_here(store, name):
        return Lack(mark, ledger.epoch, "moved")
    if mark is None:
        # A mark comes with the first rows: without any there is none to lose.
        given = counters.value(("destination", name, "landed"))
        known = noted is not None or output.role in TABLE_ROLES
        return Lack(None, noted or ledger.epoch, "lost") if given and known else None
    reader = engine.job.input_of(output)
    if not isinstance(reader, View) and not has_dedupe(reader):
        return None
    marked = counters.value(("mark", name, "marked")) or 0
    has = mark.epoch if mark.generation == ledger.generation else 0
    return Lack(mark, marked, "lost") if noted is not None and has < marked else None


def lacks_past(engine: JobEngine, output: Output, mark: Mark | None) -> bool:
    """Whether `output` keeps all rows of a view and lacks some that were never kept for it.

    It is new and its view is not, it was taken out for a while, its view was built again, or it is
    of another view or emits otherwise than before.
    """
    if output.role in TABLE_ROLES or not isinstance(engine.job.input_of(output), View):
        return False
    begun = engine.store.rows(
        "select 1 from meta.epochs where generation = ? and kind <> 'seek' limit 1",
        [engine.ledger.generation],
    )
    if not begun:
        # Nor is it known yet what an output of an earlier generation lacks.
        return False
    if engine.store.fact(fill_fact(output.name)) is not None:
        return True
    return mark is None and not engine.ledger.delivers(output.name)


def refuse_unknown_duplicates(engine: JobEngine, output: Output, after: int) -> None:
    """Raises StateRefused where rows of a stream with a dedupe were not kept for `output`.

    Of epochs behind `after`: who was a duplicate then, its memory no longer tells.
    """
    reader = engine.job.input_of(output)
    if isinstance(reader, View) or not has_dedupe(reader):
        return
    # Where nothing of its topic was read, nobody was a duplicate.
    [(lost,)] = engine.store.rows(
        "select min(epoch) from (select epoch from meta.ranges "
        "where topic = ? and end_offset > start_offset "
        "union all select epoch from meta.replays where topic = ?) "
        "where epoch > ? and epoch in (select epoch from meta.epochs where generation = ?) "
        "and epoch not in (select epoch from meta.outbox where output = ?)",
        [reader.topic, reader.topic, after, engine.ledger.generation, output.name],
    )
    if lost is not None:
        raise StateRefused(
            f"{output.role} {output.name} was not in the app when epoch {lost} was committed, and "
            "who was a duplicate then is no longer known",
            remedy="Begin a new generation, which reads all again: headrace state reset APP. "
            "Other lakes and topics are given nothing twice.",
        )


def first_epoch(engine: JobEngine) -> int:
    """The first epoch of the state's generation; the next one where there is none."""
    row = engine.store.rows(
        "select min(first_epoch) from meta.epochs where generation = ?", [engine.ledger.generation]
    )
    return int(row[0][0]) if row and row[0][0] is not None else engine.ledger.epoch + 1
