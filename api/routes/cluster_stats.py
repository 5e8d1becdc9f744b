"""``GET /api/cluster-stats``."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from api.answers import Answers
from api.lists import Lists
from api.parameters import FormatParameter, ModelParameter, WindowParameter
from api.responses import ListOperation, problems
from api.schemas import ClusterStats


class ClusterStatsController(Controller):
    """The clusters of windows."""

    path = "/api/cluster-stats"
    tags = ("cluster-stats",)

    @get(
        summary="The clusters of the newest windows",
        description="One object a cluster, by model and cluster: those of the newest published window of "
        "each of the three models, or of the model or window that is asked for. A window without enough "
        "records has none.",
        operation_id="getClusterStats",
        response_description="the clusters; empty where nothing is published",
        responses=problems(400, 404, 406, 500, 503),
        operation_class=ListOperation,
        sync_to_thread=True,
    )
    def get_cluster_stats(
        self,
        *,
        request: Request[Any, Any, Any],
        answers: NamedDependency[Answers],
        lists: NamedDependency[Lists],
        model: ModelParameter = None,
        window: WindowParameter = None,
        format_: FormatParameter = None,
    ) -> Response[list[ClusterStats]]:
        return lists.whole(
            request,
            format_,
            ClusterStats,
            lambda: answers.state("cluster_ids"),
            lambda: answers.cluster_stats(model, window),
        )
