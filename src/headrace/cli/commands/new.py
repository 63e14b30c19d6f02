"""`headrace new`: a small app of one's own, with data and a test, ready to run."""

from __future__ import annotations

import keyword
import site
from importlib import resources
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.loading import is_module
from headrace.cli.options import Debug, Json, examples
from headrace.cli.session import session
from headrace.language.names import can_be_app_name
from headrace.values.errors import DiskRefused, UsageError

EXAMPLES = examples(
    "headrace new shop",
    "cd shop && headrace ingest shop.py orders orders.jsonl",
)
FILES = {"app.py": "{name}.py", "app_test.py": "test_{name}.py", "orders.jsonl": "orders.jsonl"}


def command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The app's name, and its directory's.")
    ],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Writes a small app with sample data and a test into the directory NAME."""
    if not can_be_app_name(name) or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} cannot be an app's name",
            remedy="Use a small letter, then small letters, digits and _, at most 63: my_shop.",
        )
    if is_module(name) or PathFinder.find_spec(name, site.getsitepackages()):
        raise UsageError(
            f"{name!r} cannot be an app's name: a module of others is called so",
            remedy=f'Did you mean "{name}_app"?',
        )
    directory = Path(name)
    if directory.is_file():
        raise UsageError(f"{directory} is a file", remedy="Choose another name.")
    if directory.exists() and any(directory.iterdir()):
        raise UsageError(f"{directory} exists and is not empty", remedy="Choose another name.")
    templates = resources.files("headrace.cli") / "template"
    written = []
    try:
        directory.mkdir(exist_ok=True)
        for source, target in FILES.items():
            path = directory / target.format(name=name)
            text = (templates / f"{source}.txt").read_text(encoding="utf-8")
            path.write_text(text.replace("{{name}}", name), encoding="utf-8")
            written.append(str(path))
    except OSError as error:
        raise DiskRefused(f"{directory} cannot be written: {error.strerror}") from error
    steps = [
        f"cd {name}",
        f"headrace ingest {name}.py orders orders.jsonl",
        f"headrace run {name}.py --until caught-up",
        f'headrace query {name}.py "select * from revenue order by day, country"',
        f"headrace verify {name}.py",
        f"python -m pytest test_{name}.py",
    ]
    text = "\n".join([*written, "", "What to type next:", *(f"  {step}" for step in steps)])
    session.show({"written": written, "next": steps}, text)
