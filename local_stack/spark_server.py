"""Spark: the Spark Connect server that Silt starts itself, from the installed pyspark."""

import shlex
import shutil
import sys
from functools import partial
from pathlib import Path

from local_stack.ivy import pyspark_folder
from local_stack.java import LIGHT
from local_stack.parts import Part
from local_stack.ports import LOOPBACK, answers
from resources.settings import Settings


def spark_parts(settings: Settings, java: Path) -> list[Part]:
    """The server, and a task that warms it: the first window must not pay for the cold start."""
    server = Part(
        name="spark",
        command=server_command(settings),
        ready=partial(answers, LOOPBACK, settings.spark_port),
        url=settings.spark_url,
        env={
            "SPARK_HOME": str(pyspark_folder()),
            "SPARK_LOCAL_IP": LOOPBACK,
            "JAVA_HOME": str(java.resolve().parent.parent),
        },
    )
    warm = Part(
        name="spark-warm",
        command=[sys.executable, "-m", "local_stack.warm_spark", settings.spark_url],
        after=("spark",),
        once=True,
    )
    return [server, warm]


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
        "spark.sql.shuffle.partitions": 4,  # a window is small: tasks cost more than rows
        "spark.log.level": "WARN",
    }
    java_options = [*LIGHT, f"-Djava.io.tmpdir={temporary}", "-Djava.net.preferIPv4Stack=true"]
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
