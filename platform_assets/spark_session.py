"""Dagster's PySpark resource, connected when an asset first needs it and released with the run."""

from collections.abc import Callable

import dagster as dg
from dagster_pyspark import PySparkResource
from pydantic import PrivateAttr
from pyspark.sql import DataFrame, SparkSession

from resources.spark import check_answers, give_up_early


class SparkConnectResource(PySparkResource):
    """One Spark Connect session per run, its own. A run that needs no Spark (an empty window) opens none."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Nothing yet: see ``spark_session``."""

    _held: dict[str, DataFrame] = PrivateAttr(default_factory=dict)

    @property
    def spark_session(self) -> SparkSession:
        """The session.

        Raises:
            TransientError: the server does not answer.
        """
        if self._spark_session is None:
            check_answers(self.spark_config["spark.remote"])
            self._spark_session = SparkSession.builder.config(map=self.spark_config).create()
            give_up_early(self._spark_session)
        session: SparkSession = self._spark_session
        return session

    def hold(self, key: str, make: Callable[[SparkSession], DataFrame]) -> DataFrame:
        """A frame that is made and cached once, for all assets of the run that name the same key."""
        if key not in self._held:
            self._held[key] = make(self.spark_session).persist()
        return self._held[key]

    def connect(self) -> None:
        """Open the session, and have the server answer once, so that the first real question need not wait.

        Raises:
            TransientError: the server does not answer.
        """
        self.spark_session.range(1).collect()

    def drop(self) -> None:
        """Forget a session whose server went away: the next use connects anew."""
        self._held.clear()
        self._spark_session = None

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Release what the run holds on the server."""
        if self._spark_session is not None:
            for frame in self._held.values():
                frame.unpersist()
            self._spark_session.stop()
