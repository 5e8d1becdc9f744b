"""``GET /api/models`` and ``GET /api/models/{model}``."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from api.answers import Answers
from api.lists import Lists
from api.parameters import FormatParameter, ModelInPath, ModelParameter, WindowParameter
from api.problems import NotThereError
from api.responses import ListOperation, ValidatedOperation, problems
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
        responses=problems(400, 404, 406, 500, 503),
        operation_class=ListOperation,
        sync_to_thread=True,
    )
    def get_models(
        self,
        *,
        request: Request[Any, Any, Any],
        answers: NamedDependency[Answers],
        lists: NamedDependency[Lists],
        model: ModelParameter = None,
        window: WindowParameter = None,
        format_: FormatParameter = None,
    ) -> Response[list[Model]]:
        return lists.whole(
            request,
            format_,
            Model,
            lambda: answers.state("model_reviews"),
            lambda: answers.models(model, window),
        )

    @get(
        "/{model:str}",
        summary="The newest of a model",
        description="As `/api/models`, of one model.",
        operation_id="getModel",
        response_description="the model",
        responses=problems(400, 404, 500, 503),
        operation_class=ValidatedOperation,
        sync_to_thread=True,
    )
    def get_model(
        self,
        *,
        request: Request[Any, Any, Any],
        answers: NamedDependency[Answers],
        lists: NamedDependency[Lists],
        model: ModelInPath,
    ) -> Response[Model]:
        return lists.one(
            request,
            lambda: answers.state("model_reviews"),
            lambda: _newest(answers.models(model, None), model),
        )


def _newest(models: list[Model], model: str) -> Model:
    if not models:
        raise NotThereError(f"Nothing of {model} is published yet.")
    return models[0]
