"""``GET /api/clustering-results/{uniqueId}/history``."""

from typing import Annotated, Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import PathParameter

from api.answers import Answers
from api.event_schemas import Past
from api.history import Histories
from api.lists import Lists
from api.parameters import (
    CursorParameter,
    FormatParameter,
    FromParameter,
    LimitParameter,
    ModelParameter,
    ToParameter,
)
from api.record_paths import asked_id
from api.responses import PagesOperation, problems


class HistoryController(Controller):
    """A record over time."""

    path = "/api/clustering-results/{uniqueId:str}/history"
    tags = ("clustering-results",)

    @get(
        summary="The clusters of one record over time",
        description="Every published window that has the record's id, the newest first: its cluster there, "
        "and how near the second-best one was. An id that itself ends in `/history` is written with `%2F`.",
        operation_id="getHistory",
        response_description="a page of windows",
        responses=problems(400, 404, 406, 410, 500, 503),
        operation_class=PagesOperation,
        sync_to_thread=True,
    )
    def get_history(
        self,
        *,
        request: Request[Any, Any, Any],
        answers: NamedDependency[Answers],
        histories: NamedDependency[Histories],
        lists: NamedDependency[Lists],
        _: Annotated[str, PathParameter(name="uniqueId", description="the record's id, percent-encoded")],
        model: ModelParameter = None,
        first: FromParameter = None,
        end: ToParameter = None,
        format_: FormatParameter = None,
        limit: LimitParameter = 100,
        cursor: CursorParameter = None,
    ) -> Response[list[Past]]:
        unique_id = asked_id(request)
        return lists.pages(
            request,
            format_,
            Past,
            filters={"model": model, "from": first, "to": end},
            limit=limit,
            cursor=cursor,
            version=answers.version,
            read=lambda place, count: histories.page(unique_id, model, (first, end), place, count),
            now=histories.state,
        )
