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
from headrace.values.errors import DefinitionError, UsageError, did_you_mean
from headrace.values.masking import masked_options, masked_url
from headrace.values.points import VARIABLE as KILL_VARIABLE
from headrace.values.properties import GROUPS, flat
from headrace.values.properties import from_environment as properties_from_environment
from headrace.values.unfit import unfit

FILE_NAME = "headrace.toml"
PREFIX = "HEADRACE_"
_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT])(i?)B", re.IGNORECASE)
# With less, the proof of a small app fails; the engine counts in 64 bits.
_MEMORY_MIN, _MEMORY_MAX = "32MB", "1000000TB"
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
        None, "threads of the engine; by default one for each core", ge=1, le=1024
    )
    memory_limit: str = _setting(
        "1GB",
        "what the engine may hold in memory before it spills to disk: 512MB, 1GB; at least 32MB",
    )
    epoch_records_max: int = _setting(
        300_000,
        "about so many records make an epoch while catching up, fewer above 256 bytes each",
        ge=1,
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
        given = memory_bytes(self.memory_limit)
        if not memory_bytes(_MEMORY_MIN) <= given <= memory_bytes(_MEMORY_MAX):
            less = given < memory_bytes(_MEMORY_MIN)
            raise UsageError(
                f"setting 'memory_limit' is {self.memory_limit!r}, "
                + (f"less than {_MEMORY_MIN}" if less else f"more than {_MEMORY_MAX}"),
                remedy=f"Allow at least {_MEMORY_MIN}; 1GB is the default.",
            )
        try:
            _ = self.retention_age_us
        except DefinitionError as error:
            raise UsageError(
                f"setting 'retention_age': {error.what}", remedy=error.remedy
            ) from error

    @property
    def retention_age_us(self) -> int | None:
        return None if self.retention_age is None else duration_us(self.retention_age)


def memory_bytes(limit: str) -> float:
    """The bytes of a memory limit as it is written ("1GB")."""
    found = _MEMORY.fullmatch(limit)
    assert found is not None, "checked with the settings"
    power = "KMGT".index(found[2].upper()) + 1
    return float(found[1]) * float((1024 if found[3] else 1000) ** power)


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
        """The variable; of a property of a client library too (`kafka.client.id`)."""
        return PREFIX + self.name.upper().replace(".", "_")


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
    """Every setting with its present value and where it came from; errors as `load_settings`.

    Properties of a client library that are set follow as rows of their own.
    """
    settings, sources = _load(profile, directory, overrides)
    rows = []
    for row in table():
        shown = row.shown(getattr(settings, row.name))
        rows.append(Value(row, shown, sources.get(row.name, "default")))
        if row.name in GROUPS and shown:
            help_text = f"a property of {row.name}'s client library"
            for name, value in shown.items():
                one = Setting(f"{row.name}.{name}", "str", None, help_text, None)
                rows.append(Value(one, value, sources[one.name]))
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
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    sources = (
        dict.fromkeys(from_profile, f"{FILE_NAME} [profile.{profile}]")
        | {name: PREFIX + name.upper() for name in from_environment}
        | dict.fromkeys(given, "option")
    )
    for group in GROUPS:
        _join_properties(group, from_profile, from_environment, given, sources)
    try:
        loaded = model(**(from_profile | from_environment | given))
        settings = Settings(**{name: getattr(loaded, name) for name in types})
        settings.check()
    except ValidationError as error:
        raise _refused(error.errors()[0], sources) from None
    return settings, sources


def _join_properties(
    group: str,
    from_profile: Mapping[str, Any],
    from_environment: dict[str, Any],
    given: Mapping[str, Any],
    sources: dict[str, str],
) -> None:
    """Puts single properties of the environment on top of the others, each with its source."""
    single = properties_from_environment(PREFIX).get(group, {})
    places = (given, from_environment, from_profile)
    whole: Any = next((place[group] for place in places if group in place), {})
    if not isinstance(whole, Mapping):
        return
    sources |= {f"{group}.{name}": sources[group] for name in whole}
    if single and group not in given:
        from_environment[group] = {**whole, **{name: value for name, (_, value) in single.items()}}
        sources |= {f"{group}.{name}": variable for name, (variable, _) in single.items()}
        mixed = [sources[f"{group}.{name}"] for name in from_environment[group]]
        sources[group] = ", ".join(dict.fromkeys(mixed))


def _refuse_unknown_variables() -> None:
    """A misspelt variable, or one of another version, must not be passed over in silence."""
    known = [row.environment for row in table()]
    groups = tuple(f"{PREFIX}{name.upper()}_" for name in GROUPS)
    for name in os.environ:
        if name.startswith(groups):
            continue
        if name.startswith(PREFIX) and name not in {*known, KILL_VARIABLE}:
            raise UsageError(
                f"{name} is set, but there is no such setting",
                remedy=f"{did_you_mean(name, known)} To leave it out: unset {name}",
            )


def _refused(problem: Mapping[str, Any], sources: Mapping[str, str]) -> UsageError:
    row = next(row for row in table() if row.name == problem["loc"][0])
    given, name = problem["input"], ".".join(map(str, problem["loc"]))
    if row.name in GROUPS and name != row.name:
        # A property: its own name tells whether it is secret.
        one = name.removeprefix(f"{row.name}.")
        given = row.shown({one: given})[one]
    elif isinstance(given, (str, dict)):
        given = row.shown(given)
    words = unfit(problem)
    why = f": {problem['msg']}" if words is None else f", {words}"
    return UsageError(
        f"setting {name!r} is {given!r} (from {sources[row.name]}){why}",
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
    except IsADirectoryError:
        raise UsageError(
            f"{path} is a directory, not a file",
            remedy="Move it away and write the file, or leave --profile out.",
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

    if name in GROUPS and isinstance(value, dict):
        return {key: _filled_in(text, f"{name}.{key}") for key, text in flat(value).items()}
    return _REFERENCE.sub(variable, value) if isinstance(value, str) else value
