"""PySpark Structured Streaming: files in, files out, twice in one session: cold, then warm.

Each output is a query of its own, and reads the files itself: that is how Spark shares nothing.
Views are written in update mode, each batch's changed rows beside its number; the latest one of a
key counts. Sessions are Spark's gap sessions, which know no marks; a window of a session is only
written when it is closed.

Arguments: `five` or `count`, a directory of NDJSON files, a directory to make, how many events,
about how many of them in a batch (0: all; Spark plans and commits each batch anew).
"""

import json
import sys
import time
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.streaming import StreamingQuery

SCHEMA = "event_time timestamp, user_id string, page_url string, event_type string"


def start_session() -> SparkSession:
    settings = {
        # Two cores: the default of 200 tasks for each shuffle would be spent on nothing.
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.memory": "3g",
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.master("local[2]").appName("activity")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


class Run:
    """One run of the pipeline, with checkpoints and results of its own below `target`."""

    def __init__(self, spark: SparkSession, source: Path, target: Path, share: float) -> None:
        """`share` of the files are in a batch; 0: all."""
        self.target = target
        reader = spark.readStream.schema(SCHEMA)
        if share:
            files = len(list(source.iterdir()))
            reader = reader.option("maxFilesPerTrigger", max(1, round(share * files)))
        self.events = reader.json(str(source))
        self.in_time = self.events.withWatermark("event_time", "2 minutes")

    def count(self) -> list[StreamingQuery]:
        views = self.in_time.where("event_type = 'page_view'")
        rows = (
            views.groupBy(f.window("event_time", "1 minute"), "page_url")
            .agg(f.count("*").alias("view_count"))
            .selectExpr("window.start as window_start", "page_url", "view_count")
        )
        return [self._updates("page_view_counts", rows)]

    def five(self) -> list[StreamingQuery]:
        users = (
            self.in_time.groupBy(f.window("event_time", "5 minutes", "1 minute"))
            .agg(f.approx_count_distinct("user_id").alias("active_user_count"))
            .selectExpr("window.start as window_start", "active_user_count")
        )
        sessions = (
            self.in_time.groupBy(f.session_window("event_time", "30 minutes"), "user_id")
            .agg(f.count("*").alias("event_count"))
            .selectExpr("user_id", "session_window.start as session_start_time", "event_count")
        )
        dated = self.events.withColumn("event_date", f.to_date("event_time"))
        enriched = self.events.withColumn("processing_time", f.current_timestamp())
        return [
            *self.count(),
            self._updates("active_users", users),
            self._appends("user_sessions", sessions, "parquet"),
            self._appends("lake", dated, "parquet", "event_date"),
            self._appends("enriched_activity", enriched, "json"),
        ]

    def _updates(self, name: str, rows: DataFrame) -> StreamingQuery:
        def write(changed: DataFrame, batch: int) -> None:
            numbered = changed.withColumn("batch", f.lit(batch))
            numbered.write.mode("append").parquet(str(self.target / name))

        return self._start(name, rows.writeStream.outputMode("update").foreachBatch(write))

    def _appends(self, name: str, rows: DataFrame, form: str, by: str = "") -> StreamingQuery:
        writer = rows.writeStream.outputMode("append").format(form)
        writer = writer.option("path", str(self.target / name))
        return self._start(name, writer.partitionBy(by) if by else writer)

    def _start(self, name: str, writer) -> StreamingQuery:
        place = str(self.target / "checkpoints" / name)
        return writer.option("checkpointLocation", place).trigger(availableNow=True).start()


def main(pipeline: str, source: str, target: str, events: str, batch: str) -> None:
    begun = time.perf_counter()
    spark, seconds = start_session(), []
    started = time.perf_counter() - begun
    for number in ("cold", "warm"):
        begun = time.perf_counter()
        run = Run(spark, Path(source), Path(target) / number, int(batch) / int(events))
        for query in getattr(run, pipeline)():
            query.awaitTermination()
        seconds.append(time.perf_counter() - begun)
    print(json.dumps({"start": started, "seconds": seconds}))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
