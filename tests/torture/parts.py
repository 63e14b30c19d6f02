"""The parts, in the order in which they run."""

from __future__ import annotations

from tests.torture.course import Part
from tests.torture.definitions import DEFINITIONS
from tests.torture.disks.opened import DAMAGE
from tests.torture.disks.trials import DISKS
from tests.torture.input import INPUT
from tests.torture.kills.cutting import POWER
from tests.torture.kills.killing import KILLS
from tests.torture.kills.serving import SERVERS
from tests.torture.soak.soaking import SOAK
from tests.torture.texts import TEXTS
from tests.torture.times import TIMES
from tests.torture.ways import WAYS_OF_READING

PARTS: tuple[Part, ...] = (
    DEFINITIONS,
    WAYS_OF_READING,
    TIMES,
    INPUT,
    TEXTS,
    KILLS,
    SERVERS,
    POWER,
    DISKS,
    DAMAGE,
    SOAK,
)
