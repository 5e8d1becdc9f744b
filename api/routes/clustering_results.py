"""``GET /api/clustering-results``: pages of results, or the result of one record."""

from typing import Annotated, Any
from urllib.parse import unquote

from litestar import Controller, Request, Response, get
from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency
from litestar.params import PathParameter

from api import cursors
from api.answers import Answers
from api.parameters import (
    ClusterParameter,
    CursorParameter,
    IdParameter,
    LimitParameter,
    ModelParameter,
    WindowParameter,
)
from api.problems import BadParameterError, asked_path
from api.responses import as_json, next_link, problems
from api.schemas import Clustered

_LINK = ResponseHeader(
    name="Link",
    value="",
    documentation_only=True,
    description='the next page, as `<…>; rel="next"`; absent on the last page',
)


class ClusteringResultsController(Controller):
    """The cluster of every record."""

    path = "/api/clustering-results"
    tags = ("clustering-results",)

    @get(
        summary="The clusters of all records",
        description="The records of all published windows, the newest window first, then by id; follow the "
        "`Link` header for the next page. With `uniqueId` the array holds the one result that "
        "`/api/clustering-results/{uniqueId}` answers, for ids that no path can carry.",
        operation_id="listClusteringResults",
        response_description="a page of results; empty where nothing is published",
        response_headers=[_LINK],
        responses=problems(400, 404, 500, 503),
        sync_to_thread=True,
    )
    def list_results(
        self,
        *,
        request: Request[Any, Any, Any],
        answers: NamedDependency[Answers],
        window: WindowParameter = None,
        model: ModelParameter = None,
        cluster: ClusterParameter = None,
        limit: LimitParameter = 100,
        cursor: CursorParameter = None,
        unique_id: IdParameter = None,
    ) -> Response[list[Clustered]]:
        _refuse_path_of_slashes(request)
        filters = cursors.Filters(window, model, cluster)
        if unique_id is not None:
            _refuse_paging(cluster, cursor)
            return as_json([answers.find(unique_id, model, window)])
        after = None if cursor is None else cursors.decode(cursor, filters)
        rows, position = answers.page(filters, limit, after)
        if position is None:
            return as_json(rows)
        following = {**filters.parameters, "limit": limit, "cursor": cursors.encode(filters, position)}
        return as_json(rows, {"Link": next_link(request, following)})

    @get(
        "/{uniqueId:path}",
        summary="The cluster of one record",
        description="The record's result in the newest published window that has its id; `window` and "
        "`model` choose among the windows.",
        operation_id="getClusteringResult",
        response_description="the result",
        responses=problems(400, 404, 500, 503),
        sync_to_thread=True,
    )
    def get_result(
        self,
        *,
        request: Request[Any, Any, Any],
        answers: NamedDependency[Answers],
        _: Annotated[str, PathParameter(name="uniqueId", description="the record's id, percent-encoded")],
        window: WindowParameter = None,
        model: ModelParameter = None,
    ) -> Response[Clustered]:
        return as_json(answers.find(_id_in_path(request), model, window))


def _id_in_path(request: Request[Any, Any, Any]) -> str:
    """The id as the client wrote it: the framework's path has lost slashes at its ends and doubled ones."""
    encoded = asked_path(request).partition("/api/clustering-results/")[2]
    try:
        return unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        raise BadParameterError("uniqueId", "The id in the path is no percent-encoded UTF-8.") from None


def _refuse_path_of_slashes(request: Request[Any, Any, Any]) -> None:
    if _id_in_path(request):
        raise BadParameterError("uniqueId", "No path can carry this id: ask with ?uniqueId= instead.")


def _refuse_paging(cluster: int | None, cursor: str | None) -> None:
    for name, value in (("cluster", cluster), ("cursor", cursor)):
        if value is not None:
            raise BadParameterError(name, f"{name} does not go together with uniqueId.")
