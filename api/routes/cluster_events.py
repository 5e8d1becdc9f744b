"""``GET /api/cluster-events``."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from api.answers import Answers, Chosen
from api.event_schemas import ClusterEvent
from api.events import Events
from api.lists import Lists
from api.parameters import (
    ClusterParameter,
    CursorParameter,
    FormatParameter,
    FromParameter,
    LimitParameter,
    ModelParameter,
    ToParameter,
    WindowParameter,
)
from api.responses import PagesOperation, problems


class ClusterEventsController(Controller):
    """What became of clusters."""

    path = "/api/cluster-events"
    tags = ("cluster-events",)

    @get(
        summary="What became of clusters",
        description="Of each published window, the newest first: which clusters of the one before it "
        "survived, split, merged, appeared or disappeared. It follows the publication. `cluster` chooses by "
        "the clusters of the later window.",
        operation_id="listClusterEvents",
        response_description="a page of events; empty where nothing is matched yet",
        responses=problems(400, 404, 406, 410, 500, 503),
        operation_class=PagesOperation,
        sync_to_thread=True,
    )
    def list_events(
        self,
        *,
        request: Request[Any, Any, Any],
        answers: NamedDependency[Answers],
        events: NamedDependency[Events],
        lists: NamedDependency[Lists],
        window: WindowParameter = None,
        model: ModelParameter = None,
        cluster: ClusterParameter = None,
        first: FromParameter = None,
        end: ToParameter = None,
        format_: FormatParameter = None,
        limit: LimitParameter = 100,
        cursor: CursorParameter = None,
    ) -> Response[list[ClusterEvent]]:
        chosen = Chosen(window, model, cluster, first, end)
        return lists.pages(
            request,
            format_,
            ClusterEvent,
            filters=chosen.parameters,
            limit=limit,
            cursor=cursor,
            version=answers.version,
            read=lambda place, count: events.page(chosen, place, count),
            now=events.state,
        )
