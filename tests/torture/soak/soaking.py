"""A job that runs on and on, killed now and then, holds no more and no more files than before.

Events come at half the rate at which this machine catches up; retention takes what was read, kills
come at random times, recomputes run beside. Memory, threads, open files, the log, the state, and
what the lake has beside its full files level off (see `leveling`), and in the end every record was
counted once and every row is proved.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from random import Random

from headrace.storage.topics.log import LocalTopic
from tests.torture.course import Part
from tests.torture.kills.child import CONTEXT, Seldom
from tests.torture.kills.place import Place, told
from tests.torture.soak.drawing import Panel, Picture
from tests.torture.soak.feeding import Feed
from tests.torture.soak.leveling import Level, Points
from tests.torture.soak.running import KILLS_MIN, SUBJECT, Lives, Sizes
from tests.torture.soak.watching import OF_PROCESS, Sample, Watch

LEFT = Path(__file__).resolve().parents[3] / "build" / "soak.json"
MINUTES = float(os.environ.get("SOAK_MINUTES", "20"))
_MEASURED_RECORDS = 150_000
_LATEST = 30
# They grow with every event, as they should.
_DRAWN_ONLY = ("lake MiB", "full lake files", "output topic MiB", "output topic files", "spill MiB")

SHORT = Sizes(
    seconds=12,
    rate=2_500,
    epoch_records_max=200,
    long_epochs_min=60,
    segment_bytes=100_000,
    life_seconds=1.5,
    recompute_seconds=8,
    look_seconds=0.1,
    lag_seconds_max=1,
    lake_interval_seconds=0.2,
    # What a lake has replaced stays for longer than this takes: a proof may be reading it.
    seldom=Seldom(
        lake_commits=20,
        lake_grace_seconds=120,
        housekeeping_seconds=0.3,
        state_log_bytes=2 << 20,
    ),
    share=0.1,
    # A process that has only just begun fills its memory; what thirty epochs leave behind shows.
    leasts={
        "memory MiB": 160,
        "threads": 24,
        "open files": 16,
        "log MiB": 2,
        "log files": 12,
        "state MiB": 12,
        "state log MiB": 4,
        "state files": 2,
    },
)
LONG = Sizes(
    seconds=MINUTES * 60,
    rate=None,
    # A recompute and a proof go through all events that there ever were, and once more for each
    # recompute before. Small epochs keep the rate so low that they get through the lake of a soak
    # in minutes, and make as many of them as hours of large ones.
    epoch_records_max=4_000,
    long_epochs_min=100,
    segment_bytes=4 << 20,
    life_seconds=20,
    recompute_seconds=240,
    look_seconds=1,
    lag_seconds_max=30,
    lake_interval_seconds=1,
    seldom=Seldom(
        lake_commits=20,
        lake_grace_seconds=180,
        housekeeping_seconds=5,
        state_log_bytes=32 << 20,
    ),
    share=0.1,
    leasts={
        "memory MiB": 15,
        "threads": 2,
        "open files": 4,
        "log MiB": 8,
        "log files": 4,
        "lake files": 24,
        "state MiB": 6,
        "state log MiB": 24,
        "state files": 2,
    },
)


def soak(
    seed: int, directory: Path, sizes: Sizes, left: Path | None = None
) -> tuple[dict[str, int], list[Level]]:
    """One run of so long: what was done, and what became of each series.

    What it saw is drawn at `left`, also where the proof then finds something.
    """
    chance = Random(seed)
    rate = sizes.rate or _greatest_rate(sizes, directory, chance) / 2
    place = sizes.place(directory / "data", chance, rate)
    topics = place.data / "topics"
    fed = Feed(
        topics,
        SUBJECT.topic,
        seed,
        rate,
        sizes.segment_bytes,
        directory / "fed",
        sizes.lag_seconds_max,
    )
    topics.mkdir(parents=True)
    watch = Watch(place.data)
    with _feeding(fed) as enough:
        lives = Lives(place, watch, sizes, rate)
        try:
            _watched(lives, sizes)
            enough.set()
            lives.stop()
        finally:
            lives.leave()
    sums = fed.sums()
    picture, levels = _judged(watch, lives, sizes)
    if left is not None:
        _leave(left, picture, levels)
    _check_all_is_there(place, int(sums["records"]))
    done = told(place.done) | {
        "records": int(sums["records"]),
        "records a second": int(sums["records"] / sums["seconds"]),
        "of so many at most": int(2 * rate),
        "seconds": int(sums["seconds"]),
        "seconds held back": int(sums["waited_seconds"]),
    }
    return done, levels


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    """The short form."""
    done, levels = soak(seed, directory, SHORT)
    _check(levels)
    return done


def long_trial(seed: int, directory: Path) -> Mapping[str, int]:
    """The long form; leaves what it saw for the report."""
    done, levels = soak(seed, directory, LONG, LEFT)
    _check(levels)
    return done


def _leave(left: Path, picture: Picture, levels: list[Level]) -> None:
    left.parent.mkdir(exist_ok=True)
    picture.save(left)
    left.with_suffix(".svg").write_text(picture.svg(), encoding="utf-8")
    rows = "\n".join(one.row for one in levels)
    left.with_suffix(".txt").write_text(rows, encoding="utf-8")


def _greatest_rate(sizes: Sizes, directory: Path, chance: Random) -> float:
    """Records a second at which the job catches up here, its start left out."""
    place = sizes.place(directory / "measured" / "data", chance)
    topics, said = place.data / "topics", directory / "filled"
    topics.mkdir(parents=True)
    # In its own time as far apart as records of the soak are, more or less.
    filled = Feed(topics, SUBJECT.topic, 1, 30_000, 256 << 20, said, count=_MEASURED_RECORDS)
    with _feeding(filled):
        pass
    seconds = []
    for _ in range(2):
        begun = time.monotonic()
        place.run("run", "APP", "--until", "caught-up")
        seconds.append(time.monotonic() - begun)
    return filled.sums()["records"] / (seconds[0] - seconds[1])


@contextmanager
def _feeding(fed: Feed) -> Iterator[Event]:
    enough = CONTEXT.Event()
    process = fed.start(enough)
    if fed.count is not None:
        process.join()
    try:
        until = time.monotonic() + 60
        while not (fed.topics / fed.topic / "head").exists():
            assert time.monotonic() < until, "nothing is fed"
            time.sleep(0.01)
        yield enough
    finally:
        enough.set()
        process.join()


def _watched(lives: Lives, sizes: Sizes) -> None:
    """Looks and goes on until the time is over and enough has happened, however slow this is."""
    watch = lives.watch
    while watch.seconds < sizes.seconds or not _enough(lives):
        assert watch.seconds < _LATEST * sizes.seconds, f"too slow: {lives.place.history[-20:]}"
        lives.go_on()
        watch.look(lives.pid, lives.number, lives.recomputing)
        time.sleep(sizes.look_seconds)


def _enough(lives: Lives) -> bool:
    topic = LocalTopic.open(lives.place.data / "topics", SUBJECT.topic)
    done = lives.place.done
    return (
        done["kills"] >= KILLS_MIN
        and done["recomputes"] >= 1
        and lives.long_enough
        and any(topic.begin_offsets())
    )


def _check_all_is_there(place: Place, records: int) -> None:
    """What was fed was read once, the sums agree, every row is proved."""
    place.finish()
    place.run("verify", "APP")
    said = place.run(
        "query", "APP", "select read from conservation where kind = 'source'", "--format", "json"
    )
    [row] = json.loads(said)
    assert row["read"] == records, (row, records)


def _judged(watch: Watch, lives: Lives, sizes: Sizes) -> tuple[Picture, list[Level]]:
    series = _series(watch.samples)
    lived = [s for s in watch.samples if s.life == lives.long and s.seconds >= lives.long_from]
    life = _series(lived)
    # A recompute takes memory up to the engine's limit while it runs, the more the longer the
    # soak is, and files to spill to: what the process keeps is seen where none runs, if that is
    # most of the time.
    alone = [s for s in lived if not s.recomputing]
    if len(alone) >= len(lived) / 2:
        life = _series(alone)
    levels = [
        sizes.level(name, (life if name in OF_PROCESS else series)[name]) for name in sizes.leasts
    ]
    said = {one.name: f"{one.height:,.0f}, slope {one.added:+,.1f}" for one in levels}
    panels = [
        Panel(name, said.get(name, _grown(series[name])), series[name])
        for name in (*sizes.leasts, *_DRAWN_ONLY)
        if series[name]
    ]
    shaded = (lived[0].seconds, lived[-1].seconds)
    whole = watch.samples[-1].seconds
    title = f"{whole / 60:.0f} minutes, {len(watch.kills)} kills"
    return Picture(title, whole, watch.kills, shaded, panels), levels


def _series(samples: Sequence[Sample]) -> dict[str, list[tuple[float, float]]]:
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for sample in samples:
        for name, value in sample.values.items():
            series[name].append((sample.seconds, value))
    return series


def _grown(points: Points) -> str:
    return f"{points[-1][1]:,.0f} at the end, not judged"


def _check(levels: list[Level]) -> None:
    grown = [str(one) for one in levels if not one.holds]
    assert not grown, f"does not level off: {grown}"


SOAK = Part(
    "soak",
    "However long a job runs, with kills, retention and recomputes at half of its greatest rate, "
    "its memory, its open files, the files of its log and its lake and its state level off.",
    trial,
    long_trial=long_trial,
    minutes=1.15 * MINUTES,
    seconds_max=2.5 * MINUTES * 60 + 600,
)
