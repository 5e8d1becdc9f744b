"""``GET /api/windows`` and ``GET /api/windows/{window}``."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from api.lists import Lists
from api.parameters import (
    CursorParameter,
    FormatParameter,
    FromParameter,
    LimitParameter,
    ModelParameter,
    StateParameter,
    ToParameter,
    WindowInPath,
)
from api.responses import PagesOperation, ValidatedOperation, problems
from api.window_schemas import Window
from api.windows import Windows


class WindowsController(Controller):
    """What has become of windows."""

    path = "/api/windows"
    tags = ("windows",)

    @get(
        summary="The windows and their states",
        description="From the open window back to the first one with a record, the newest first, each as it "
        "is when its page is asked for; follow the `Link` header for the next page.",
        operation_id="listWindows",
        response_description="a page of windows",
        responses=problems(400, 406, 500, 503),
        operation_class=PagesOperation,
        sync_to_thread=True,
    )
    def list_windows(
        self,
        *,
        request: Request[Any, Any, Any],
        windows: NamedDependency[Windows],
        lists: NamedDependency[Lists],
        model: ModelParameter = None,
        window_state: StateParameter = None,
        first: FromParameter = None,
        end: ToParameter = None,
        format_: FormatParameter = None,
        limit: LimitParameter = 100,
        cursor: CursorParameter = None,
    ) -> Response[list[Window]]:
        asked = {"model": model, "state": window_state, "from": first, "to": end}
        return lists.pages(
            request,
            format_,
            Window,
            filters=asked,
            limit=limit,
            cursor=cursor,
            version=lambda: 0,
            read=lambda place, count: windows.page(asked, place, count),
            now=windows.state,
        )

    @get(
        "/{window:str}",
        summary="One window",
        description="As `/api/windows` has it.",
        operation_id="getWindow",
        response_description="the window",
        responses=problems(400, 404, 500, 503),
        operation_class=ValidatedOperation,
        sync_to_thread=True,
    )
    def get_window(
        self,
        *,
        request: Request[Any, Any, Any],
        windows: NamedDependency[Windows],
        lists: NamedDependency[Lists],
        window: WindowInPath,
    ) -> Response[Window]:
        return lists.one(request, windows.state, lambda: windows.one(window))
