"""The parts, in the order in which they run."""

from __future__ import annotations

from tests.torture.course import Part
from tests.torture.definitions import DEFINITIONS
from tests.torture.input import INPUT
from tests.torture.kills.cutting import POWER
from tests.torture.kills.failing import DISKS
from tests.torture.kills.killing import KILLS
from tests.torture.texts import TEXTS

PARTS: tuple[Part, ...] = (DEFINITIONS, INPUT, TEXTS, KILLS, POWER, DISKS)
