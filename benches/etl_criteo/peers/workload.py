"""What the peers' runs have in common: columns, files, arguments, and the line with the result."""

import argparse
import glob
import json
import os
import resource
import shutil
import time

CATEGORIES = [f"C{i}" for i in range(1, 27)]
NUMBERS = [f"I{i}" for i in range(1, 14)]
# The ids of padding, null and unseen values come first.
FIRST_ID = 3
UNSEEN_ID = 2


def arguments(**variants):
    """The command line; `variants` are further options with their choices, the first by default."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--threshold", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    for name, choices in variants.items():
        parser.add_argument(f"--{name}", choices=choices, default=choices[0])
    options = parser.parse_args()
    files = sorted(glob.glob(os.path.join(options.data, "*.parquet")))
    options.train, options.valid = files[:-1], files[-1:]
    shutil.rmtree(options.out, ignore_errors=True)
    os.makedirs(options.out)
    return options


class Stopwatch:
    """Started when it is made; `fitted` and `written` end the two parts."""

    def __init__(self):
        self.cpu = self.cpu_now()
        self.start = time.perf_counter()

    @staticmethod
    def cpu_now():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    def fitted(self):
        self.fit_end = time.perf_counter()

    def written(self, ids):
        """Prints the result; `ids` is the number of ids of all columns, reserved ones included."""
        end = time.perf_counter()
        result = {
            "fit_s": self.fit_end - self.start,
            "transform_s": end - self.fit_end,
            "cpu_s": self.cpu_now() - self.cpu,
            "ids": ids,
        }
        print("RESULT " + json.dumps(result), flush=True)
