"""The workload in NVTabular on the processor (pandas, dask threads)."""

import os
import warnings

warnings.filterwarnings("ignore")

import dask  # noqa: E402
import numpy as np  # noqa: E402
import nvtabular as nvt  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from merlin.schema import Tags  # noqa: E402
from nvtabular import ops  # noqa: E402

import workload

options = workload.arguments()
dask.config.set(scheduler="threads", num_workers=options.threads)


def dataset(files):
    return nvt.Dataset(files, engine="parquet", cpu=True, row_groups_per_part=1)


watch = workload.Stopwatch()
is_text = "string" in str(pq.read_schema(options.train[0]).field("C1").type)
categories = (
    workload.CATEGORIES
    >> ops.FillMissing(fill_val="" if is_text else 0)
    >> ops.Categorify(
        freq_threshold=options.threshold,
        out_path=os.path.join(options.out, "categories"),
        dtype=np.int64,
    )
)
numbers = (
    workload.NUMBERS
    >> ops.FillMissing(fill_val=0)
    >> ops.Clip(min_value=0)
    >> ops.LogOp()
    >> ops.Normalize(out_dtype=np.float32)
)
label = ["label"] >> ops.AddMetadata(tags=[Tags.BINARY_CLASSIFICATION, Tags.TARGET])
workflow = nvt.Workflow(categories + numbers + label)
workflow.fit(dataset(options.train))
watch.fitted()

for part, files in (("train", options.train), ("valid", options.valid)):
    target = os.path.join(options.out, part)
    workflow.transform(dataset(files)).to_parquet(target, output_files=len(files))
sizes = nvt.ops.get_embedding_sizes(workflow)
sizes = sizes[0] if isinstance(sizes, tuple) else sizes
watch.written(int(sum(size[0] for size in sizes.values())))
