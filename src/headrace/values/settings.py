"""The settings: one table that feeds the code, `headrace settings` and the documentation.

A value comes from, first found: the caller (an option on the command line), the environment
(`HEADRACE_THREADS=4`), the profile in `headrace.toml`, the default here.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from headrace.values.durations import duration_us
from headrace.values.errors import UsageError, did_you_mean
from headrace.values.masking import masked_options, masked_url
from headrace.values.points import VARIABLE as KILL_VARIABLE

FILE_NAME = "headrace.toml"
PREFIX = "HEADRACE_"
_MEMORY = re.compile(r"\d+(\.\d+)?\s*[KMGT]i?B", re.IGNORECASE)
# Settings that are properties of a client library, each with a name of its own.
_GROUPS = ("kafka",)
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _setting(
    default: Any, help_text: str, *, mask: Callable[[Any], Any] | None = None, **bounds: float
) -> Any:
    return field(default=default, metadata={"help": help_text, "mask": mask, "bounds": bounds})


@dataclass(frozen=True)
class Settings:
    """All settings, checked; make one with `load_settings`."""

    data: Path = _setting(
        Path("headrace-data"), "directory of everything embedded: topics, state, lake"
    )
    topics: str | None = _setting(
        None,
        "where topics are: kafka://host:9092; by default in the data directory",
        mask=masked_url,
    )
    tables: str | None = _setting(
        None,
        "where tables are: postgresql://user:password@host/database; by default in the job's state",
        mask=masked_url,
    )
    kafka: Mapping[str, str] | None = _setting(
        None,
        'any property of librdkafka: kafka.security.protocol = "SASL_SSL"',
        mask=masked_options,
    )
    threads: int | None = _setting(
        None, "threads of the engine; by default one for each core", ge=1
    )
    memory_limit: str = _setting(
        "1GB", "what the engine may hold in memory before it spills to disk: 512MB, 1GB"
    )
    epoch_records_max: int = _setting(
        300_000, "records in one epoch at most, while catching up", ge=1
    )
    epoch_interval_ms: int = _setting(
        50, "how long an epoch collects records while live, in milliseconds", ge=1
    )
    lake_interval_seconds: float = _setting(
        10.0, "how long rows for the lake collect while live, in seconds", ge=0
    )
    retention_age: str | None = _setting(
        None, 'records older than this may leave a topic once every reader has them: "7 days"'
    )
    retention_bytes: int | None = _setting(
        None, "a topic larger than this gives up its oldest records that every reader has", ge=1
    )

    def check(self) -> None:
        """What types alone cannot say; raises UsageError."""
        if not _MEMORY.fullmatch(self.memory_limit):
            raise UsageError(
                f"setting 'memory_limit' is {self.memory_limit!r}, not an amount of memory",
                remedy="Write a number and a unit: 512MB, 1GB, 2GiB.",
            )
        if self.retention_age is not None:
            duration_us(self.retention_age)

    @property
    def retention_age_us(self) -> int | None:
        return None if self.retention_age is None else duration_us(self.retention_age)


@dataclass(frozen=True)
class Setting:
    """One row of the table: what `headrace settings` and the documentation show."""

    name: str
    type: str
    default: Any
    help: str
    mask: Callable[[Any], Any] | None

    def shown(self, value: Any) -> Any:
        """`value` without its secrets."""
        return value if value is None or self.mask is None else self.mask(value)

    @property
    def environment(self) -> str:
        return PREFIX + self.name.upper()


@dataclass(frozen=True)
class Value:
    """A setting as it is now: `source` says where it came from. Secrets are masked."""

    setting: Setting
    value: Any
    source: str


def table() -> tuple[Setting, ...]:
    """Every setting, in the order of declaration."""
    return tuple(
        Setting(
            name=f.name,
            type=str(f.type),
            default=f.default,
            help=f.metadata["help"],
            mask=f.metadata["mask"],
        )
        for f in fields(Settings)
    )


def load_settings(
    *,
    profile: str | None = None,
    directory: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings for a run; `overrides` (without None values) win over everything.

    `profile` names a `[profile.NAME]` of `headrace.toml` in `directory` (the current one).
    Raises UsageError for an unknown name, a value that does not fit, a missing profile.
    """
    return _load(profile, directory, overrides)[0]


