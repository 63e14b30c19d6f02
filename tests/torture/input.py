"""Mutated input by every way in: nothing crashes or hangs, and the sums are in balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random

from headrace.cli.loading import load_app
from tests.torture.course import Part
from tests.torture.input_decoding import check_decoding
from tests.torture.input_ingest import (
    Ingested,
    check_file,
    check_lines,
    check_stream,
    parquet_of,
)
from tests.torture.mutations import mutate
from tests.torture.originals import ROOT, files, kinds, written_as_csv

_RECORDS = 40_000
_NESTED_RECORDS = 2_000
_FILE_RECORDS = 15_000
_FILES = 6
_TIMES = 3
"""How many times as many records the long form decodes in a trial: its other costs are fixed."""
_LIMIT = 100_000


def short_trial(seed: int, directory: Path) -> Mapping[str, int]:
    return _trial(Random(seed), directory, 1)


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    return _trial(Random(seed), directory, _TIMES)


def _trial(chance: Random, directory: Path, times: int) -> Mapping[str, int]:
    """One kind of records through the decoder, as bodies and files; and files of other formats."""
    kind = chance.choice(kinds())
    source = kind.source()
    # What is long or wide costs more for each record.
    count = times * (_NESTED_RECORDS if kind.name in ("matches", "wide") else _RECORDS)
    values = mutate(chance, kind.make(chance, count), source)
    done = Counter({f"mutated from {'recorded' if kind.recorded else 'made up'} data": count})
    done.update(check_decoding(chance, source, values))
    values = values[:_FILE_RECORDS]
    done.update(check_stream(chance, values, _LIMIT))
    into = Ingested(kind.app(), directory / "lines")
    into.directory.mkdir()
    half = len(values) // 2
    for part in (values[:half], values[half:]):
        done.update(check_lines(chance, into, part))
    done["records run"] += into.run()
    done.update(_other_formats(chance, directory / "files"))
    return dict(done)


def _other_formats(chance: Random, directory: Path) -> Counter[str]:
    directory.mkdir()
    simulated = next(k for k in kinds() if k.name == "activity").make(chance, 400)
    recorded = files()
    format_ = chance.choice(("csv", "combined", "parquet"))
    name, content = recorded.get(format_, ("activity", b""))
    into = Ingested(load_app(_app(name)), directory)
    done: Counter[str] = Counter()
    for _ in range(_FILES):
        if format_ == "parquet":
            piece = parquet_of(chance, mutate(chance, simulated, into.app.plan.jobs[0].sources[0]))
        elif content:
            begin = content.find(b"\n", chance.randrange(len(content) // 2)) + 1
            piece = content[begin : begin + 60_000]
            if format_ == "csv":
                piece = content[: content.find(b"\n") + 1] + piece
        else:
            piece = written_as_csv(chance, simulated)
        done.update(check_file(chance, into, format_, piece))
    done["records run"] += into.run()
    return done


def _app(name: str) -> str:
    return name if name == "activity" else str(ROOT / "examples" / f"{name}.py")


INPUT = Part(
    "input",
    "Whatever bytes come in (files of every format, bodies cut anywhere, records broken in their "
    "bytes and their structure), each record is judged as the documentation says, nothing crashes "
    "or hangs, and read = accepted + dead-lettered.",
    trial,
    share=7.0,
    short=2,
    short_trial=short_trial,
    goals={
        "records decoded": 5_000_000,
        "of these judged in Python": 400_000,
        "lines of request bodies": 500_000,
        "files ingested": 250,
        "records ingested": 400_000,
        "of these from csv": 20_000,
        "of these from combined": 8_000,
        "of these from parquet": 8_000,
        "records run": 400_000,
    },
)
