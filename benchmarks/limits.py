"""What stands in the way of each goal: shown where it is missed.

Whatever is a figure of a run is taken from it, so that no later one leaves it stale.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.cells import middle
from benchmarks.connected import CLIENT, KAFKA
from benchmarks.live import live_runs
from benchmarks.measure.steady import OUTSIDE
from benchmarks.profiles import WAITING, Profile, profile_of, profiles
from benchmarks.runs import Runs, largest
from benchmarks.sizes import Sizes

_LAKE_AND_TOPIC = ("deliver activity", "deliver enriched_activity")


def limit(name: str, runs: Runs, sizes: Sizes) -> str:
    """What stands in the way of the goals that share the limit `name`, in words."""
    try:
        return _TEXTS[name](runs, sizes)
    except (KeyError, StopIteration):
        return "The run that would tell was not measured."


def _profile(name: str, runs: Runs, sizes: Sizes) -> Profile:
    return next(profiles(name, runs, sizes))


def _ends(profile: Profile) -> float:
    """The share of the time before the job's thread begins and behind its end."""
    return 1 - profile.of_time("job")


def _busy(profile: Profile) -> float:
    return profile.of_time("job") - profile.of_time(*WAITING)


def _five(runs: Runs, sizes: Sizes) -> str:
    found = _profile("five", runs, sizes)
    text = (
        f"An event takes {found.cpu_us:.1f} µs of CPU, where two cores have one for each at two "
        f"million a second: {found.of_cpu('decode'):.0%} of it is taking the records apart, "
        f"{found.of_cpu('job'):.0%} is the job's own thread, with sessions the most "
        f"({found.of_cpu('user_sessions'):.0%}), {found.of_cpu(*_LAKE_AND_TOPIC):.0%} are the lake "
        f"and the enriched topic, and {found.of_cpu_elsewhere:.0%} are threads of DuckDB and Arrow "
        f"for any of these. The job's own thread is busy {_busy(found):.0%} of the time, with "
        f"{found.cores:.1f} of the two cores in use."
    )
    peers = runs.get(f"five outputs {sizes.peer_five}")
    if peers:
        few = profile_of(peers[-1], "", sizes.peer_five)
        text += (
            f" Most peers are compared over {sizes.peer_five:,} events, of which start and end "
            f"take Headrace {_ends(few):.0%} of the time."
        )
    return text


def _batch(runs: Runs, sizes: Sizes) -> str:
    most = largest(runs, sizes.events, "both", "ingest", "fastest")
    text = (
        "A script that is run once keeps nothing apart and syncs nothing. What Headrace has done "
        "before it reads the log (`ingest` has found the lines, read the keys, grouped the records "
        "by partition) it does not do again, but it checks each frame's checksum; what it saves so "
        "it spends on epochs, states and rows that can be delivered again."
    )
    if f"both {most}" in runs and f"fastest {most}" in runs:
        cpu = [
            middle(runs[f"{name} {most}"], "cpu_us_per_event")
            for name in ("five outputs", "ingest", "fastest")
        ]
        text += (
            " Of CPU an event takes {:.2f} µs from the log and {:.2f} µs to come there, and the "
            "fastest script {:.2f} µs from the file."
        ).format(*cpu)
    return text


def _both(runs: Runs, sizes: Sizes) -> str:
    most = largest(runs, sizes.events, "ingest", "five from files")
    parts = [middle(runs[f"{n} {most}"], "seconds") for n in ("ingest", "five from files")]
    return (
        f"`ingest` ({parts[0]:.1f} s) and the five outputs ({parts[1]:.1f} s), one after the "
        "other. What `ingest` does ahead (lines, keys, partitions) the job does not do again; the "
        "checksum of each frame is made by the one and checked by the other."
    )


def _count(runs: Runs, sizes: Sizes) -> str:
    found = _profile("count", runs, sizes)
    return (
        f"Of one count, taking the records apart is {found.of_cpu('decode'):.0%} of the CPU: every "
        "record is judged strictly, member by member, whether the view reads that member or not. "
        f"It goes on {found.of_time('decode'):.0%} of the time, with {found.cores:.1f} of the two "
        f"cores in use; start and end are {_ends(found):.0%} of it."
    )


def _ingest(runs: Runs, sizes: Sizes) -> str:
    found = _profile("ingest", runs, sizes)
    run = runs[f"ingest {largest(runs, sizes.events, 'ingest')}"][-1]
    return (
        f"{run['system_seconds'] / run['cpu_seconds']:.0%} of the CPU are the kernel's, which "
        "copies the log out through the page cache (where the job then finds it); "
        f"{found.of_cpu('keys'):.0%} are the reading of the key from each record's JSON, "
        f"{found.of_cpu('records'):.0%} the finding of lines. The two threads overlap, but are not "
        f"equally long: {found.cores:.1f} of the two cores are in use."
    )


