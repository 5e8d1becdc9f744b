"""``GET /api/models``."""

from litestar import Controller, Response, get
from litestar.di import NamedDependency

from api.answers import Answers
from api.parameters import ModelParameter, WindowParameter
from api.responses import as_json, problems
from api.schemas import Model


class ModelsController(Controller):
    """The trained models."""

    path = "/api/models"
    tags = ("models",)

    @get(
        summary="The newest models",
        description="The newest published model of each of the three, or the one of the model or window that "
        "is asked for. A window without enough records has none.",
        operation_id="getModels",
        response_description="the models; empty where nothing is published",
        responses=problems(400, 404, 500, 503),
        sync_to_thread=True,
    )
    def get_models(
        self, answers: NamedDependency[Answers], model: ModelParameter = None, window: WindowParameter = None
    ) -> Response[list[Model]]:
        return as_json(answers.models(model, window))
