"""``GET /api/drift``."""

from litestar import Controller, Response, get
from litestar.di import NamedDependency

from api.answers import Answers
from api.parameters import ModelParameter, WindowParameter
from api.responses import as_json, problems
from api.schemas import Drift


class DriftController(Controller):
    """How far windows have moved."""

    path = "/api/drift"
    tags = ("drift",)

    @get(
        summary="The drift of the newest windows",
        description="For the newest published window of each of the three models, or the model or window "
        "that is asked for: each feature, and the model as a whole (`feature` is null), against the "
        "published window before it and against the pinned baseline. It follows the publication.",
        operation_id="getDrift",
        response_description="the comparisons; empty where there is none",
        responses=problems(400, 404, 500, 503),
        sync_to_thread=True,
    )
    def get_drift(
        self, answers: NamedDependency[Answers], model: ModelParameter = None, window: WindowParameter = None
    ) -> Response[list[Drift]]:
        return as_json(answers.drift(model, window))
