"""What every run of a trial begins with, imported once: by the server that they are forked from.

Nothing is opened here: whoever forks must not have begun threads that hold locks. Calls to the disk
go through `syncs` from the first import on, since modules bind some of them by name.
"""

from __future__ import annotations

from importlib import import_module

from tests.torture.kills import syncs

_MODULES = (
    "deltalake",
    "duckdb",
    "pyarrow.csv",
    "pyarrow.parquet",
    "headrace.apps.activity",
    "headrace.cli.main",
    "headrace.engines.embedded.runner",
    "headrace.ops.ingest.ingest",
    "headrace.ops.ingest.simulate",
    "headrace.ops.jobs.running",
    "headrace.proof.rebuild",
    "headrace.proof.recompute",
    "headrace.proof.verify",
)

syncs.install()
for _name in _MODULES:
    import_module(_name)