def explain_settings(
    *,
    profile: str | None = None,
    directory: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> list[Value]:
    """Every setting with its present value and where it came from; errors as `load_settings`."""
    settings, sources = _load(profile, directory, overrides)
    rows = []
    for row in table():
        value = getattr(settings, row.name)
        rows.append(Value(row, row.shown(value), sources.get(row.name, "default")))
    return rows


def _load(
    profile: str | None, directory: Path | None, overrides: Mapping[str, Any] | None
) -> tuple[Settings, dict[str, str]]:
    """The settings, and by name where each came from that is not a default."""
    # Slow to load, and not needed by whoever only defines an app.
    from pydantic import Field, ValidationError, create_model
    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

    class Base(BaseSettings):
        model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True)

    types = get_type_hints(Settings)
    columns: dict[str, Any] = {
        f.name: (types[f.name], Field(f.default, **f.metadata["bounds"])) for f in fields(Settings)
    }
    model = create_model("Loaded", __base__=Base, **columns)
    _refuse_unknown_variables()
    from_profile = _profile_values(profile, directory or Path.cwd())
    from_environment = EnvSettingsSource(model)()
    for name, properties in _properties_from_environment().items():
        from_environment[name] = {**from_profile.get(name, {}), **properties}
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    sources = (
        dict.fromkeys(from_profile, f"{FILE_NAME} [profile.{profile}]")
        | {name: PREFIX + name.upper() for name in from_environment}
        | dict.fromkeys(given, "option")
    )
    try:
        loaded = model(**(from_profile | from_environment | given))
        settings = Settings(**{name: getattr(loaded, name) for name in types})
        settings.check()
    except ValidationError as error:
        raise _refused(error.errors()[0], sources) from None
    return settings, sources


def _refuse_unknown_variables() -> None:
    """A misspelt variable, or one of another version, must not be passed over in silence."""
    known = [row.environment for row in table()]
    groups = tuple(f"{PREFIX}{name.upper()}_" for name in _GROUPS)
    for name in os.environ:
        if name.startswith(groups):
            continue
        if name.startswith(PREFIX) and name not in {*known, KILL_VARIABLE}:
            raise UsageError(
                f"{name} is set, but there is no such setting",
                remedy=f"{did_you_mean(name, known)} To leave it out: unset {name}",
            )


def _properties_from_environment() -> dict[str, dict[str, str]]:
    """`HEADRACE_KAFKA_SECURITY_PROTOCOL` is the property `security.protocol` of `kafka`."""
    found: dict[str, dict[str, str]] = {}
    for group in _GROUPS:
        prefix = f"{PREFIX}{group.upper()}_"
        for name, value in os.environ.items():
            if name.startswith(prefix) and value:
                key = name.removeprefix(prefix).lower().replace("_", ".")
                found.setdefault(group, {})[key] = value
    return found


def _flat(properties: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """TOML's `kafka.security.protocol` comes nested: the names put together again."""
    made: dict[str, str] = {}
    for name, value in properties.items():
        if isinstance(value, dict):
            made |= _flat(value, f"{before}{name}.")
        else:
            made[before + name] = str(value).lower() if isinstance(value, bool) else str(value)
    return made


def _refused(problem: Mapping[str, Any], sources: Mapping[str, str]) -> UsageError:
    row = next(row for row in table() if row.name == problem["loc"][0])
    given = problem["input"]
    shown = repr(row.shown(given) if isinstance(given, (str, dict)) else given)
    return UsageError(
        f"setting {row.name!r} is {shown} (from {sources[row.name]}): {problem['msg']}",
        remedy=f"{row.name}: {row.help}",
    )


def _profile_values(profile: str | None, directory: Path) -> dict[str, Any]:
    """What `[profile.NAME]` of headrace.toml says, its names checked, `${VARIABLE}` filled in."""
    if profile is None:
        return {}
    path = directory / FILE_NAME
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"profile {profile!r} was asked for, but there is no {path}",
            remedy=f"Write one with a [profile.{profile}] table, or leave --profile out.",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as TOML: {error}") from None
    profiles = content.get("profile")
    values = profiles.get(profile) if isinstance(profiles, dict) else None
    if not isinstance(values, dict):
        known = list(profiles) if isinstance(profiles, dict) else []
        raise UsageError(f"{path} has no [profile.{profile}]", remedy=did_you_mean(profile, known))
    names = [row.name for row in table()]
    for name in values:
        if name not in names:
            raise UsageError(
                f"{path}: [profile.{profile}] has an unknown setting {name!r}",
                remedy=did_you_mean(name, names),
            )
    return {name: _filled_in(value, name) for name, value in values.items()}


def _filled_in(value: Any, name: str) -> Any:
    """`value` with each `${VARIABLE}` taken from the environment, properties put together."""

    def variable(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise UsageError(
                f"{FILE_NAME}: setting {name!r} needs the environment variable {match[1]}",
                remedy=f"export {match[1]}=…",
            )
        return os.environ[match[1]]

    if name in _GROUPS and isinstance(value, dict):
        return {key: _REFERENCE.sub(variable, text) for key, text in _flat(value).items()}
    return _REFERENCE.sub(variable, value) if isinstance(value, str) else value
