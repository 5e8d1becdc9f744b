"""The Litestar application."""

from datetime import UTC, datetime

from litestar import Litestar, get
from litestar.di import Provide
from litestar.response import Redirect

from api.answers import Answers
from api.delivery import Delivery
from api.lists import Lists
from api.observing import Observing
from api.openapi import ContractNamesPlugin, openapi_config
from api.overview import Overview
from api.parameters import refuse_unknown_parameters
from api.problems import HANDLERS
from api.routes.cluster_stats import ClusterStatsController
from api.routes.clustering_results import ClusteringResultsController
from api.routes.drift import DriftController
from api.routes.health import HealthController
from api.routes.models import ModelsController
from api.routes.windows import WindowsController
from api.windows import Windows
from resources.contract import load_contract
from resources.lake import Lake
from resources.ledger import Ledger
from resources.settings import Settings


def create_app(settings: Settings) -> Litestar:
    """The API over the lake that the settings name. The lake need not be there yet."""
    grid, contract, lake = settings.grid, load_contract(settings.contract), Lake(settings.lake)
    answers, lists = Answers(lake, grid), Lists(settings, lake)
    ledger = Ledger(lake, settings.window_minutes, contract.id)
    overview = Overview(lake, grid, ledger, lambda: datetime.now(UTC))
    windows = Windows(overview, grid, [settings.lake, str(settings.home), str(settings.contract)])
    app = Litestar(
        route_handlers=[
            ClusterStatsController,
            ClusteringResultsController,
            ModelsController,
            DriftController,
            WindowsController,
            HealthController,
            to_schema,
        ],
        dependencies={
            "answers": Provide(lambda: answers, sync_to_thread=False),
            "lists": Provide(lambda: lists, sync_to_thread=False),
            "windows": Provide(lambda: windows, sync_to_thread=False),
        },
        guards=[refuse_unknown_parameters],
        exception_handlers=HANDLERS,
        openapi_config=openapi_config(),
        plugins=[ContractNamesPlugin()],
        logging_config=None,  # the process has its own
    )
    app.asgi_handler = Delivery(app.asgi_handler)
    app.asgi_handler = Observing(app.asgi_handler)  # outermost: it sees every answer
    return app


@get("/", include_in_schema=False)
async def to_schema() -> Redirect:
    """Show a person who opens the API in a browser what it offers."""
    return Redirect("/schema")
