"""Settings: what is understood, and what each wrong one says."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from resources.errors import SettingError
from resources.scheme import Scheme
from resources.settings import Settings, load_settings, variables


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of Silt is set, and the working folder has no ``.env``."""
    for name in os.environ:
        if name.upper().startswith("SILT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_defaults_are_those_of_the_documentation() -> None:
    settings = load_settings()
    assert settings.grid.minutes == 5
    assert settings.grid.grace == timedelta(seconds=2)
    assert settings.lateness == timedelta(hours=24)
    assert (settings.api_port, settings.dagster_port, settings.broker_port) == (8000, 3000, 9092)
    assert settings.start_from == "earliest"
    assert settings.kafka_properties == {"bootstrap.servers": "127.0.0.1:9092"}
    assert settings.own_broker


def test_everything_local_lies_below_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SILT_HOME", "here")
    settings = load_settings()
    assert settings.home == tmp_path / "here"
    assert settings.lake == str(tmp_path / "here" / "lake")


def test_the_lake_may_lie_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILT_LAKE_URI", "s3://bucket/silt")
    assert load_settings().lake == "s3://bucket/silt"


def test_any_kafka_property_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILT_KAFKA__BOOTSTRAP_SERVERS", "kafka:9094")
    monkeypatch.setenv("SILT_KAFKA__SASL_MECHANISM", "PLAIN")
    settings = load_settings()
    assert settings.kafka_properties == {"bootstrap.servers": "kafka:9094", "sasl.mechanism": "PLAIN"}
    assert not settings.own_broker


def test_another_kafka_property_leaves_the_broker_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILT_KAFKA__CLIENT_ID", "me")
    monkeypatch.setenv("SILT_BROKER_PORT", "19092")
    settings = load_settings()
    assert settings.own_broker
    assert settings.kafka_properties == {"bootstrap.servers": "127.0.0.1:19092", "client.id": "me"}


def test_the_env_file_counts_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("SILT_API_PORT=8100\nSILT_SPARK_PORT=15100\nOTHER=1\n")
    monkeypatch.setenv("SILT_API_PORT", "8200")
    settings = load_settings()
    assert (settings.api_port, settings.spark_port) == (8200, 15100)


def test_an_unknown_variable_names_the_setting_it_resembles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILT_WINDOW_MINUTE", "5")
    with pytest.raises(SettingError, match=r"SILT_WINDOW_MINUTE is no .*did you mean SILT_WINDOW_MINUTES"):
        load_settings()


def test_an_unknown_variable_in_the_env_file_is_no_less_wrong(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SILT_NO_SUCH_THING_AT_ALL=5\n")
    with pytest.raises(SettingError, match="SILT_NO_SUCH_THING_AT_ALL is no setting of Silt"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SILT_WINDOW_MINUTES", "3"),
        ("SILT_WINDOW_MINUTES", "five"),
        ("SILT_GRACE_SECONDS", "-1"),
        ("SILT_GRACE_SECONDS", "nan"),
        ("SILT_ALLOWED_LATENESS_HOURS", "0"),
        ("SILT_MAX_FUTURE_SECONDS", "-1"),
        ("SILT_RETENTION_DAYS", "1"),
        ("SILT_START_FROM", "latest"),
        ("SILT_API_PORT", "0"),
        ("SILT_API_PORT", "65536"),
        ("SILT_API_PORT", ""),
        ("SILT_SPARK_MEMORY", "lots"),
        ("SILT_SPARK_REMOTE", "localhost:15002"),
        ("SILT_TOPIC_PARTITIONS", "0"),
        ("SILT_API_RATE_PER_MINUTE", "-1"),
        ("SILT_API_TIMEOUT_SECONDS", "0"),
        ("SILT_API_ALLOWED_HOSTS", "api.example.com:8000"),
        ("SILT_API_CORS_ORIGINS", "https://app.example.com/"),
        ("SILT_TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingError) as caught:
        load_settings()
    message = str(caught.value)
    assert message.startswith((f"{name}={value!r} is wrong: ", f"{name}={value} is wrong: "))
    assert "\n" not in message


@pytest.mark.parametrize("minutes", [1, 2, 4, 5, 10, 20])
def test_three_windows_of_every_length_divide_an_hour(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    monkeypatch.setenv("SILT_WINDOW_MINUTES", str(minutes))
    assert load_settings().grid.minutes == minutes


def test_every_setting_has_its_variable() -> None:
    assert len(variables()) == len(Settings.model_fields) - 1
    assert {"SILT_HOME", "SILT_WINDOW_MINUTES", "SILT_LAKE_URI", "SILT_CONTRACT"} <= set(variables())


@pytest.mark.parametrize("value", ["alerts.example.com", "ftp://alerts.example.com/", "http://"])
def test_an_alert_hook_is_a_web_address(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SILT_ALERT_WEBHOOK", value)
    with pytest.raises(SettingError, match=r"SILT_ALERT_WEBHOOK=.* is wrong: a hook is named http://"):
        load_settings()
    monkeypatch.setenv("SILT_ALERT_WEBHOOK", "https://alerts.example.com/silt")
    assert load_settings().alert_webhook == "https://alerts.example.com/silt"


@pytest.mark.parametrize("name", ["disjoint", "cumulative", "sliding:2", "sliding:288"])
def test_a_scheme_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("SILT_SCHEME", name)
    assert load_settings().model_scheme == Scheme(name)


@pytest.mark.parametrize("name", ["", "Disjoint", "sliding", "sliding:1", "sliding:289", "sliding:03"])
def test_a_wrong_scheme_says_which_there_are(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("SILT_SCHEME", name)
    with pytest.raises(
        SettingError, match=r"SILT_SCHEME='.*' is wrong: the schemes are disjoint, cumulative"
    ):
        load_settings()
