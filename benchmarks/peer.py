"""The package sanction-simulator on scenarios of its own, timed: run by `benchmarks.many`, in a process of its own.

Needs nothing of détente, so that it runs under any Python that has the package. The scenarios are the embargoes between two
countries that its own baseline goes through, in its order and at its parameters; balancing and solving are timed, its
diagnostics are not. One scenario at a time, as its README and its interface have it, unless a batch is asked for.
Prints one JSON object: empty where the package is not installed.
"""

import importlib.util
import json
import sys
import time
from importlib import import_module
from importlib.metadata import version
from itertools import combinations
from typing import Any


def measured(seconds: float, size: int) -> dict[str, object]:
    """Batches one after the other until `seconds` are over: counts, times, and what the package says of its accuracy."""
    package: Any = import_module("sanction_simulator")
    sys.path.insert(0, package._PKG_DIR)  # as its README has it
    model: Any = import_module("power_trade_estimation")
    start = time.perf_counter()
    bench = model.Benchmark(package.data_dir(), cache=package.bench_cache())
    loaded = time.perf_counter() - start
    pairs = [model.bilateral_legs(one, other) for one, other in combinations(range(bench.C), 2)]
    done, miss, steps, spent, at_limit = 0, 0.0, 0, 0.0, 0
    for first in range(0, len(pairs), size):
        group = pairs[first : first + size]
        start = time.perf_counter()
        batch = model.ScenarioBatch(bench, group, model.TAU_BASE, model.DELTA_BASE)
        batch.balance()
        found = batch.solve(model.RHO_BASE)
        spent += time.perf_counter() - start
        done += len(group)
        miss = max(miss, float(found["resid_h"].max()))
        steps += int(found["iters"].sum())
        at_limit += int((found["iters"] >= model.FP_MAXIT).sum())
        if spent > seconds:
            break
    return {
        "version": version("sanction-simulator"), "countries": bench.C, "sectors": bench.S, "loaded": loaded,
        "done": done, "batch": size, "seconds": spent, "steps": steps / done, "miss": miss, "at_limit": at_limit,
        "margins": model.SINK_TOL, "fixed_point": model.FP_TOL,
    }  # fmt: skip


if __name__ == "__main__":
    if importlib.util.find_spec("sanction_simulator") is None:
        print(json.dumps({}))
    else:
        print(json.dumps(measured(float(sys.argv[1]), int(sys.argv[2]))))
