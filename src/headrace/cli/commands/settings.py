"""`headrace settings`: every setting, its value, and where that comes from."""

from __future__ import annotations

from headrace.cli.options import DataDirectory, Debug, Json, Profile, examples
from headrace.cli.session import session
from headrace.cli.tables import text_table
from headrace.values.settings import explain_settings

EXAMPLES = examples(
    "headrace settings",
    "HEADRACE_THREADS=2 headrace settings --json",
    "headrace settings --profile production",
)


def command(
    profile: Profile = None, data: DataDirectory = None, as_json: Json = False, debug: Debug = False
) -> None:
    """Shows every setting, its present value, its default and where the value comes from."""
    values = explain_settings(profile=profile, overrides={"data": data})
    document = [
        {
            "name": v.setting.name,
            "value": v.value,
            "default": v.setting.default,
            "source": v.source,
            "environment": v.setting.environment,
            "help": v.setting.help,
        }
        for v in values
    ]
    rows = [
        (v.setting.name, _text(v.value), _text(v.setting.default), v.source, v.setting.help)
        for v in values
    ]
    names = ("setting", "value", "default", "from", "what it is")
    session.show(document, text_table(names, rows))


def _text(value: object) -> str:
    if isinstance(value, dict):
        # Each of them has a line of its own.
        return "1 property" if len(value) == 1 else f"{len(value)} properties"
    return "-" if value is None else str(value)
