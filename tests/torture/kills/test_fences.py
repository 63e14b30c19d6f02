"""Whoever was taken over gives a lake nothing more, where nothing else would stop it."""

from __future__ import annotations

from pathlib import Path
from random import Random

import headrace as hr
from tests.torture.kills.killing import check_end
from tests.torture.kills.ordeal import BEGIN, Ordeal
from tests.torture.kills.place import Place, Subject
from tests.views.cases import Thing

app = hr.App("lakes_alone")
_things = app.source(Thing, topic="things", partitions=3, time="at", lateness="5 seconds")
app.lake("all_things", _things)
app.lake("counts", _things.tumble("10 seconds").by("who").agg(c="count(*)"), emit="final")

LAKES = Subject(app, f"{__name__}:app", f"{__name__}:app", "things")
_ITS = {"epoch_records_max": 60, "lake_interval_seconds": 0}


def test_a_zombie_that_has_lakes_alone(tmp_path: Path) -> None:
    place, undisturbed = (
        Place(LAKES, tmp_path / name / "data", Random(1)) for name in ("disturbed", "undisturbed")
    )
    one = Ordeal(place, undisturbed)
    one.recomputes = one.retains = one.anew = False
    place.fill(BEGIN, killed=False)
    one.a_zombie_at("state.before_commit:7", _ITS, _ITS, held=True)
    assert place.done["zombies refused"] == 1
    one.finish()
    one.follow()
    check_end(one)
