"""``POST /api/models/{model}/predict`` and ``POST /api/models/{model}/versions/{window}/predict``."""

from dataclasses import dataclass
from typing import Any

from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Operation, Reference
from litestar.params import RawBody

from api.model_schemas import Prediction
from api.parameters import ModelInPath, WindowInPath
from api.record_problems import NotJsonTypeError
from api.responses import as_json, problems
from api.scopes import PREDICT
from api.versions import Versions

_BODY_BYTES = 16 * 2**20


@dataclass
class PredictOperation(Operation):
    """Documents the body, which the contract alone describes."""

    def __post_init__(self) -> None:
        self.request_body = Reference(ref="#/components/requestBodies/Records")


class PredictController(Controller):
    """Records that are not in any window."""

    path = "/api/models/{model:str}"
    tags = ("models",)

    @post(
        "/predict",
        status_code=200,
        summary="The clusters of records, by the newest version",
        description="What clusters these records would be in, by the version that assigned the newest "
        "published window of the model. Nothing is stored. An array is answered with an array, in its order.",
        operation_id="predict",
        response_description="the cluster of the record, or of each",
        responses=problems(400, 404, 409, 413, 415, 422, 500, 503),
        operation_class=PredictOperation,
        opt=PREDICT,
        request_max_body_size=_BODY_BYTES,
        sync_to_thread=True,
    )
    def predict(
        self,
        *,
        request: Request[Any, Any, Any],
        versions: NamedDependency[Versions],
        model: ModelInPath,
        body: RawBody,
    ) -> Response[Prediction | list[Prediction]]:
        _check_type(request)
        return as_json(versions.predict(model, None, body))

    @post(
        "/versions/{window:str}/predict",
        status_code=200,
        summary="The clusters of records, by a chosen version",
        description="As `/api/models/{model}/predict`, by the model that was trained for the window.",
        operation_id="predictWithVersion",
        response_description="the cluster of the record, or of each",
        responses=problems(400, 404, 409, 413, 415, 422, 500, 503),
        operation_class=PredictOperation,
        opt=PREDICT,
        request_max_body_size=_BODY_BYTES,
        sync_to_thread=True,
    )
    def predict_with_version(
        self,
        *,
        request: Request[Any, Any, Any],
        versions: NamedDependency[Versions],
        model: ModelInPath,
        window: WindowInPath,
        body: RawBody,
    ) -> Response[Prediction | list[Prediction]]:
        _check_type(request)
        return as_json(versions.predict(model, window, body))


def _check_type(request: Request[Any, Any, Any]) -> None:
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != "application/json":
        raise NotJsonTypeError(f"Records are sent as application/json, not as {given[:100]!r}.")
