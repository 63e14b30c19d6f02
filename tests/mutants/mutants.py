"""Ways in which the engine could be wrong; the short form of `make torture` must catch each.

A mutant is a line of the package put in place of another, said as text: it applies as long as the
line is there once, and a test says so when it is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "src"


@dataclass(frozen=True)
class Mutant:
    """`old` in the file `path` of the package is replaced by `new`.

    `part` is the part of the short form that is likely to see it, and so is tried first; without
    one it is where results are compared with plain loops.
    """

    name: str
    path: str
    old: str
    new: str
    part: str = ""

    def apply(self, package: Path) -> None:
        """Changes the copy at `package`; ValueError where `old` is not there exactly once."""
        file = package / "headrace" / self.path
        text = file.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: found {text.count(self.old)} times in {self.path}")
        file.write_text(text.replace(self.old, self.new), encoding="utf-8")


MUTANTS = (
    Mutant(
        "late rows count as on time",
        "engines/kernel/place.py",
        'f"when {late} or _replay is not null then',
        'f"when _replay is not null then',
    ),
    Mutant(
        "lateness is left out of what a record sees",
        "engines/kernel/watermark.py",
        "running[:-1] - lateness_us",
        "running[:-1]",
    ),
    Mutant(
        "the source's watermark is the greatest of its partitions'",
        "engines/kernel/watermark.py",
        "min(greatest_us[p] for p in counted)",
        "max(greatest_us[p] for p in counted)",
    ),
    Mutant(
        "a silent partition holds nobody back",
        "engines/embedded/epochs/sources.py",
        "if before.offsets[p] >= ends[p] and self._holds_nobody(p, at_us)",
        "if before.offsets[p] >= ends[p]",
    ),
    Mutant(
        "what a window held is dropped when an epoch adds to it",
        "engines/kernel/partial.py",
        """f"{c.name} = {c.joined.format(a=f's.{c.name}', b=f'm.{c.name}')}\"""",
        'f"{c.name} = m.{c.name}"',
    ),
    Mutant(
        "a window closes before the watermark has reached its end",
        "engines/embedded/views/keyed.py",
        'closed = f"_slice + {self.view.window.size_us} <= {batch.watermark_us}"',
        'closed = f"_slice <= {batch.watermark_us}"',
    ),
    Mutant(
        "dedupe forgets what an earlier epoch held",
        "engines/embedded/views/placing.py",
        'connection.execute(f"insert into {memory} {dedupe.remembered_sql(fresh, held)}")',
        "pass",
    ),
    Mutant(
        "dedupe forgets too early",
        "engines/embedded/views/placing.py",
        "back_us = batch.lateness_us + within_us",
        "back_us = batch.lateness_us",
        part="kills",
    ),
    Mutant(
        "exactly the timeout apart is together",
        "engines/kernel/sequence.py",
        "cut[1:] |= np.diff(time) >= timeout_us",
        "cut[1:] |= np.diff(time) > timeout_us",
    ),
    Mutant(
        "a repeated start opens a session of its own",
        "engines/kernel/sequence.py",
        "opens[starts[~repeated]] = True",
        "opens[starts] = True",
    ),
    Mutant(
        "an older row replaces a newer one under a smaller key",
        "engines/embedded/epochs/tables.py",
        'newer = f"and {_not_older(self.order)} "',
        'newer = ""',
        part="disks",
    ),
    Mutant(
        "dead letters are counted, not kept",
        "engines/embedded/epochs/ledger.py",
        "if len(part.dead):\n            self.insert_letters(refused(part, epoch))",
        "if len(part.dead) > 1 << 30:\n            self.insert_letters(refused(part, epoch))",
    ),
    Mutant(
        "dead letters are kept, not counted",
        "engines/embedded/epochs/engine.py",
        '("source", topic, "dead_lettered", len(part.dead)),',
        "",
    ),
    Mutant(
        "rows for other systems are not kept until they have them",
        "engines/embedded/epochs/ledger.py",
        "for output, table in committed.changes.items():",
        "for output, table in ():",
        part="kills",
    ),
    Mutant(
        "a mark is noted before the delivery",
        "engines/embedded/deliveries/delivery.py",
        "return self.delivered_epoch, self.marked_epoch, dict(self.rows)",
        "last = self._queue[-1].epoch if self._queue else self.delivered_epoch\n"
        "            return last, self.marked_epoch, dict(self.rows)",
        part="kills",
    ),
    Mutant(
        "whoever was taken over goes on",
        "storage/outbound/topic_writer.py",
        "if started != self._incarnation:",
        "if started < 0:",
        part="kills",
    ),
    Mutant(
        "whoever was taken over goes on in a lake",
        "storage/lake/lake.py",
        "if incarnation != entry.incarnation or number not in (last.number, entry.number):",
        "if incarnation < 0:",
    ),
    Mutant(
        "what landed in a crash's last moment is not counted",
        "engines/embedded/deliveries/destinations.py",
        "return {counter: known[counter] + more for counter, more in unnoted.items()}",
        "return known",
        part="kills",
    ),
    Mutant(
        "the log is not synced",
        "storage/topics/writer.py",
        '            sync_data(descriptor)\n            reach("log.synced")\n',
        '            reach("log.synced")\n',
        part="power cuts",
    ),
    Mutant(
        "the lake's files are not synced",
        "storage/lake/files.py",
        "        os.fsync(file.fileno())\n",
        "",
        part="power cuts",
    ),
    Mutant(
        "a checkpoint of the lake's log is not synced",
        "storage/lake/cleanup.py",
        "        sync_file(path)\n    sync_directory(log)\n",
        "        pass\n",
        part="power cuts",
    ),
    Mutant(
        "segments are removed before the disk has where the log begins",
        "storage/topics/retention.py",
        "publish_head(directory, head, durable=True)",
        "publish_head(directory, head)",
        part="power cuts",
    ),
    Mutant(
        "a damaged frame of the log is read",
        "storage/topics/segment.py",
        "if buffer.size != end - position or not frame.holds(memoryview(buffer), self._seed):",
        "if buffer.size != end - position:",
        part="damage",
    ),
    Mutant(
        "what is given again under its numbers is added again",
        "storage/topics/writer.py",
        "seen = max(last + 1 - numbering.number, 0)",
        "seen = 0",
        part="kills",
    ),
    Mutant(
        "a recompute does not note what it has covered",
        "proof/recompute.py",
        "number = _note(runner, view.name, made.regions[view.name])",
        "number = 0",
    ),
    Mutant(
        "corrections are not handed over",
        "proof/corrections.py",
        "committed.changes = {name: cut[nth] for name, cut in pieces.items() if nth < len(cut)}",
        "pass",
    ),
    Mutant(
        "corrections are handed over twice",
        "proof/corrections.py",
        "{name: cut[nth] for name, cut in pieces.items()",
        "{name: pa.concat_tables([cut[nth]] * 2) for name, cut in pieces.items()",
        part="kills",
    ),
    Mutant(
        "what a view applies that is built again is not counted",
        "proof/rebuild.py",
        "runner.store.count(account(view, outcome, len(events)))",
        "pass",
        part="kills",
    ),
    Mutant(
        "the proof takes late events into any window",
        "engines/batch/windows.py",
        'always = " and ".join(["not _late", *read])',
        'always = " and ".join(["true", *read])',
        part="kills",
    ),
    Mutant(
        "files that were put together stay",
        "storage/lake/compaction.py",
        "log.commit(entry, added, replaced)",
        "log.commit(entry, added, [])",
        part="kills",
    ),
    Mutant(
        "clean-up of a lake goes by an old version",
        "storage/lake/cleanup.py",
        "dead = table.vacuum(dry_run=True, full=True)",
        "dead = type(table)(directory, version=0).vacuum(dry_run=True, full=True)",
        part="kills",
    ),
    Mutant(
        "what is filtered counts as applied",
        "engines/kernel/verdicts.py",
        '    FILTERED: "filtered",\n',
        '    FILTERED: "applied",\n',
    ),
)
