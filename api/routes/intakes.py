"""``GET /api/intakes``."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from api.intake_schemas import Intake
from api.intakes import IntakeList
from api.lists import Lists
from api.parameters import CursorParameter, FormatParameter, LimitParameter, WindowParameter
from api.responses import PagesOperation, problems


class IntakesController(Controller):
    """The reads of the topic."""

    path = "/api/intakes"
    tags = ("intakes",)

    @get(
        summary="The intakes",
        description="The numbered, bounded reads of the topic, the newest first; with `window` those that "
        "landed anything for it. Follow the `Link` header for the next page.",
        operation_id="listIntakes",
        response_description="a page of intakes; empty where nothing was read",
        responses=problems(400, 406, 500, 503),
        operation_class=PagesOperation,
        sync_to_thread=True,
    )
    def list_intakes(
        self,
        *,
        request: Request[Any, Any, Any],
        intakes: NamedDependency[IntakeList],
        lists: NamedDependency[Lists],
        window: WindowParameter = None,
        format_: FormatParameter = None,
        limit: LimitParameter = 100,
        cursor: CursorParameter = None,
    ) -> Response[list[Intake]]:
        return lists.pages(
            request,
            format_,
            Intake,
            filters={"window": window},
            limit=limit,
            cursor=cursor,
            version=intakes.version,
            read=lambda place, count: intakes.page(window, place, count),
        )
