"""What destinations say of a job, against its state: who may deliver, and from which epoch on.

Decided before anything is opened, so that a start which the state does not entitle to the outputs
(an empty directory, an older copy) takes nothing from the rightful one, however often it is tried.
"""

from __future__ import annotations

from collections.abc import Mapping

from headrace.engines.embedded.engine import JobEngine
from headrace.plan.operators import Output
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

    Raises StateRefused when a mark cannot be explained by the state, or a newer start has one.
    """
    incarnation = int(engine.store.fact("incarnation") or 0) + 1
    for output in engine.job.outputs:
        claim = claims.get(output.name)
        if claim is None:
            continue
        if claim.mark is not None:
            refuse_unexplained(engine, output, claim.mark)
        if claim.incarnation >= incarnation:
            raise StateRefused(
                f"{output.role} {output.name} was taken over: job {engine.job.id} runs elsewhere, "
                f"as its start number {claim.incarnation} (this one is number {incarnation})",
                remedy=_LOST,
            )
    return incarnation


def refuse_unexplained(engine: JobEngine, output: Output, mark: Mark) -> None:
    """Raises StateRefused when `mark` is not of this state's past."""
    ledger = engine.ledger
    if mark.generation < ledger.generation or (
        mark.generation == ledger.generation and mark.epoch <= ledger.epoch
    ):
        return
    if mark.generation > ledger.generation:
        with engine.store.transaction():
            # A reset goes beyond it, so that it need be given but once.
            engine.store.set_fact("generation_elsewhere", str(mark.generation))
    has = f"{output.role} {output.name} has epoch {mark.generation}.{mark.epoch}"
    if not ledger.epoch:
        raise StateRefused(
            f"{has} of job {engine.job.id}, and this data directory has no state of it",
            remedy=_LOST,
        )
    raise StateRefused(
        f"{has}, this state only {ledger.generation}.{ledger.epoch}: the state is older than what "
        "it delivered, or the job runs elsewhere",
        remedy=_LOST,
    )