def _kafka(runs: Runs, sizes: Sizes) -> str:
    found = _profile("kafka", runs, sizes)
    client, run = runs[CLIENT][-1], runs[KAFKA][-1]
    broker = run["other_cores"] * run["wall_seconds"] / found.count * 1e6
    return (
        f"An event takes {found.cpu_us:.1f} µs of CPU here, and {broker:.1f} µs the rest of the "
        "machine, most of that the broker on the same two cores. The Python client alone, which "
        f"looks at nothing, takes {client['cpu_us_per_event']:.1f} µs; fetching is "
        f"{found.of_cpu('fetch'):.0%} of the CPU, handing the enriched records to the client "
        f"{found.of_cpu('deliver enriched_activity'):.0%}, taking records apart "
        f"{found.of_cpu('decode'):.0%}."
    )


def _live(runs: Runs, sizes: Sizes) -> str:
    often, seldom, *_, fast = (runs.get(live.name) for live in live_runs(sizes))
    text = (
        "An epoch is one transaction of some twenty SQL statements, each of which costs a "
        "millisecond or two to plan and to spread over threads, however few its rows are. An event "
        "waits for the rest of the epoch before its own, for its own, and for the query that asks."
    )
    if often and seldom:
        one, other = often[0], seldom[0]
        text += (
            f" Asked as often as it answers, an epoch takes {one['epoch_p50_ms']:.0f} ms at the "
            f"median and a query {one['query_p50_ms']:.0f} ms; asked every 50 ms, "
            f"{other['epoch_p50_ms']:.0f} and {other['query_p50_ms']:.0f} ms."
        )
    if fast:
        found = profile_of(fast[-1], "", fast[-1]["epochs"], "epoch")
        text += (
            f" At {sizes.fast_rate:,} events/s the job's thread is busy {_busy(found):.0%} of the "
            f"time, {found.of_time('user_sessions'):.0%} with sessions, and whoever appends and "
            f"asks in the same process takes {found.of_cpu(OUTSIDE):.0%} of the CPU."
        )
    return f"{text} A median of 20 ms would need results that are kept outside of SQL."


def _start(runs: Runs, sizes: Sizes) -> str:
    return (
        "Most of the start is CPU time of Python's imports (NumPy, DuckDB, pyarrow, Pydantic, "
        "delta-rs) and of the first epoch; [decisions/0015](decisions/0015-start.md) has the parts."
    )


def _memory(runs: Runs, sizes: Sizes) -> str:
    return (
        "An epoch's records in work, the next one's taken apart, the rows that wait for the lake "
        "and for the topic, and what allocators keep between them; "
        "[decisions/0008](decisions/0008-memory.md) has the parts, and what smaller ones cost."
    )


def _keys(runs: Runs, sizes: Sizes) -> str:
    found = _profile("keys", runs, sizes)
    return (
        "Every epoch changes other keys all over the state: it is joined with all of its rows, and "
        f"what it replaces is written again. The view is {found.of_time('totals'):.0%} of the "
        f"time, committing {found.of_time('commit'):.0%}."
    )


def _long(runs: Runs, sizes: Sizes) -> str:
    found = _profile("long", runs, sizes)
    return (
        "The tables and the lake keep everything. What DuckDB holds in memory of their blocks "
        "grows with them, ever more slowly, within its limit; finding a state among more of them "
        "takes a little longer. Reading and taking records apart, which do not grow, are "
        f"{found.of_cpu('read user_activity'):.0%} of the CPU, the job's own thread "
        f"{found.of_cpu('job'):.0%}."
    )


def _recompute(runs: Runs, sizes: Sizes) -> str:
    found = _profile("recompute", runs, sizes)
    return (
        "Each view is computed from all events at once, by sorts and groupings of DuckDB that "
        "carry the rows along; where they do not fit into the engine's memory limit they go to "
        f"disk and come back. Sessions are {found.of_time('user_sessions'):.0%} of the time, "
        f"distinct users {found.of_time('active_users'):.0%}, counts "
        f"{found.of_time('page_view_counts'):.0%}."
    )


def _verify(runs: Runs, sizes: Sizes) -> str:
    found = _profile("verify", runs, sizes)
    return (
        f"As a recompute: the three views are "
        f"{found.of_time('user_sessions', 'active_users', 'page_view_counts'):.0%} of the time. "
        "The enriched topic's JSON is read again and compared "
        f"({found.of_time('enriched_activity'):.0%}), and so is the lake "
        f"({found.of_time('activity'):.0%}); all sums are counted again "
        f"({found.of_time('sums'):.0%})."
    )


_TEXTS: dict[str, Callable[[Runs, Sizes], str]] = {
    "five": _five,
    "batch": _batch,
    "both": _both,
    "count": _count,
    "ingest": _ingest,
    "kafka": _kafka,
    "live": _live,
    "start": _start,
    "memory": _memory,
    "keys": _keys,
    "long": _long,
    "recompute": _recompute,
    "verify": _verify,
}
