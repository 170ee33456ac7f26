"""The workload in DuckDB: a table of ids for each column, then one COPY over 26 left joins."""

import os

import duckdb

import workload

options = workload.arguments()
engine = duckdb.connect(config={"threads": options.threads})


def scan(files):
    return "read_parquet([" + ", ".join(f"'{file}'" for file in files) + "])"


watch = workload.Stopwatch()
train = scan(options.train)
key_type = engine.execute(f"SELECT typeof(C1) FROM {train} LIMIT 1").fetchone()[0]
fill = "''" if key_type == "VARCHAR" else "0"


def logarithm(column):
    return f"ln(1 + greatest(coalesce({column}, 0)::DOUBLE, 0))"


ids = 0
for name in workload.CATEGORIES:
    engine.execute(
        f"""CREATE TABLE ids_{name} AS
        SELECT key, row_number() OVER (ORDER BY occurrences DESC) + {workload.FIRST_ID - 1} AS id
        FROM (SELECT coalesce({name}, {fill}) AS key, count(*) AS occurrences FROM {train}
              GROUP BY 1 HAVING count(*) >= {options.threshold})"""
    )
    ids += engine.execute(f"SELECT count(*) FROM ids_{name}").fetchone()[0] + workload.FIRST_ID
moments = engine.execute(
    "SELECT "
    + ", ".join(f"avg({logarithm(name)}), stddev_samp({logarithm(name)})" for name in workload.NUMBERS)
    + f" FROM {train}"
).fetchone()
watch.fitted()

numbers = [
    f"(({logarithm('rows.' + name)} - ({moments[2 * i]!r})) / {moments[2 * i + 1]!r})::FLOAT AS {name}"
    for i, name in enumerate(workload.NUMBERS)
]
categories = [f"coalesce(ids_{name}.id, {workload.UNSEEN_ID})::BIGINT AS {name}" for name in workload.CATEGORIES]
joins = " ".join(
    f"LEFT JOIN ids_{name} ON coalesce(rows.{name}, {fill}) = ids_{name}.key" for name in workload.CATEGORIES
)
for part, files in (("train", options.train), ("valid", options.valid)):
    os.makedirs(os.path.join(options.out, part))
    target = os.path.join(options.out, part, "part_0.parquet")
    engine.execute(
        f"""COPY (SELECT rows.label, {", ".join(categories + numbers)} FROM {scan(files)} AS rows {joins})
        TO '{target}' (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 131072)"""
    )
watch.written(ids)
