"""The parts that are Silt's own: Dagster's three processes, the API, and the sample stream."""

import sys
import time
from functools import partial
from pathlib import Path

from local_stack.broker import is_formatted
from local_stack.dagster_ui import code_loaded, daemon_lives, http_ok
from local_stack.parts import Part
from local_stack.ports import LOOPBACK, answers
from local_stack.supervisor import Say
from resources.settings import PROJECT, Settings

FIRST_WINDOWS = 3
"""Complete windows whose records a newcomer gets at once: one for each of the three models."""


def platform_parts(settings: Settings, sample: bool) -> list[Part]:
    """The parts, in the order of starting; they end in the reverse order."""
    return [
        *_lake(settings),
        *_orphans(settings),
        _api(settings),
        *_dagster(settings),
        *(_sample(settings) if sample else []),
    ]


def mark_first_start(settings: Settings) -> None:
    """Remember, until it is done, that a new broker of Silt's own gets the first windows' records."""
    if settings.own_broker and not is_formatted(settings.home):
        _pending(settings.home).touch()


def first_records_pending(home: Path) -> bool:
    """Whether the first windows' records are still to be sent."""
    return _pending(home).exists()


def tell_urls(settings: Settings, say: Say) -> None:
    """What a person wants to open, now that everything runs."""
    say("")
    say(f"Dagster    {_dagster_url(settings)}")
    say(f"API        {_api_url(settings)}/schema")
    say(f"clusters   {_api_url(settings)}/api/cluster-stats")
    say("Ctrl-C ends it.")


def _lake(settings: Settings) -> list[Part]:
    """Makes a new lake at once: so the API answers long before Dagster's code server, which makes one too."""
    if settings.lake_uri or Path(settings.lake).exists():
        return []
    return [Part("lake", [sys.executable, "-m", "local_stack.new_lake"], once=True)]


def _orphans(settings: Settings) -> list[Part]:
    """Where there may be runs of an earlier stack. In Postgres it also makes Dagster's storage."""
    if not settings.postgres_url and not (settings.home / "dagster" / "history").exists():
        return []
    return [Part("orphans", [sys.executable, "-m", "local_stack.orphans"], once=True)]


def _api(settings: Settings) -> Part:
    url = _api_url(settings)
    return Part(
        "api",
        [sys.executable, "-m", "api"],
        ready=partial(http_ok, f"{url}/health/live"),
        url=f"{url}/schema",
    )


def _dagster(settings: Settings) -> list[Part]:
    port = settings.dagster_port
    python = (sys.executable, "-m")
    dagster = (*python, "local_stack.dagster_part")
    workspace = ("-w", str(PROJECT / "workspace.yaml"))
    definitions = ("-m", "platform_assets.definitions", "--location-name", "silt")
    webserver = Part(
        name="dagster",
        command=[
            *(*dagster, "dagster_webserver", *workspace, "-h", LOOPBACK, "-p", str(port)),
            *(["--read-only"] if settings.dagster_read_only else []),
        ],
        ready=partial(code_loaded, port),
        url=_dagster_url(settings),
        told_by="code",
        after=("code",),
    )
    code = Part(
        name="code",
        command=[
            *(*python, "dagster", "api", "grpc", "--lazy-load-user-code", *definitions),
            *("--host", LOOPBACK, "--port", str(settings.code_port)),
        ],
        ready=partial(answers, LOOPBACK, settings.code_port),
        url=f"{LOOPBACK}:{settings.code_port}",
        # It makes Dagster's storage where there is none, which two processes cannot do at once.
        after=("orphans",) if settings.postgres_url else (),
    )
    daemon = Part(
        name="daemon",
        command=[*dagster, "dagster._daemon", "run", *workspace],
        ready=partial(daemon_lives, port, time.time()),
        after=("orphans", "code", "broker", "first-records"),
    )
    return [webserver, code, daemon]


def _sample(settings: Settings) -> list[Part]:
    simulate = [sys.executable, "-m", "cli.main", "simulate"]
    stream = Part("sample", simulate, after=("broker", "first-records"))
    if not first_records_pending(settings.home):
        return [stream]
    first = Part(
        name="first-records",
        command=[*simulate, "--last-windows", str(FIRST_WINDOWS), "--once"],
        after=("broker",),
        once=True,
        when_ready=_pending(settings.home).unlink,
    )
    return [first, stream]


def _pending(home: Path) -> Path:
    return home / "run" / "first-records.pending"


def _dagster_url(settings: Settings) -> str:
    return f"http://{LOOPBACK}:{settings.dagster_port}"


def _api_url(settings: Settings) -> str:
    host = LOOPBACK if settings.api_host in ("0.0.0.0", "::") else settings.api_host
    return f"http://{host}:{settings.api_port}"
