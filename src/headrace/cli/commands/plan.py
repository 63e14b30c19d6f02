"""`headrace plan`: what every engine reads, as text, data or a graph."""

from __future__ import annotations

import shutil
from typing import Annotated, Literal

import typer

from headrace.cli.loading import load_app
from headrace.cli.options import AppName, Debug, Json, check_json, examples
from headrace.cli.session import json_text
from headrace.plan.capabilities import check_engine
from headrace.plan.explain import explain_json, explain_mermaid, explain_text

EXAMPLES = examples(
    "headrace plan activity",
    "headrace plan activity --format mermaid > plan.mmd",
    "headrace plan my_app.py --json",
)


def command(
    app: AppName,
    format: Annotated[
        Literal["text", "json", "mermaid"] | None,
        typer.Option("--format", help="How it is shown.  [default: text]", show_default=False),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="Check that this engine can do all of it.")
    ] = "embedded",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Shows the plan of an app: sources, steps, views, destinations; --json is --format json."""
    check_json(format, as_json)
    plan = load_app(app).plan
    check_engine(plan, engine)
    if as_json or format == "json":
        print(json_text(explain_json(plan)))
    elif format == "mermaid":
        print(explain_mermaid(plan))
    else:
        print(explain_text(plan, max(60, shutil.get_terminal_size((100, 24)).columns)))
