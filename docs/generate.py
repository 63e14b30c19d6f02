"""Writes the pages that come from the code: `make docs`. A test checks that they are current."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer

from headrace.cli.main import cli
from headrace.values.properties import GROUPS
from headrace.values.settings import FILE_NAME, table

HERE = Path(__file__).resolve().parent
NOTE = "<!-- Written by `make docs` from the code: change it there. -->\n"
INTRODUCTION = """\
`headrace --help` lists the commands, and `headrace COMMAND --help` shows what stands below.
`headrace --version` prints the version. `headrace --install-completion` sets up completion for your
shell, and `headrace --show-completion` prints it instead.

How results and errors look, and what the exit codes mean: [output](output.md). How several jobs in
one app are told apart: [the definition](definition.md#jobs).
"""


def pages() -> dict[str, str]:
    """Every generated page: file name under docs/ to its text."""
    return {"cli.md": _cli_page(), "settings.md": _settings_page()}


def _commands(group: typer.core.TyperGroup, context: typer.Context) -> Iterator[typer.Context]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = typer.Context(command, info_name=name, parent=context, max_content_width=88)
        inner.help_option_names = ["-h", "--help"]
        if isinstance(command, typer.core.TyperGroup):
            yield from _commands(command, inner)
        else:
            yield inner


def _cli_page() -> str:
    group = typer.main.get_command(cli)
    assert isinstance(group, typer.core.TyperGroup)
    root = typer.Context(group, info_name="headrace", max_content_width=88, terminal_width=88)
    parts = [
        "# The command line\n",
        NOTE,
        INTRODUCTION,
    ]
    for context in _commands(group, root):
        context.terminal_width = 88
        parts.append(f"## {context.command_path}\n")
        parts.append(f"```text\n{context.get_help().rstrip()}\n```\n")
    return "\n".join(parts)


def _settings_page() -> str:
    parts = [
        "# Settings\n",
        NOTE,
        f"A value comes from the first of: an option on the command line, the environment, "
        f"`[profile.NAME]` in `./{FILE_NAME}` (with `--profile NAME`), the default. "
        "`headrace settings` shows what is in force and where it comes from.\n",
        "| setting | environment | default | what it is |",
        "|---|---|---|---|",
    ]
    for row in table():
        default = "" if row.default is None else f"`{row.default}`"
        secret = " (what is secret in it is never shown)" if row.mask is not None else ""
        variable = f"{row.environment}_…" if row.name in GROUPS else row.environment
        parts.append(f"| `{row.name}` | `{variable}` | {default} | {row.help}{secret} |")
    parts.append(
        f"""
```toml
# {FILE_NAME}
[profile.small]
data         = "${{HOME}}/headrace-data"   # ${{NAME}} comes from the environment
threads      = 2
memory_limit = "512MB"
```

How systems are named: [Kafka and PostgreSQL](kafka-postgresql.md#your-own-systems).
What grows, and which settings bound it: [operations](operations.md#what-grows).
"""
    )
    return "\n".join(parts)


def main() -> None:
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
        print(f"wrote docs/{name}")


if __name__ == "__main__":
    main()
