"""What `verify` and `recompute` found, in words."""

from __future__ import annotations

from headrace.cli.tables import plural, text_table
from headrace.proof.report import Checked, Corrected, Recomputation, Verification

_DIFFERENCES_MAX = 5


def verification_text(found: Verification, holds: bool) -> str:
    """The proof of one job: a line per destination, the sums, the verdict `holds`."""
    lines = [
        f"job {found.job}, generation {found.generation}, epoch {found.epoch}: "
        f"{plural(found.events, 'event')} from {', '.join(found.origins)}, "
        f"computed again in {found.seconds:.1f} s"
    ]
    rows = [
        (
            c.name,
            c.kind,
            f"{c.rows:,}" if c.compared else "",
            _verdict(c),
            _late(c.late_would_change),
        )
        for c in found.checked
    ]
    rows += [(name, "", "", "not delivered", "") for name in found.undelivered]
    names = ("destination", "kind", "rows", "compared", "late events")
    lines.append(text_table(names, rows, right=(2,)))
    for check in found.checked:
        lines += _details(check)
    lines.append("")
    lines += [f"{'ok' if s.holds else 'WRONG':5}  {s.kind} {s.name}: {s.text}" for s in found.sums]
    if found.refused_rows:
        lines.append(
            f"{plural(found.refused_rows, 'row')} refused by a destination: "
            'headrace query APP "select * from refused_rows"; after a fix: '
            "headrace dead-letters replay APP"
        )
    unproved = sum(not c.compared for c in found.checked)
    if holds and unproved:
        lines.append(f"what can be compared holds; {plural(unproved, 'destination')} cannot be")
    else:
        lines.append("it holds" if holds else "it does NOT hold")
    return "\n".join(lines)


def _verdict(check: Checked) -> str:
    if not check.compared:
        return "not possible"
    return "equal" if check.holds else f"{check.different:,} different"


def _late(rows: int | None) -> str:
    return "" if not rows else f"would change {plural(rows, 'row')} (headrace recompute)"


def _details(check: Checked) -> list[str]:
    lines = [f"  {check.name}: {check.note}"] if check.note else []
    if check.holds:
        return lines
    lines.append(f"  {check.name}: the first differences")
    for difference in check.differences[:_DIFFERENCES_MAX]:
        lines.append("    " + ", ".join(f"{k}={v}" for k, v in difference.items()))
    return lines


def recomputation_text(found: Recomputation) -> str:
    """What a recompute changed, a line per table."""
    if found.bound is None:
        return f"job {found.job}: no window is closed yet, so there is nothing to recompute"
    done = "would be corrected" if found.dry_run else "corrected"
    lines = [
        f"job {found.job}: windows that end by {found.bound}, from {plural(found.events, 'event')}"
        f" in {found.seconds:.1f} s"
    ]
    names = ("destination", "equal", done, "added", "withdrawn")
    rows = [_counts(d) for d in found.destinations]
    lines.append(text_table(names, rows, right=(1, 2, 3, 4)))
    lines += [f"  {d.name}: left as it is: {d.note}" for d in found.destinations if d.note]
    if found.dry_run:
        lines.append(f"{plural(found.corrections, 'row')} would change; nothing was written")
    else:
        lines.append(f"{plural(found.corrections, 'row')} changed, in epoch {found.epoch}")
    return "\n".join(lines)


def _counts(found: Corrected) -> tuple[str, ...]:
    numbers = (found.equal, found.corrected, found.missing, found.deleted)
    return (found.name, *(f"{n:,}" for n in numbers))
