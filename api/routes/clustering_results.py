"""``GET /api/clustering-results``: pages of results, or the result of one record."""

from typing import Annotated, Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import PathParameter

from api.answers import Answers, Chosen
from api.lists import Lists
from api.parameters import (
    ClusterParameter,
    CursorParameter,
    FormatParameter,
    FromParameter,
    IdParameter,
    LimitParameter,
    ModelParameter,
    ToParameter,
    WindowParameter,
)
from api.problems import BadParameterError
from api.record_paths import asked_id
from api.responses import PagesOperation, ValidatedOperation, problems
from api.schemas import Clustered


class ClusteringResultsController(Controller):
    """The cluster of every record."""

    path = "/api/clustering-results"
    tags = ("clustering-results",)

    @get(
        summary="The clusters of all records",
        description="The records of all published windows, the newest window first, then by id; follow the "
        "`Link` header for the next page: a walk shows the windows as they were when it began. "
        "`limit=all` streams all that is left. With `uniqueId` the array holds the one result that "
        "`/api/clustering-results/{uniqueId}` answers, for ids that no path can carry.",
        operation_id="listClusteringResults",
        response_description="a page of results; empty where nothing is published",
        responses=problems(400, 404, 406, 410, 500, 503),
        operation_class=PagesOperation,
        sync_to_thread=True,
    )
    def list_results(
        self,
        *,
        request: Request[Any, Any, Any],
        answers: NamedDependency[Answers],
        lists: NamedDependency[Lists],
        window: WindowParameter = None,
        model: ModelParameter = None,
        cluster: ClusterParameter = None,
        first: FromParameter = None,
        end: ToParameter = None,
        format_: FormatParameter = None,
        limit: LimitParameter = 100,
        cursor: CursorParameter = None,
        unique_id: IdParameter = None,
    ) -> Response[list[Clustered]]:
        if unique_id is not None:
            _refuse_paging(cluster=cluster, cursor=cursor, **{"from": first, "to": end})
            return lists.whole(
                request,
                format_,
                Clustered,
                answers.version,
                lambda: [answers.find(unique_id, model, window)],
            )
        chosen = Chosen(window, model, cluster, first, end)
        return lists.pages(
            request,
            format_,
            Clustered,
            filters=chosen.parameters,
            limit=limit,
            cursor=cursor,
            version=answers.version,
            read=lambda place, count: answers.page(chosen, place, count),
        )

    @get(
        "/{uniqueId:str}",
        summary="The cluster of one record",
        description="The record's result in the newest published window that has its id; `window` and "
        "`model` choose among the windows.",
        operation_id="getClusteringResult",
        response_description="the result",
        responses=problems(400, 404, 500, 503),
        operation_class=ValidatedOperation,
        sync_to_thread=True,
    )
    def get_result(
        self,
        *,
        request: Request[Any, Any, Any],
        answers: NamedDependency[Answers],
        lists: NamedDependency[Lists],
        _: Annotated[str, PathParameter(name="uniqueId", description="the record's id, percent-encoded")],
        window: WindowParameter = None,
        model: ModelParameter = None,
    ) -> Response[Clustered]:
        unique_id = asked_id(request)
        return lists.one(request, answers.version, lambda: answers.find(unique_id, model, window))


def _refuse_paging(**given: str | int | None) -> None:
    for name, value in given.items():
        if value is not None:
            raise BadParameterError(name, f"{name} does not go together with uniqueId.")
