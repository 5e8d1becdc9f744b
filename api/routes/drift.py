"""``GET /api/drift``."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from api.answers import Answers
from api.lists import Lists
from api.parameters import FormatParameter, ModelParameter, WindowParameter
from api.responses import ListOperation, problems
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
        responses=problems(400, 404, 406, 500, 503),
        operation_class=ListOperation,
        sync_to_thread=True,
    )
    def get_drift(
        self,
        *,
        request: Request[Any, Any, Any],
        answers: NamedDependency[Answers],
        lists: NamedDependency[Lists],
        model: ModelParameter = None,
        window: WindowParameter = None,
        format_: FormatParameter = None,
    ) -> Response[list[Drift]]:
        return lists.whole(
            request,
            format_,
            Drift,
            lambda: answers.state("drift"),
            lambda: answers.drift(model, window),
        )
