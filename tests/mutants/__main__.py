"""`python -m tests.mutants`: breaks a copy of the package in each way, and runs the short form.

Every mutant must be caught: `make torture` would be worth little if it passed them. The short form
must pass on a copy that is not broken: what fails there would seem to catch them all. Names given
as arguments choose among them. Writes into docs/reliability.md which part caught which.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.mutants import MUTANTS, PACKAGE, Mutant

ROOT = PACKAGE.parent
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- mutants: written by python -m tests.mutants -->", "<!-- end of mutants -->"
_SHORT = ("tests/engines/embedded/test_reference.py", "tests/torture", "tests/faults")
_TRIALS = "tests/torture/test_short.py"
_SECONDS_MAX = 1800
_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", re.M)


def main(names: Sequence[str]) -> int:
    chosen = [m for m in MUTANTS if not names or m.name in names]
    if unknown := set(names) - {m.name for m in chosen}:
        print(f"there is no mutant {', '.join(map(repr, sorted(unknown)))}", file=sys.stderr)
        return 2
    if found := first_failure(None, _SHORT):
        print(f"nothing is broken, and yet it fails: {found}", file=sys.stderr)
        return 2
    caught = {}
    with ThreadPoolExecutor(1 if (os.cpu_count() or 1) < 4 else 2) as pool:
        for mutant, by in zip(chosen, pool.map(caught_by, chosen), strict=True):
            caught[mutant] = by
            words = f"{'caught' if by else 'MISSED'}  {mutant.name}: {by or 'by nothing'}"
            print(words, flush=True)
    if not names:
        _write(caught)
    return 0 if all(caught.values()) else 1


def caught_by(mutant: Mutant) -> str | None:
    """The first test that fails with the mutant; None where the short form passes."""
    # The whole short form, but what is likely to catch it first.
    likely = f"{_TRIALS}::test_a_trial[{mutant.part}-0]" if mutant.part else _SHORT[0]
    return first_failure(mutant, [likely]) or first_failure(mutant, _SHORT)


def first_failure(mutant: Mutant | None, tests: Sequence[str]) -> str | None:
    """The first of `tests` that fails on a copy of the package, broken or as it is.

    With a mutant one that does not end has not failed: a trial that hangs has to say so itself.
    """
    with tempfile.TemporaryDirectory(prefix="headrace-mutant-") as directory:
        package = Path(directory) / "src"
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        if mutant is not None:
            mutant.apply(package)
        return _failing(package, tests, "as it is" if mutant is None else mutant.name)


def _failing(package: Path, tests: Sequence[str], name: str) -> str | None:
    options = ["-q", "-x", "-p", "no:cacheprovider", "--hypothesis-profile", "found"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{package}:{ROOT}", "TMPDIR": str(package.parent)},
            capture_output=True,
            text=True,
            timeout=_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        print(f"{name}: {', '.join(tests)} did not end", flush=True)
        return None
    found = _FAILED.search(done.stdout)
    if done.returncode != (1 if found else 0):
        raise RuntimeError(f"{name}: the tests did not run:\n{done.stdout[-2000:]}")
    return found[1] if found else None


def _write(caught: dict[Mutant, str | None]) -> None:
    rows = [f"| {m.name} | {f'`{by}`' if by else 'nothing'} |" for m, by in caught.items()]
    lines = [BEGIN, "", "| the engine is broken so | caught by |", "|---|---|", *rows, "", END]
    text = PAGE.read_text(encoding="utf-8")
    made = re.sub(f"{BEGIN}.*{END}", lambda _: "\n".join(lines), text, flags=re.S)
    PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
