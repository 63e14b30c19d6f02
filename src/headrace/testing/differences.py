"""A proof that failed, in the words of a failed assertion."""

from __future__ import annotations

from headrace.proof.report import Verification


def told(found: Verification) -> str:
    """Every part of the proof that does not hold, a line each."""
    lines = [f"{found.job}, epoch {found.generation}.{found.epoch}: verify does not hold"]
    for checked in found.checked:
        if not checked.holds:
            lines.append(f"  {checked.kind} {checked.name}: {checked.different} rows differ")
            lines += [f"    {difference}" for difference in checked.differences]
    lines += [f"  {s.kind} {s.name}: {s.text}" for s in found.sums if not s.holds]
    lines += [f"  {name} was not delivered" for name in found.undelivered]
    if found.refused_rows:
        lines.append(f"  {found.refused_rows} rows were refused")
    return "\n".join(lines)
