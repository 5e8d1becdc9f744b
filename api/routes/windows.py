"""``GET /api/windows`` and ``GET /api/windows/{window}``."""

from litestar import Controller, Response, get
from litestar.di import NamedDependency

from api.parameters import LimitParameter, ModelParameter, StateParameter, WindowInPath
from api.responses import as_json, problems
from api.window_schemas import Window
from api.windows import Windows


class WindowsController(Controller):
    """What has become of windows."""

    path = "/api/windows"
    tags = ("windows",)

    @get(
        summary="The windows and their states",
        description="From the open window back to the first one with a record, the newest first.",
        operation_id="listWindows",
        response_description="the windows",
        responses=problems(400, 500, 503),
        sync_to_thread=True,
    )
    def list_windows(
        self,
        windows: NamedDependency[Windows],
        model: ModelParameter = None,
        window_state: StateParameter = None,
        limit: LimitParameter = 100,
    ) -> Response[list[Window]]:
        return as_json(windows.newest(limit, model, window_state))

    @get(
        "/{window:str}",
        summary="One window",
        operation_id="getWindow",
        response_description="the window",
        responses=problems(400, 404, 500, 503),
        sync_to_thread=True,
    )
    def get_window(self, windows: NamedDependency[Windows], window: WindowInPath) -> Response[Window]:
        return as_json(windows.one(window))
