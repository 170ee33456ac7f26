"""Reads a folder that Emrys wrote with the real Merlin, and compares what both understand.

Run by hand, with Python 3.10 and `nvtabular==23.8.0 merlin-core==23.8.0` (pandas 1.5, dask 2023.1,
protobuf 3.20) installed:

    python tests/interop/read_with_merlin.py FOLDER [WORKFLOW]

FOLDER holds part files, `schema.pbtxt` and `schema.json` as `Transformed::write` leaves them;
WORKFLOW is a saved workflow, whose vocabularies are then read as pandas reads NVTabular's. Ends with
one line of JSON; the exit code is 1 if anything differs.
"""

import glob
import json
import os
import sys
import warnings

warnings.filterwarnings("ignore")

import pandas as pd  # noqa: E402
from merlin.io import Dataset  # noqa: E402
from merlin.schema import Tags  # noqa: E402
from merlin.schema.io.tensorflow_metadata import TensorflowMetadata  # noqa: E402

# Tags that Merlin splits into others when it reads them.
COMPOUND = {
    "user_id": {"user", "id"},
    "item_id": {"item", "id"},
    "session_id": {"session", "id"},
}


def words(tags):
    found = set()
    for tag in tags:
        word = tag.value if isinstance(tag, Tags) else str(tag)
        found |= COMPOUND.get(word, {word})
    return found


def compare(folder, problems):
    ours = json.load(open(os.path.join(folder, "schema.json")))
    theirs = TensorflowMetadata.from_proto_text_file(folder, "schema.pbtxt").to_merlin_schema()
    columns = {column["name"]: column for column in ours["columns"]}
    if list(columns) != theirs.column_names:
        problems.append(f"columns {theirs.column_names}, not {list(columns)}")
    for name, column in columns.items():
        if name not in theirs.column_names:
            continue
        found = theirs[name]
        if words(found.tags) != words(column.get("tags", [])):
            problems.append(f"{name}: tags {words(found.tags)}, not {column.get('tags')}")
        domain = column.get("domain") or {}
        domain = domain.get("int") or domain
        if found.int_domain and "max" in domain and found.int_domain.max != domain["max"]:
            problems.append(f"{name}: maximum {found.int_domain.max}, not {domain['max']}")

    dataset = Dataset(sorted(glob.glob(os.path.join(folder, "*.parquet"))), engine="parquet", cpu=True)
    frame = dataset.to_ddf().compute()
    manifest = json.load(open(os.path.join(folder, "_emrys.json")))
    if len(frame) != manifest["rows"]:
        problems.append(f"{len(frame)} rows, not {manifest['rows']}")
    for name, column in columns.items():
        found = theirs[name] if name in theirs.column_names else None
        if found is not None and found.int_domain and found.int_domain.max and not found.is_list:
            if frame[name].max() > found.int_domain.max:
                problems.append(f"{name}: {frame[name].max()} is outside of its domain")
    return {"columns": len(columns), "rows": len(frame)}


def vocabularies(workflow, problems):
    """The ids are the index of what pandas reads, as in NVTabular's own files."""
    read = 0
    for path in glob.glob(os.path.join(workflow, "**", "unique.*.parquet"), recursive=True):
        frame = pd.read_parquet(path)
        meta = pd.read_parquet(path.replace("unique.", "meta.")).set_index("kind")
        first = int(meta.loc["unique", "offset"])
        ids = list(range(first, first + len(frame)))
        name = os.path.basename(path)[len("unique.") : -len(".parquet")]
        if list(frame.index) != ids:
            problems.append(f"{path}: the index is {frame.index}, not {first} and up")
        if list(frame[f"{name}_index"]) != ids:
            problems.append(f"{path}: the column of ids does not start at {first}")
        read += 1
    return read


def main():
    problems = []
    figures = compare(sys.argv[1], problems)
    if len(sys.argv) > 2:
        figures["vocabularies"] = vocabularies(sys.argv[2], problems)
    for problem in problems:
        print("differs:", problem)
    print(json.dumps({**figures, "problems": len(problems)}))
    return 1 if problems else 0


sys.exit(main())
