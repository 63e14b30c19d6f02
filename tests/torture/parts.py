"""The parts, in the order in which they run."""

from __future__ import annotations

from tests.torture.course import Part
from tests.torture.definitions import DEFINITIONS

PARTS: tuple[Part, ...] = (DEFINITIONS,)
