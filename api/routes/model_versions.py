"""``GET /api/models/{model}/versions`` and ``GET /api/models/{model}/versions/{window}``."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from api.answers import Answers
from api.lists import Lists
from api.model_schemas import Version
from api.parameters import (
    CursorParameter,
    FormatParameter,
    FromParameter,
    LimitParameter,
    ModelInPath,
    ToParameter,
    WindowInPath,
)
from api.responses import PagesOperation, ValidatedOperation, problems
from api.versions import Versions


class ModelVersionsController(Controller):
    """The models of all windows, as data."""

    path = "/api/models/{model:str}/versions"
    tags = ("models",)

    @get(
        summary="The versions of a model",
        description="The model of every published window that trains it, the newest first; follow the `Link` "
        "header for the next page.",
        operation_id="listModelVersions",
        response_description="a page of versions; empty where nothing is published",
        responses=problems(400, 406, 410, 500, 503),
        operation_class=PagesOperation,
        sync_to_thread=True,
    )
    def list_versions(
        self,
        *,
        request: Request[Any, Any, Any],
        answers: NamedDependency[Answers],
        versions: NamedDependency[Versions],
        lists: NamedDependency[Lists],
        model: ModelInPath,
        first: FromParameter = None,
        end: ToParameter = None,
        format_: FormatParameter = None,
        limit: LimitParameter = 100,
        cursor: CursorParameter = None,
    ) -> Response[list[Version]]:
        return lists.pages(
            request,
            format_,
            Version,
            filters={"from": first, "to": end},
            limit=limit,
            cursor=cursor,
            version=answers.version,
            read=lambda place, count: versions.page(model, first, end, place, count),
        )

    @get(
        "/{window:str}",
        summary="One version of a model",
        description="The model that was trained for a window, by the newest revision: features, centres and "
        "scores. The version that assigned the window's records may be another one, a pinned one.",
        operation_id="getModelVersion",
        response_description="the version",
        responses=problems(400, 404, 500, 503),
        operation_class=ValidatedOperation,
        sync_to_thread=True,
    )
    def get_version(
        self,
        *,
        request: Request[Any, Any, Any],
        answers: NamedDependency[Answers],
        versions: NamedDependency[Versions],
        lists: NamedDependency[Lists],
        model: ModelInPath,
        window: WindowInPath,
    ) -> Response[Version]:
        return lists.one(request, answers.version, lambda: versions.one(model, window))
