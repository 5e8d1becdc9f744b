"""Dagster's PySpark resource, connected when an asset first needs it and released with the run."""

import dagster as dg
from dagster_pyspark import PySparkResource
from dagster_pyspark.resources import spark_session_from_config
from pyspark.sql import SparkSession

from resources.spark import check_answers, give_up_early


class SparkConnectResource(PySparkResource):
    """One Spark Connect session per run. A run that needs no Spark (an empty window) opens none."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Nothing yet: see ``spark_session``."""

    @property
    def spark_session(self) -> SparkSession:
        """The session.

        Raises:
            TransientError: the server does not answer.
        """
        if self._spark_session is None:
            check_answers(self.spark_config["spark.remote"])
            self._spark_session = spark_session_from_config(  # type: ignore[no-untyped-call]
                self.spark_config
            )
            give_up_early(self._spark_session)
        session: SparkSession = self._spark_session
        return session

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Release the session's place on the server."""
        if self._spark_session is not None:
            self._spark_session.stop()
