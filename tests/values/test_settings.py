from __future__ import annotations

from pathlib import Path

import pytest

from headrace.values.errors import UsageError
from headrace.values.settings import Settings, explain_settings, load_settings, table


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for row in table():
        monkeypatch.delenv(row.environment, raising=False)
    monkeypatch.chdir(tmp_path)


def profile(tmp_path: Path, text: str) -> None:
    (tmp_path / "headrace.toml").write_text(text)


def test_defaults_need_nothing() -> None:
    assert load_settings() == Settings()


def test_option_beats_environment_beats_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile(tmp_path, "[profile.big]\nthreads = 2\nepoch_interval_ms = 10\nmemory_limit = '4GB'\n")
    monkeypatch.setenv("HEADRACE_THREADS", "3")
    monkeypatch.setenv("HEADRACE_EPOCH_INTERVAL_MS", "20")
    settings = load_settings(profile="big", overrides={"threads": 4, "data": None})
    assert (settings.threads, settings.epoch_interval_ms, settings.memory_limit) == (4, 20, "4GB")
    sources = {v.setting.name: v.source for v in explain_settings(profile="big")}
    assert sources["threads"] == "HEADRACE_THREADS"
    assert sources["memory_limit"] == "headrace.toml [profile.big]"
    assert sources["data"] == "default"


def test_a_variable_that_is_no_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_THREDS", "2")
    with pytest.raises(UsageError, match='HEADRACE_THREDS is set.*\n.*"HEADRACE_THREADS"'):
        load_settings()


def test_variables_are_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile(tmp_path, "[profile.p]\ndata = '${PLACE}/d'\n")
    with pytest.raises(UsageError, match="environment variable PLACE"):
        load_settings(profile="p")
    monkeypatch.setenv("PLACE", "/somewhere")
    assert load_settings(profile="p").data == Path("/somewhere/d")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[profile.p]\nthread = 2\n", r"unknown setting 'thread'\n.*Did you mean \"threads\"\?"),
        ("[profile.p]\nthreads = 0\n", r"'threads' is 0 .*\), less than 1"),
        ("[profile.p]\nthreads = 5000\n", r"'threads' is 5000 .*\), more than 1024"),
        ("[profile.p]\nthreads = 'zwei'\n", r"'threads' is 'zwei' .*, not a whole number"),
        ("[profile.p]\nmemory_limit = 'lots'\n", "not an amount of memory"),
        ("[profile.p]\nmemory_limit = '64KB'\n", "'memory_limit' is '64KB', less than 32MB"),
        ("[profile.p]\nmemory_limit = '99999999999GB'\n", "'memory_limit' .* more than"),
        ("[profile.p]\nretention_age = 'a while'\n", "'a while' is not a duration"),
        ("[profile.q]\n", r"no \[profile.p\]"),
        ("profile = 3", r"no \[profile.p\]"),
        ("[profile", "cannot be read as TOML"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(tmp_path: Path, text: str, message: str) -> None:
    profile(tmp_path, text)
    with pytest.raises(UsageError, match=message):
        load_settings(profile="p")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UsageError, match="there is no .*headrace.toml"):
        load_settings(profile="p")


def test_a_directory_of_that_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "headrace.toml").mkdir()
    with pytest.raises(UsageError, match="headrace.toml is a directory, not a file\nMove it away"):
        load_settings(profile="p")


def test_every_setting_has_help_and_is_checked() -> None:
    for row in table():
        assert row.help and not row.help.endswith("."), row.name
        assert row.environment == "HEADRACE_" + row.name.upper()


def test_properties_of_a_client_come_from_profile_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile(
        tmp_path,
        """
[profile.p]
topics = "kafka://broker:9092"
kafka.security.protocol = "SASL_SSL"
kafka.sasl.password = "${WORD}"
kafka.enable.ssl.certificate.verification = false
""",
    )
    monkeypatch.setenv("WORD", "geheim")
    monkeypatch.setenv("HEADRACE_KAFKA_SECURITY_PROTOCOL", "SSL")
    assert load_settings(profile="p").kafka == {
        "security.protocol": "SSL",
        "sasl.password": "geheim",
        "enable.ssl.certificate.verification": "false",
    }


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_TABLES", "postgresql://app:geheim@db/stream_data")
    monkeypatch.setenv("HEADRACE_KAFKA_SASL_PASSWORD", "geheim")
    shown = {row.setting.name: row.value for row in explain_settings()}
    assert shown["tables"] == "postgresql://app:***@db/stream_data"
    assert shown["kafka"] == {"sasl.password": "***"}
    assert "geheim" not in repr(shown)


def test_each_property_says_where_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile(tmp_path, '[profile.p]\nkafka.client.id = "a"\nkafka.ssl.key.pem = "geheim"\n')
    monkeypatch.setenv("HEADRACE_KAFKA_CLIENT_ID", "b")
    found = {v.setting.name: v for v in explain_settings(profile="p")}
    toml, variable = "headrace.toml [profile.p]", "HEADRACE_KAFKA_CLIENT_ID"
    assert (found["kafka.client.id"].value, found["kafka.client.id"].source) == ("b", variable)
    assert found["kafka.client.id"].setting.environment == variable
    assert (found["kafka.ssl.key.pem"].value, found["kafka.ssl.key.pem"].source) == ("***", toml)
    assert found["kafka"].source == f"{variable}, {toml}"
    monkeypatch.setenv("HEADRACE_KAFKA", '{"debug": "all"}')
    assert load_settings(profile="p").kafka == {"debug": "all", "client.id": "b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kafka = 'geheim'", r"'kafka' is '\*\*\*' .*not a table of properties"),
        ("kafka.sasl.password = ['geheim']", r"'kafka.sasl.password' is '\*\*\*' .*not a text"),
        ("kafka.debug = ['all']", r"'kafka.debug' is \['all'\] .*not a text"),
        ("kafka.sasl.password = '${NOWHERE}'", "'kafka.sasl.password' needs .* variable NOWHERE"),
    ],
)
def test_properties_that_do_not_fit_are_refused_in_words(
    tmp_path: Path, text: str, message: str
) -> None:
    profile(tmp_path, f"[profile.p]\n{text}\n")
    with pytest.raises(UsageError, match=message) as caught:
        load_settings(profile="p")
    assert "geheim" not in str(caught.value)


def test_a_property_written_in_another_way_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_KAFKA__CLIENT__ID", "x")
    with pytest.raises(UsageError, match='Did you mean "HEADRACE_KAFKA_CLIENT_ID"'):
        load_settings()


@pytest.mark.parametrize("age", ["7", "soon", "7 months"])
def test_an_age_that_is_no_duration_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, age: str
) -> None:
    monkeypatch.setenv("HEADRACE_RETENTION_AGE", age)
    with pytest.raises(UsageError, match=f"'retention_age': '{age}' is not a duration"):
        load_settings()
