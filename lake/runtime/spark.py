"""The SparkSession and its settings.

It stands in the engine process alone: the web process starts no Java, and nothing forks after Spark has started.
"""

from __future__ import annotations

import os
import pwd
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import SparkSession

from lake.errors import Conflict, NotReady
from lake.runtime.delta_jars import find_delta_jars
from lake.runtime.machine import find_java, usable_cores

_LOGGING = Path(__file__).with_name("log4j2.properties")
_DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"


def local_master() -> str:
    """All usable cores of this machine, and four attempts a task (plain `local[N]` gives one only)."""
    return f"local[{usable_cores()},4]"


def require_named_user() -> None:
    """Raises `NotReady` where the user has a number and no name, as in some containers: Hadoop's login would fail."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise NotReady(
            f"Spark cannot run as user id {os.geteuid()}, which has no name on this machine. Run as a user that /etc/passwd "
            "knows, or add this one to it; small valuations run without Spark."
        ) from None


def spark_session(
    master: str | None = None,
    *,
    app: str = "varlake",
    driver_memory: str = "2g",
    batch_rows: int = 10_000,
    ui: bool = False,
    delta: bool = False,
    settings: Mapping[str, str] | None = None,
) -> SparkSession:
    """The one Spark session of this process, started at the first call; a running one is returned as it is.

    `master` is `local_master()` when None. `driver_memory` bounds the Java heap (vectors live in Python, outside of it),
    `batch_rows` the rows of an Arrow batch. `delta` lets Spark itself read and write Delta tables. `settings` are further Spark
    settings and win over ours. Raises `NotReady` when there is no Java, the user has no name, or with `delta` there are no Delta
    jars; and `Conflict` when `delta` is asked of a session that was started without.
    """
    running = SparkSession.getActiveSession()
    if running is not None:
        if delta and _DELTA_EXTENSION not in (running.conf.get("spark.sql.extensions", None) or ""):
            raise Conflict(
                "Spark is running in this process without Delta; stop the session, or start it with delta=True."
            )
        return running
    master = master or local_master()
    conf = {
        "spark.ui.enabled": str(ui).lower(),
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": driver_memory,
        "spark.driver.extraJavaOptions": f'-Dlog4j2.configurationFile="{_LOGGING}"',
        "spark.sql.session.timeZone": "UTC",  # instants are UTC, wherever the machine stands
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(batch_rows),
        "spark.python.worker.reuse": "true",
        "spark.python.worker.faulthandler.enabled": "true",
        # neither tables nor a metastore of Spark's own; should one be saved all the same, then not in the working folder
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": str(Path(tempfile.gettempdir()) / f"varlake-warehouse-{os.getpid()}"),
    }
    if master.startswith("local"):
        conf |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": str(usable_cores()),
        }
        os.environ["PYSPARK_PYTHON"] = sys.executable
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    else:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if delta:
        conf |= {
            "spark.jars": ",".join(map(str, find_delta_jars())),
            "spark.sql.extensions": _DELTA_EXTENSION,
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.databricks.delta.snapshotPartitions": "2",  # of a table's log; the default of 50 costs seconds
        }
    require_named_user()
    os.environ["JAVA_HOME"] = str(find_java().launcher_home())
    builder = SparkSession.builder.master(master).appName(app)
    for name, value in {**conf, **(settings or {})}.items():
        builder = builder.config(name, value)
    before = signal.getsignal(signal.SIGINT)
    session = builder.getOrCreate()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, before)  # Spark takes Ctrl-C for itself
    return session
