"""The Litestar application."""

from datetime import timedelta

from litestar import Litestar, get
from litestar.di import Provide
from litestar.response import Redirect

from api.answers import Answers
from api.delivery import Delivery
from api.lists import Lists
from api.observing import Observing
from api.openapi import ContractNamesPlugin, openapi_config
from api.parameters import refuse_unknown_parameters
from api.problems import HANDLERS
from api.routes.cluster_stats import ClusterStatsController
from api.routes.clustering_results import ClusteringResultsController
from api.routes.drift import DriftController
from api.routes.health import HealthController
from api.routes.models import ModelsController
from resources.lake import Lake
from resources.settings import Settings
from resources.windows import Grid


def create_app(settings: Settings) -> Litestar:
    """The API over the lake that the settings name. The lake need not be there yet."""
    grid = Grid(settings.window_minutes, timedelta(seconds=settings.grace_seconds))
    lake = Lake(settings.lake)
    answers, lists = Answers(lake, grid), Lists(settings, lake)
    app = Litestar(
        route_handlers=[
            ClusterStatsController,
            ClusteringResultsController,
            ModelsController,
            DriftController,
            HealthController,
            to_schema,
        ],
        dependencies={
            "answers": Provide(lambda: answers, sync_to_thread=False),
            "lists": Provide(lambda: lists, sync_to_thread=False),
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
