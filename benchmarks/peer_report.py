"""The part of the page that tells of other stream processors."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import faithful, goals
from benchmarks.cells import cell, met, middle, peak
from benchmarks.peer_runs import FROM_KAFKA
from benchmarks.peers.known import KAFKA, PEERS
from benchmarks.runs import Run, Runs
from benchmarks.sizes import Sizes

CHART = "performance-peers.svg"
NO_CHART = "no chart"
TITLES = {"five": "Five outputs", "count": "Page views a minute and page alone"}
OURS = {"five": "five outputs", "count": "one count"}
FROM_FILES = {"five": "both", "count": "both count"}
# The scripts of each pipeline, by the names of their runs.
BATCHES = {
    "five": {"fastest": "DuckDB batch, the fastest", "plain": "DuckDB batch, plain"},
    "count": {"fastest count": "DuckDB batch, the fastest"},
}
_NOT_OURS = "its rows are not ours"

_WORDS = """\
The same events, on the same machine, in the same run, each peer in an environment of its own and
written as its documentation recommends (`benchmarks/peers/`). *Cold* counts from the start of the
process to its end; *warm* is the work alone, and where the peer lives in a JVM, its second run in
the same one: CPU of these is the average of both, the cold one with what the JVM compiles. CPU and
memory are of all its processes (not of the broker of those that read from Kafka, which runs on the
same cores and is in the column "others"); memory is summed over them. Slow peers get fewer events.
Those that have a goal run three times in their best way; others, and their other ways, once.
"Headrace is" compares with Headrace over as many events, warm, by the medians: from its log, and
from where the peer begins (files: `ingest`, and then the log; or Kafka). Both are held against the
goals. With few events, what Headrace does once for each run weighs more. A peer whose rows are not
ours is marked, and compared with nothing.
"""
_ROWS = """\
What the peers left, row by row against Headrace's tables. "Lost" are page views that are missing in
windows which had to be closed, row by row: what is too much in another makes up for none. "Open"
are rows of the last windows, which a peer that writes closed windows alone does not have at the
end. Distinct users are approximate: the greatest difference from ours is shown. "Sessions made" are
rows of sessions, whatever the peer means by them. The events of lake and enriched stream are held
against ours by a sum over all.
"""


def peers(runs: Runs, sizes: Sizes) -> Iterator[str]:
    """The section as lines of Markdown; nothing where no peer was tried."""
    if not any(name.startswith("peer ") for name in runs):
        return
    yield "## Beside other stream processors"
    yield ""
    yield _WORDS
    if NO_CHART in runs:
        yield f"There is no chart: {runs[NO_CHART][0]['why']}."
    else:
        yield f"![Events per second of Headrace and its peers, warm]({CHART})"
    yield ""
    for pipeline, title in TITLES.items():
        yield f"### {title}"
        yield ""
        yield from _speeds(runs, pipeline)
    yield from _rows(runs)
    yield "How each was run, and where its outputs are not quite ours:"
    yield ""
    for name, peer in PEERS.items():
        if f"peer {name} five" in runs:
            yield f"- {peer.title}: {peer.says}{_variants(runs, name)}"
    yield ""
    yield from _left_out(runs, sizes)


def measured(runs: Runs, pipeline: str) -> dict[str, list[Run]]:
    """The peers that were measured with this pipeline, by name."""
    found = {name: runs.get(f"peer {name} {pipeline}", []) for name in PEERS}
    return {name: of for name, of in found.items() if of and "left_out" not in of[0]}


def counting(runs: Runs, pipeline: str) -> dict[str, list[Run]]:
    """Those of `measured` whose rows are ours: their speed counts."""
    found = measured(runs, pipeline)
    return {name: of for name, of in found.items() if not faithful.faults(name, of)}


def beginning(name: str) -> str:
    """Where this peer begins, in a word."""
    return "Kafka" if PEERS[name].source == KAFKA else "files"


def from_its_beginning(runs: Runs, pipeline: str, name: str) -> list[Run]:
    """Headrace's runs from where this peer begins, over as many events."""
    count = measured(runs, pipeline)[name][0]["events"]
    if PEERS[name].source == KAFKA:
        return [run for run in runs.get(FROM_KAFKA[pipeline], []) if run["events"] == count]
    return runs.get(f"{FROM_FILES[pipeline]} {count}", [])


def _variants(runs: Runs, name: str) -> str:
    """What a peer reached in each way in which it was run; the best is in the table."""
    words = []
    for pipeline, title in TITLES.items():
        # Of several runs of the best way each says the same of all ways.
        for run in measured(runs, pipeline).get(name, [])[:1]:
            if len(run.get("variants", {})) > 1:
                each = "; ".join(f"{how}: {rate}" for how, rate in run["variants"].items())
                words.append(f" {title}, warm events/s {each}; the table has it {run['variant']}.")
    return "".join(words)


