"""The Litestar application."""

from collections.abc import Callable
from datetime import UTC, datetime

from litestar import Litestar, get
from litestar.di import Provide
from litestar.response import Redirect

from api.answers import Answers
from api.counters import registry_of
from api.delivery import Delivery
from api.events import Events
from api.gate import Gate
from api.history import Histories
from api.intakes import IntakeList
from api.keeper import Keeper
from api.lake_metrics import LakeMetrics
from api.letters import Letters
from api.lists import Lists
from api.memory import Memory
from api.observing import Observing
from api.openapi import ContractNamesPlugin, openapi_config
from api.overview import Overview
from api.parameters import refuse_unknown_parameters
from api.problems import HANDLERS
from api.record_paths import RecordPaths
from api.routes.cluster_events import ClusterEventsController
from api.routes.cluster_stats import ClusterStatsController
from api.routes.clustering_results import ClusteringResultsController
from api.routes.dead_letters import DeadLettersController
from api.routes.drift import DriftController
from api.routes.health import HealthController
from api.routes.history import HistoryController
from api.routes.intakes import IntakesController
from api.routes.metrics import MetricsController
from api.routes.model_versions import ModelVersionsController
from api.routes.models import ModelsController
from api.routes.predict import PredictController
from api.routes.windows import WindowsController
from api.scopes import OPEN, document_scopes, require_scope
from api.versions import Versions
from api.windows import Windows
from resources.contract import load_contract
from resources.id_index import FOLDER, IdIndex
from resources.lake import Lake
from resources.ledger import Ledger
from resources.settings import Settings

BODY_BYTES = 2**20
"""Of any request, unless its route says otherwise."""


def _now() -> datetime:
    return datetime.now(UTC)


def create_app(settings: Settings, clock: Callable[[], datetime] = _now) -> Litestar:
    """The API over the lake that the settings name. The lake need not be there yet.

    Args:
        clock: the time now, in UTC.
    """
    grid, contract, lake = settings.grid, load_contract(settings.contract), Lake(settings.lake)
    index = IdIndex(settings.home / FOLDER, settings.api_index_mb)
    answers, lists = Answers(lake, grid, index), Lists(settings, lake)
    ledger = Ledger(lake, settings.window_minutes, contract.id)
    histories = Histories(lake, grid, answers)
    events, intakes = Events(lake, answers), IntakeList(ledger, grid)
    letters = Letters(lake, ledger, grid)
    versions = Versions(lake, grid, contract, answers)
    overview = Overview(lake, grid, ledger, clock)
    metrics = registry_of(LakeMetrics(lake, answers, overview, grid, clock))
    windows = Windows(overview, grid, [settings.lake, str(settings.home), str(settings.contract)])
    app = Litestar(
        route_handlers=[
            ClusterStatsController,
            ClusteringResultsController,
            ModelsController,
            DriftController,
            WindowsController,
            ModelVersionsController,
            PredictController,
            ClusterEventsController,
            HistoryController,
            IntakesController,
            DeadLettersController,
            HealthController,
            MetricsController,
            to_schema,
        ],
        dependencies={
            "answers": Provide(lambda: answers, sync_to_thread=False),
            "lists": Provide(lambda: lists, sync_to_thread=False),
            "events": Provide(lambda: events, sync_to_thread=False),
            "histories": Provide(lambda: histories, sync_to_thread=False),
            "intakes": Provide(lambda: intakes, sync_to_thread=False),
            "letters": Provide(lambda: letters, sync_to_thread=False),
            "versions": Provide(lambda: versions, sync_to_thread=False),
            "windows": Provide(lambda: windows, sync_to_thread=False),
            "metrics": Provide(lambda: metrics, sync_to_thread=False),
        },
        guards=[*([require_scope] if settings.api_closed else []), refuse_unknown_parameters],
        exception_handlers=HANDLERS,
        openapi_config=openapi_config(contract, settings.api_closed),
        plugins=[ContractNamesPlugin()],
        logging_config=None,  # the process has its own
        request_max_body_size=BODY_BYTES,
        debug=False,  # otherwise an environment variable could turn it on
        lifespan=[Keeper(answers).lifespan],
    )
    if settings.api_closed:
        document_scopes(app)
    app.asgi_handler = RecordPaths(app.asgi_handler)
    app.asgi_handler = Delivery(app.asgi_handler)
    app.asgi_handler = Memory(app.asgi_handler, lake)
    app.asgi_handler = Gate(app.asgi_handler, settings)
    app.asgi_handler = Observing(app.asgi_handler)  # outermost: it sees every answer
    return app


@get("/", include_in_schema=False, opt=OPEN)
async def to_schema() -> Redirect:
    """Show a person who opens the API in a browser what it offers."""
    return Redirect("/schema")
