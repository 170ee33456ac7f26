"""The workload in Polars' streaming engine.

All 26 frequency tables and the moments are one `collect_all`. Values then become ids by
`replace_strict` (the faster way with millions of rows) or by 26 left joins.
"""

import os

import workload

options = workload.arguments(way=["replace", "join"])
os.environ["POLARS_MAX_THREADS"] = str(options.threads)

import polars as pl  # noqa: E402  (it reads the number of threads when it is imported)

watch = workload.Stopwatch()
rows = pl.scan_parquet(options.train)
fill = pl.lit("") if rows.collect_schema()["C1"] == pl.String else pl.lit(0, dtype=pl.Int64)


def logarithm(name):
    return pl.col(name).fill_null(0).cast(pl.Float64).clip(lower_bound=0).log1p()


def vocabulary(name):
    counts = rows.select(pl.col(name).fill_null(fill).alias("key")).group_by("key").agg(pl.len().alias("count"))
    frequent = counts.filter(pl.col("count") >= options.threshold).sort("count", descending=True)
    ids = pl.int_range(pl.len(), dtype=pl.Int64) + workload.FIRST_ID
    return frequent.select("key", ids.alias("id"))


moments = rows.select(
    [logarithm(name).mean().alias(f"{name}_mean") for name in workload.NUMBERS]
    + [logarithm(name).std().alias(f"{name}_std") for name in workload.NUMBERS]
)
*tables, moments = pl.collect_all(
    [vocabulary(name) for name in workload.CATEGORIES] + [moments], engine="streaming"
)
tables = dict(zip(workload.CATEGORIES, tables))
moments = moments.row(0, named=True)
watch.fitted()

numbers = [
    ((logarithm(name) - moments[f"{name}_mean"]) / moments[f"{name}_std"]).cast(pl.Float32).alias(name)
    for name in workload.NUMBERS
]
for part, files in (("train", options.train), ("valid", options.valid)):
    frame = pl.scan_parquet(files)
    if options.way == "join":
        frame = frame.with_columns([pl.col(name).fill_null(fill) for name in workload.CATEGORIES])
        for name in workload.CATEGORIES:
            table = tables[name].lazy().rename({"key": name, "id": f"{name}_id"})
            frame = frame.join(table, on=name, how="left", maintain_order="left")
        ids = [pl.col(f"{name}_id").fill_null(workload.UNSEEN_ID).alias(name) for name in workload.CATEGORIES]
    else:
        ids = [
            pl.col(name)
            .fill_null(fill)
            .replace_strict(
                tables[name]["key"], tables[name]["id"], default=workload.UNSEEN_ID, return_dtype=pl.Int64
            )
            .alias(name)
            for name in workload.CATEGORIES
        ]
    os.makedirs(os.path.join(options.out, part))
    frame.select(["label"] + ids + numbers).sink_parquet(
        os.path.join(options.out, part, "part_0.parquet"),
        compression="snappy",
        row_group_size=131_072,
        engine="streaming",
    )
watch.written(sum(len(table) + workload.FIRST_ID for table in tables.values()))
