"""Every setting of Silt, typed, in one place: environment variables named ``SILT_…``, or ``.env``."""

import difflib
import os
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from resources.access import Hosts, Networks, Origins, is_loopback
from resources.errors import SettingError
from resources.logs import LogFormat
from resources.scheme import Scheme
from resources.windows import Grid

PROJECT = Path(__file__).resolve().parent.parent
PREFIX = "SILT_"
KAFKA_PREFIX = f"{PREFIX}KAFKA__"

Port = Annotated[int, Field(ge=1, le=65535)]
Memory = Annotated[str, Field(pattern=r"^[1-9][0-9]*[mg]$")]


class Settings(BaseSettings):
    """The settings in force. Read once, at the start of each process, by :func:`load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_file=".env", extra="ignore", frozen=True
    )

    home: Path = Field(PROJECT / ".silt", description="folder of all local state")
    contract: Path = Field(PROJECT / "contracts" / "customer_support.yaml", description="what a record is")
    lake_uri: str = Field("", description="where the Delta tables are; empty: SILT_HOME/lake")
    postgres_url: str = Field("", description="Dagster's storage; empty: SQLite below SILT_HOME")

    kafka: dict[str, str] = Field(
        default_factory=dict,
        description="any librdkafka property: SILT_KAFKA__SASL_MECHANISM is sasl.mechanism",
    )
    spark_remote: str = Field("", description="a Spark Connect server, sc://host:port; empty: Silt's own")
    dead_letter_topic: bool = Field(False, description="dead letters are produced to <topic>.dlq as well")
    topic_partitions: int = Field(3, ge=1, le=1000, description="of the topic that Silt creates itself")

    window_minutes: Literal[1, 2, 4, 5, 10, 20] = Field(5, description="three windows divide an hour")
    scheme: str = Field("disjoint", description="which windows a model sees: disjoint, cumulative, sliding:N")
    grace_seconds: float = Field(2, ge=0, le=60, description="a window closes so long after its end")
    lead_seconds: float = Field(
        1200, ge=0, description="so long before its end a window's run is there; 0: only once it is due"
    )
    intake_seconds: float = Field(20, ge=1, le=300, description="the open window's run takes in so often")
    allowed_lateness_hours: int = Field(24, ge=1, le=24 * 30, description="later records are never selected")
    max_future_seconds: int = Field(3600, ge=0, description="records further ahead are dead letters")
    retention_days: int = Field(30, ge=2, le=90, description="how long the topic and the lake keep records")
    start_from: Literal["earliest", "now"] = Field("earliest", description="where the first intake starts")

    api_host: str = Field("127.0.0.1", description="address that the API listens on")
    api_port: Port = 8000
    log_format: LogFormat = Field("auto", description="of the API's log; auto: text on a terminal, else json")
    api_keys_file: str = Field("", description="who may ask the API; empty: anybody, on loopback alone")
    api_open: bool = Field(False, description="the API needs no keys wherever it listens")
    api_allowed_hosts: Hosts = Field("", description="names that clients reach the API by; * is any")
    api_cors_origins: Origins = Field("", description="web pages from there may ask the API")
    api_rate_per_minute: int = Field(6000, ge=0, description="requests of a key or an address; 0: any number")
    api_timeout_seconds: float = Field(
        30, ge=0.1, le=600, description="an answer begins, and goes on, within"
    )
    api_drain_seconds: int = Field(
        10, ge=1, le=600, description="requests may take so long to end at the end"
    )
    trusted_proxies: Networks = Field("", description="whose X-Forwarded-* headers are believed")
    api_index_mb: int = Field(1024, ge=0, description="disk for the index of record ids; the rest is scanned")
    dagster_port: Port = 3000
    dagster_read_only: bool = Field(False, description="the Dagster UI shows everything and changes nothing")
    code_host: str = Field("127.0.0.1", description="where Dagster's code server is")
    code_port: Port = Field(4266, description="of Dagster's code server")
    broker_port: Port = Field(9092, description="of the broker that Silt starts itself")
    controller_port: Port = Field(9093, description="of that broker's controller")
    spark_port: Port = Field(15002, description="of the Spark Connect server that Silt starts itself")
    broker_memory: Memory = Field("256m", description="heap of that broker")
    spark_memory: Memory = Field("1g", description="heap of that Spark server")
    run_memory: Memory = Field(
        "1536m", description="for the records of a run's windows; where they outgrow it, Spark answers"
    )

    alert_webhook: str = Field("", description="URL that is told of failed and overdue windows, by POST")

    maven_mirror: str = Field("", description="root URL of a Maven mirror for Kafka's jars")

    @field_validator("window_minutes", mode="before")
    @classmethod
    def _number_from_text(cls, value: object) -> object:
        return int(value) if isinstance(value, str) and value.strip().isdecimal() else value

    @field_validator("scheme")
    @classmethod
    def _is_scheme(cls, value: str) -> str:
        return Scheme(value).name

    @field_validator("home", "contract")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("api_keys_file")
    @classmethod
    def _absolute_if_given(cls, value: str) -> str:
        return str(Path(value).expanduser().resolve()) if value else ""

    @field_validator("spark_remote")
    @classmethod
    def _is_connect_url(cls, value: str) -> str:
        if value and not value.startswith("sc://"):
            raise ValueError("a Spark Connect server is named sc://host:port")
        return value

    @field_validator("alert_webhook")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        url = urlsplit(value)
        if value and (url.scheme not in ("http", "https") or not url.hostname):
            raise ValueError("a hook is named http://host/path or https://host/path")
        return value

    @cached_property
    def kafka_properties(self) -> dict[str, str]:
        """librdkafka's properties as a client takes them (``bootstrap.servers`` and all that was set)."""
        given = {name.lower().replace("_", "."): value for name, value in self.kafka.items()}
        return {"bootstrap.servers": f"127.0.0.1:{self.broker_port}", **given}

    @property
    def own_broker(self) -> bool:
        """Whether Silt starts the broker itself: no ``SILT_KAFKA__BOOTSTRAP_SERVERS`` names another."""
        return not any(name.lower() == "bootstrap_servers" for name in self.kafka)

    @property
    def api_closed(self) -> bool:
        """Whether the API asks for keys."""
        return bool(self.api_keys_file)

    @property
    def api_private(self) -> bool:
        """Whether only people on this machine reach the API, and it asks none of them who they are."""
        return is_loopback(self.api_host) and not self.api_closed

    @property
    def grid(self) -> Grid:
        """All windows of the length in force, and when they close."""
        return Grid(self.window_minutes, timedelta(seconds=self.grace_seconds))

    @property
    def model_scheme(self) -> Scheme:
        """Which windows a model sees."""
        return Scheme(self.scheme)

    @property
    def lead(self) -> timedelta:
        """So long before its end a window's run is there, the whole window at most; zero: only once due."""
        return timedelta(seconds=min(self.lead_seconds, self.window_minutes * 60))

    @property
    def run_bytes(self) -> int:
        """Memory for the records of a run's windows."""
        return int(self.run_memory[:-1]) << {"m": 20, "g": 30}[self.run_memory[-1]]

    @property
    def lateness(self) -> timedelta:
        """Records later than this when they are taken in are never selected."""
        return timedelta(hours=self.allowed_lateness_hours)

    @property
    def spark_url(self) -> str:
        """The Spark Connect server in use."""
        return self.spark_remote or f"sc://127.0.0.1:{self.spark_port}"

    @property
    def lake(self) -> str:
        """URI of the lake."""
        return self.lake_uri or str(self.home / "lake")


def load_settings() -> Settings:
    """Read the settings from the environment and ``.env``.

    Raises:
        SettingError: a variable with Silt's prefix that is no setting, or a value that does not fit.
    """
    for name in sorted({*os.environ, *dotenv_values(".env")}):
        _check_known(name)
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "__".join(str(part) for part in first["loc"]).upper()
        raise SettingError(f"{name}={first['input']!r} is wrong: {_plain(first['msg'])}.") from None


def variables(model: type[BaseModel] = Settings) -> list[str]:
    """The names of all settings, as environment variables (``SILT_KAFKA__*`` apart)."""
    return sorted(f"{PREFIX}{name.upper()}" for name in model.model_fields if name != "kafka")


def _check_known(name: str) -> None:
    upper = name.upper()
    if not upper.startswith(PREFIX) or upper.startswith(KAFKA_PREFIX) or upper in variables():
        return
    if upper == "SILT_SEED_DATA":  # read by the tests alone
        return
    near = difflib.get_close_matches(upper, variables(), n=1)
    hint = f"did you mean {near[0]}?" if near else "the README lists the settings."
    raise SettingError(f"{name} is no setting of Silt: {hint}")


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").rstrip(".")
