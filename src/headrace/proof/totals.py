"""The sums of semantics, section 3: that they balance, and that a batch counts the same."""

from __future__ import annotations

from headrace.engines.batch.kept import keep
from headrace.engines.batch.sums import VERDICTS, sums
from headrace.engines.embedded.runner import JobRunner
from headrace.proof.events import Events
from headrace.proof.fixed import Fixed
from headrace.proof.report import Sum


def check_sums(runner: JobRunner, fix: Fixed, events: dict[str, Events]) -> list[Sum]:
    """Every row of `conservation`, and each reader's counts against a plain batch."""
    found = []
    rows = fix.cursor.sql("select * from main.conservation").to_arrow_table().to_pylist()
    nulls = "select name, value from meta.counters where kind = 'view' and counter = ?"
    failed = dict(fix.cursor.execute(nulls, ["failed_results"]).fetchall())
    for row in rows:
        text = _text(row)
        if row["kind"] == "view" and failed.get(row["name"]):
            count = failed[row["name"]]
            text += f"; {count} result{'s' * (count != 1)} not computable, given as null"
        found.append(Sum(row["kind"], row["name"], text, bool(row["balanced"])))
    counted = {r["name"]: r for r in rows if r["kind"] == "view"}
    for source in runner.job.sources:
        held = events[source.topic]
        if not held.whole:
            continue
        relations = held.relations
        for reader in runner.job.readers_of(source.topic):
            keep(fix.cursor, "_proof_sums", sums(reader, source, fix.epoch, relations))
            batch = fix.cursor.sql("select * from _proof_sums").to_arrow_table()
            wanted = {v: batch.column(v)[0].as_py() for v in ("accepted", *VERDICTS)}
            mine = {v: counted[reader.name][v] for v in wanted} if reader.name in counted else {}
            if any(wanted.values()) or mine:
                text = ", ".join(
                    f"{v} {wanted[v]} not {mine.get(v)}" for v in wanted if wanted[v] != mine.get(v)
                )
                found.append(Sum("batch", reader.name, text or "counts agree", not text))
    return found


def _text(row: dict[str, object]) -> str:
    if row["kind"] == "source":
        refused = f"dead-lettered {row['dead_lettered']}"
        return f"read {row['read']} = accepted {row['accepted']} + {refused}"
    if row["kind"] == "destination":
        return f"sent {row['sent']} = landed {row['landed']} + refused {row['refused']}"
    parts = ("applied", "filtered", "late", "duplicate", "failed")
    return f"accepted {row['accepted']} = " + " + ".join(f"{p} {row[p]}" for p in parts)
