"""The documentation says what the code does."""

from __future__ import annotations

import re
import shlex

import pytest
import typer

from docs.generate import HERE, pages
from headrace.cli.loading import load_app
from headrace.cli.main import cli
from headrace.values import telemetry
from headrace.values.settings import table
from headrace.values.telemetry import Event
from tests.house.sources import ROOT

TEXTS = sorted([*HERE.glob("*.md"), *HERE.glob("examples/*.md"), ROOT / "README.md"])


@pytest.mark.parametrize("name", pages())
def test_generated_pages_are_current(name: str) -> None:
    assert (HERE / name).read_text(encoding="utf-8") == pages()[name], "run: make docs"


def test_every_setting_is_documented() -> None:
    text = (HERE / "settings.md").read_text(encoding="utf-8")
    assert all(f"`{row.name}`" in text and row.help in text for row in table())


def test_every_event_that_is_logged_is_documented() -> None:
    text = (HERE / "output.md").read_text(encoding="utf-8")
    types = [t for t in vars(telemetry).values() if isinstance(t, type) and issubclass(t, Event)]
    names = {re.sub(r"(?<!^)(?=[A-Z])", "_", t.__name__).lower() for t in types} - {"event"}
    assert [n for n in sorted(names) if f"`{n}`" not in text] == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert [t for t in targets if not (path.parent / t).exists()] == []


def test_the_readmes_definition_is_one(tmp_path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (tmp_path / "readme_site.py").write_text(re.findall(r"```python\n(.*?)```", text, re.S)[0])
    plan = load_app(str(tmp_path / "readme_site.py")).plan
    assert [o.name for o in plan.jobs[0].outputs] == [
        "page_view_counts",
        "active_users",
        "site_events",
    ]


def command_lines() -> list[tuple[str, str]]:
    found = []
    for path in TEXTS:
        for block in re.findall(r"```(?:\w*)\n(.*?)```", path.read_text(encoding="utf-8"), re.S):
            for line in block.splitlines():
                if line.strip().startswith("headrace "):
                    found.append((path.name, line.strip()))
    return found


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_every_command_line_in_the_docs_is_one(page: str, line: str) -> None:
    """Commands and options are parsed, not run; a made-up APP is fine."""
    words = shlex.split(re.split(r" [>|&] ", line)[0], comments=True)[1:]
    group = typer.main.get_command(cli)
    context = typer.Context(group, info_name="headrace")
    while hasattr(group, "commands"):
        name, group, words = group.resolve_command(context, list(words))
        context = typer.Context(group, info_name=name, parent=context)
        if hasattr(group, "commands"):
            group.parse_args(context, list(words))
            words = [*context._protected_args, *context.args]
    group.parse_args(context, list(words))
