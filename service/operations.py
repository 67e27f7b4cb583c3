"""The cache of vectors and the Spark session, as the settings want them: what every process opens a lake with."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, cast, get_args

from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.reduce_strategy import Reduce
from lake.errors import unknown
from lake.tables import Lake
from service.config import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def vector_cache(settings: Settings, lake: Lake, reduce: str | None = None) -> VectorCache:
    """The cache of mapped vectors where the settings want it, and no larger.

    `reduce` says where the product is done, as `aggregation.opened.reduce_strategy` has it; None is `auto` in a process that may not
    start Spark, such as the web process. `auto` takes Spark only where the settings name a cluster.
    """
    if reduce not in (None, *get_args(Reduce)):
        raise unknown("reduce", str(reduce), get_args(Reduce), pointer="reduce")
    memory = math.inf if settings.memory_gib is None else settings.memory_gib * (1 << 30)
    cluster = settings.spark_master is not None and not settings.spark_master.startswith("local")
    spark = spark_of(settings) if reduce == "spark" or (reduce == "auto" and cluster) else None
    limit = int(settings.cache_gib * (1 << 30))
    return VectorCache(lake, settings.cache, limit, memory, cast(Reduce, reduce or "auto"), spark)


def spark_of(settings: Settings) -> Callable[[], SparkSession]:
    """Gives the Spark session of the settings when it is called: starting one takes seconds, and most work needs none."""

    def session() -> SparkSession:
        from lake.runtime.spark import spark_session  # noqa: PLC0415 - only engine processes may load Spark

        return spark_session(master=settings.spark_master, driver_memory=settings.spark_memory)

    return session
