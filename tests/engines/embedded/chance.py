"""Draws whose plainest outcome comes first, so that hypothesis shrinks towards it."""

from __future__ import annotations

from random import Random


def perhaps(chance: Random, share: float) -> bool:
    """True with that probability; shrinks to False."""
    return chance.random() >= 1 - share
