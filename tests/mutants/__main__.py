"""`python -m tests.mutants`: breaks a copy of the package in each way, and runs the short form.

Every mutant must be caught: `make torture` would be worth little if it passed them. Names given as
arguments choose among them. Writes into docs/reliability.md which part caught which.
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
    """The first test that fails with the mutant; None where the short form passes.

    One that does not end is missed: a trial that hangs has to say so itself.
    """
    with tempfile.TemporaryDirectory(prefix="headrace-mutant-") as directory:
        package = Path(directory) / "src"
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        mutant.apply(package)
        # The whole short form, but what is likely to catch it first.
        likely = f"{_TRIALS}::test_a_trial[{mutant.part}-0]" if mutant.part else _SHORT[0]
        for tests in ((likely,), _SHORT):
            if found := _first_failure(mutant, package, tests):
                return found
        return None


def _first_failure(mutant: Mutant, package: Path, tests: Sequence[str]) -> str | None:
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
        print(f"{mutant.name}: {', '.join(tests)} did not end", flush=True)
        return None
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{mutant.name}: the tests did not run:\n{done.stdout[-2000:]}")
    found = _FAILED.search(done.stdout)
    return found[1] if found else None


def _write(caught: dict[Mutant, str | None]) -> None:
    rows = [f"| {m.name} | {f'`{by}`' if by else 'nothing'} |" for m, by in caught.items()]
    lines = [BEGIN, "", "| the engine is broken so | caught by |", "|---|---|", *rows, "", END]
    text = PAGE.read_text(encoding="utf-8")
    made = re.sub(f"{BEGIN}.*{END}", lambda _: "\n".join(lines), text, flags=re.S)
    PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
