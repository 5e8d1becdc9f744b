"""``GET /api/cluster-stats``."""

from litestar import Controller, Response, get
from litestar.di import NamedDependency

from api.answers import Answers
from api.parameters import ModelParameter, WindowParameter
from api.responses import as_json, problems
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
        responses=problems(400, 404, 500, 503),
        sync_to_thread=True,
    )
    def get_cluster_stats(
        self, answers: NamedDependency[Answers], model: ModelParameter = None, window: WindowParameter = None
    ) -> Response[list[ClusterStats]]:
        return as_json(answers.cluster_stats(model, window))
