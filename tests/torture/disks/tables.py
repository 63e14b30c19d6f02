"""An app whose rows are in its state alone: no destination tells how far it was."""

from __future__ import annotations

import headrace as hr
from tests.torture.kills.place import Subject
from tests.views.cases import Thing

app = hr.App("tables_alone")
_things = app.source(
    Thing, topic="things", partitions=3, key="who", time="at", lateness="5 seconds"
)

app.table("counts", _things.tumble("10 seconds").by("kind", "who").agg(c="count(*)", n="sum(n)"))
app.table("totals", _things.by("who").agg(c="count(*)", most="arg_max(text, n)"))
app.table("gaps", _things.session(gap="3 seconds").by("who").agg(c="count(*)"))
app.table("newest", _things, key="who")

TABLES = Subject(app, "tests.torture.disks.tables:app", "tests.torture.disks.tables:app", "things")