def _speeds(runs: Runs, pipeline: str) -> Iterator[str]:
    yield (
        "| what | events | cold events/s | warm events/s | Headrace is, from its log "
        "| as the peer begins | goal | CPU µs/event | peak MiB | others |"
    )
    yield f"|{'---|' * 10}"
    found = measured(runs, pipeline)
    sizes = sorted({of[0]["events"] for of in found.values()})
    for count in sizes:
        goal = "–"
        ours = runs.get(f"{OURS[pipeline]} {count}", [])
        if ours and pipeline == "count" and count == sizes[-1]:
            goal = met(middle(ours, "events_per_second") >= goals.COUNT_RATE, "≥ 4 M")
        if ours:
            yield _speed("Headrace, from its log", ours, "", "", goal)
        files = runs.get(f"{FROM_FILES[pipeline]} {count}", [])
        if files:
            yield _speed("Headrace, from files", files, _like(ours, files), "", "–")
        kafka = runs.get(FROM_KAFKA[pipeline], [])
        if kafka and kafka[0]["events"] == count:
            yield _speed("Headrace, from Kafka", kafka, _like(ours, kafka), "", "–")
        for name, label in BATCHES[pipeline].items():
            if batch := runs.get(f"{name} {count}"):
                same = faithful.compared(runs, f"{name} {count}")
                times = _like(ours, batch) if same else _NOT_OURS
                yield _speed(label, batch, times, _like(files, batch) if same else "–", "–")
        for name, theirs in found.items():
            if theirs[0]["events"] == count:
                yield _peer(runs, pipeline, name, ours)
    yield ""
    faults = {name: faithful.faults(name, of) for name, of in found.items()}
    yield from (
        f"- {PEERS[name].title}, whose rows are not ours: {'; '.join(of)}."
        for name, of in faults.items()
        if of
    )
    if any(faults.values()):
        yield ""


def _peer(runs: Runs, pipeline: str, name: str, ours: list[Run]) -> str:
    title, theirs = PEERS[name].title, measured(runs, pipeline)[name]
    if faithful.faults(name, theirs):
        return _speed(title, theirs, _NOT_OURS, "–", "–")
    wanted, alike = goals.PEERS[pipeline].get(name), from_its_beginning(runs, pipeline, name)
    goal = "–"
    if wanted and (ours or alike):
        goal = met(
            all(_ratio(of, theirs) >= wanted for of in (ours, alike) if of), f"≥ {wanted:g}×"
        )
    return _speed(title, theirs, _like(ours, theirs), _like(alike, theirs), goal)


def _like(ours: list[Run], theirs: list[Run]) -> str:
    return _times(ours, theirs) if ours else "not measured"


def _speed(label: str, found: list[Run], times: str, alike: str, goal: str) -> str:
    cells = [
        label,
        f"{found[0]['events']:,}",
        cell(found, "cold_per_second", _rate, best=max),
        cell(found, "events_per_second", _rate, best=max),
        times,
        alike,
        goal,
        cell(found, "cpu_us_per_event", lambda v: f"{v:.2f}"),
        f"{peak(found, 'peak_mib'):,.0f}",
        f"{middle(found, 'other_cores'):.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def _rate(value: float) -> str:
    return f"{value / 1e6:.2f} M" if value >= 100_000 else f"{value:,.0f}"


def _ratio(ours: list[Run], theirs: list[Run]) -> float:
    return middle(ours, "events_per_second") / middle(theirs, "events_per_second")


def _times(ours: list[Run], theirs: list[Run]) -> str:
    return f"**{_ratio(ours, theirs):.1f}×**"


def _rows(runs: Runs) -> Iterator[str]:
    yield "### Are their rows the same?"
    yield ""
    yield _ROWS
    yield (
        "| peer | outputs | page_view_counts: equal | different | missing | open | more "
        "| page views lost | active_users | user_sessions: equal | sessions made | lake "
        "| enriched |"
    )
    yield f"|{'---|' * 13}"
    for pipeline in TITLES:
        for name, of in measured(runs, pipeline).items():
            cells = [PEERS[name].title, pipeline, *_row_cells(of[0])]
            yield f"| {' | '.join(cells)} |"
    yield ""


def _row_cells(run: Run) -> Iterator[str]:
    counts = run["rows"]["page_view_counts"]
    yield f"{counts['equal']:,} of {counts['rows']:,}"
    for kind in ("different", "missing", "open", "more"):
        yield f"{counts[kind]:,}"
    lost = counts["lost"]
    yield f"**{lost:,} ({lost / counts['events']:.1%})**" if lost else "0"
    users, sessions = (run["rows"].get(name) for name in ("active_users", "user_sessions"))
    if users and users["found"]:
        yield f"{users['found']:,} of {users['rows']:,}, ± {users['off_max']:.1%}"
    else:
        yield "–"
    yield f"{sessions['equal']:,} of {sessions['rows']:,}" if sessions else "–"
    for name in ("sessions", "lake", "enriched"):
        found = run["rows"].get(name)
        text = (f"{found['rows']:,}" if found["rows"] else "**none**") if found else "–"
        yield text if not found or found.get("same", True) else f"{text}, **others than ours**"


def _left_out(runs: Runs, sizes: Sizes) -> Iterator[str]:
    """Peers that could not be run, and those that nobody asked for, in words."""
    words = []
    for name, peer in PEERS.items():
        for pipeline in TITLES:
            of = runs.get(f"peer {name} {pipeline}")
            if of is None:
                words.append(f"{peer.title}, {pipeline}: not chosen (BENCH_PEERS)")
            elif "left_out" in of[0]:
                words.append(f"{peer.title}, {pipeline}: {of[0]['left_out']}")
    if words:
        yield "Left out:"
        yield ""
        yield from (f"- {word}" for word in words)
        yield ""
