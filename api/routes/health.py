"""``GET /health/live`` and ``GET /health/ready``."""

from litestar import Controller, get
from litestar.di import NamedDependency

from api.answers import Answers
from api.responses import problems
from api.schemas import Health
from api.scopes import OPEN


class HealthController(Controller):
    """Whether the API runs, and whether it can answer."""

    path = "/health"
    tags = ("health",)
    opt = OPEN

    @get(
        "/live",
        summary="Whether the process runs",
        description="It looks at nothing else.",
        operation_id="getLive",
        response_description="it runs",
        responses=problems(400, 500, keys=False),
    )
    async def get_live(self) -> Health:
        return Health("live")

    @get(
        "/ready",
        summary="Whether answers can be given",
        description="503 names the part that fails.",
        operation_id="getReady",
        response_description="all parts work",
        responses=problems(400, 500, 503, keys=False),
        sync_to_thread=True,
    )
    def get_ready(self, answers: NamedDependency[Answers]) -> Health:
        answers.check()
        return Health("ready")
