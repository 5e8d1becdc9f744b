"""Spark: the Spark Connect server that Silt starts itself, from the installed pyspark."""

import shlex
import shutil
import sys
from functools import partial
from pathlib import Path

from local_stack.ivy import pyspark_folder
from local_stack.parts import Part
from local_stack.ports import LOOPBACK, answers
from resources.settings import Settings

_JAVA_OPTIONS = (
    "-Xms64m",
    "-XX:+UseSerialGC",
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=6000",
    "-XX:Tier4CompileThreshold=150000",
    "-XX:Tier4BackEdgeThreshold=400000",
)
"""The heap begins small and grows with what there is to do. By default it begins with a 64th of the machine's
memory, and all that it calls young is filled before anything is freed.

The thorough compiler waits for ten times as many calls: what runs once need not be fast.

In CPU time the first small window costs 25 s instead of 32, and 200,000 rows cost no more than before. The
quick compiler alone would take 18 s for the first window, and 1.7 times as long as this for 200,000 rows.
"""


def spark_parts(settings: Settings, java: Path, warm: bool) -> list[Part]:
    """The server, and a task that warms it, so that the first window does not pay for the cold start.

    Args:
        warm: not where windows are due already: they warm it themselves.
    """
    server = Part(
        name="spark",
        command=server_command(settings),
        ready=partial(answers, LOOPBACK, settings.spark_port),
        url=settings.spark_url,
        after=("code",),  # its start takes all cores for seconds, and most windows need no Spark
        env={
            "SPARK_HOME": str(pyspark_folder()),
            "SPARK_LOCAL_IP": LOOPBACK,
            "JAVA_HOME": str(java.resolve().parent.parent),
        },
    )
    warming = Part(
        name="spark-warm",
        command=[sys.executable, "-m", "local_stack.warm_spark", settings.spark_url],
        after=("spark",),
        once=True,
    )
    return [server, warming] if warm else [server]


def server_command(settings: Settings) -> list[str]:
    """spark-submit's command; all that Spark writes goes below ``SILT_HOME/spark``."""
    folder = settings.home / "spark"
    temporary = folder / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)  # of a server that was killed
    temporary.mkdir(parents=True)
    conf = {
        "spark.ui.enabled": "false",
        "spark.driver.host": LOOPBACK,
        "spark.driver.bindAddress": LOOPBACK,
        "spark.connect.grpc.binding.address": LOOPBACK,
        "spark.connect.grpc.binding.port": settings.spark_port,
        "spark.connect.session.manager.defaultSessionTimeout": "10m",
        "spark.local.dir": temporary,
        "spark.sql.warehouse.dir": folder / "warehouse",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.shuffle.partitions": 2,  # a window is small: tasks cost more than rows
        "spark.log.level": "WARN",
    }
    java_options = [*_JAVA_OPTIONS, f"-Djava.io.tmpdir={temporary}", "-Djava.net.preferIPv4Stack=true"]
    return [
        str(pyspark_folder() / "bin" / "spark-submit"),
        *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
        *("--name", "silt"),
        *("--master", "local[*]"),
        *("--driver-memory", settings.spark_memory),
        *("--driver-java-options", shlex.join(java_options)),
        *(word for name, value in conf.items() for word in ("--conf", f"{name}={value}")),
        "spark-internal",
    ]
