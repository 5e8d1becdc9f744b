"""``GET /api/dead-letters``."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from api.intake_schemas import DeadLetter
from api.letters import Letters
from api.lists import Lists
from api.parameters import (
    CursorParameter,
    FormatParameter,
    FromParameter,
    LimitParameter,
    ReasonParameter,
    ToParameter,
    WindowParameter,
)
from api.responses import PagesOperation, problems


class DeadLettersController(Controller):
    """The messages that are no records."""

    path = "/api/dead-letters"
    tags = ("dead-letters",)

    @get(
        summary="The dead letters",
        description="The messages that broke the contract, whole, the newest intake first; those that a "
        "replay has landed as records are left out. A page ends early once it holds 16 MiB. Follow the "
        "`Link` header for the next page.",
        operation_id="listDeadLetters",
        response_description="a page of dead letters",
        responses=problems(400, 406, 500, 503),
        operation_class=PagesOperation,
        sync_to_thread=True,
    )
    def list_dead_letters(
        self,
        *,
        request: Request[Any, Any, Any],
        letters: NamedDependency[Letters],
        lists: NamedDependency[Lists],
        window: WindowParameter = None,
        reason: ReasonParameter = None,
        first: FromParameter = None,
        end: ToParameter = None,
        format_: FormatParameter = None,
        limit: LimitParameter = 100,
        cursor: CursorParameter = None,
    ) -> Response[list[DeadLetter]]:
        asked = {"window": window, "reason": reason, "from": first, "to": end}
        return lists.pages(
            request,
            format_,
            DeadLetter,
            filters=asked,
            limit=limit,
            cursor=cursor,
            version=letters.version,
            read=lambda place, count: letters.page(asked, place, count),
            now=letters.state,
        )
