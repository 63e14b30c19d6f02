"""Opens a state, and says first of all where it is not the one that delivered last.

An older copy may also stand before what its topics still hold. The ways on from there are of a
state that is entitled to its outputs: with an older one none of them leads on.
"""

from __future__ import annotations

from contextlib import closing, suppress

from headrace.engines.embedded.deliveries.claims import refuse_unentitled
from headrace.engines.embedded.deliveries.targets import destination_of
from headrace.engines.embedded.epochs.engine import JobEngine
from headrace.plan.operators import View
from headrace.storage.contract import Claim
from headrace.storage.systems import Systems
from headrace.values.errors import HeadraceError, TopicRefused


def open_engine(engine: JobEngine, systems: Systems, **how: bool) -> tuple[View, ...]:
    """`engine.open`; where a topic is refused, StateRefused if destinations refuse the state."""
    try:
        return engine.open(**how)
    except TopicRefused:
        refuse_unentitled(engine, _claims(engine, systems))
        raise


def _claims(engine: JobEngine, systems: Systems) -> dict[str, Claim | None]:
    """Who has the outputs, of those that can be asked now."""
    claims: dict[str, Claim | None] = {}
    for output in engine.job.outputs:
        if output.name not in engine.inside | engine.arriving:
            with suppress(HeadraceError), closing(destination_of(engine, systems, output)) as there:
                claims[output.name] = there.look(engine.job.id)
    return claims
