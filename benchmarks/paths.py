"""How long transition paths take: `python -m benchmarks.paths`.

First `us-relief` and `all-lift` on the embedded world, 2022 to 2035, each beside the path it is compared with, with
capital, foreign owners and lost customers: the first call, with what must be compiled, and a second one. Then drawn
paths: where in their range the sizes of measures lie, and how long lost positions last, drawn anew for each; followed in
groups, so that memory does not grow with their number.
"""

import argparse
import resource
import time
from dataclasses import replace

import numpy as np

from detente.calibration import calibrate
from detente.course import Maker, Settings
from detente.dynamics import follow
from detente.economy import Economy
from detente.scenario import Scenario
from detente.schedule import Calendar
from detente.transition import simulate_path
from detente.world import World

YEARS = range(2022, 2036)
TARGET = "RUS"


def drawn(economy: Economy, count: int, group: int) -> np.ndarray:
    """Real income of the target in the last year, a ratio to the baseline [path]."""
    draw, found = np.random.default_rng(0), []
    for start in range(0, count, group):
        paths, maker = [], Maker(economy, TARGET, Settings())
        for _ in range(start, min(start + group, count)):
            scenario = replace(Scenario.load("status-quo-2025"), cuts=float(draw.uniform()))
            maker.settings = replace(maker.settings, hysteresis=float(draw.uniform(0.5, 0.9)))
            paths.append(maker.years(Calendar(economy, TARGET).moments(scenario, YEARS))[0])
        solved = follow(maker.economy, paths, maker.growth, apart=(maker.target,))
        assert solved.converged.all(), solved.message
        found.append(solved.values["real_income_change"][-1, maker.target])
    return np.concatenate(found)


def main() -> None:
    """Print the measurements."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--draws", type=int, default=1000, help="how many drawn paths")
    asked.add_argument("--group", type=int, default=16, help="how many side by side")
    given = asked.parse_args()
    economy = calibrate(World.load())
    for name in ("us-relief", "all-lift"):
        for word in ("first", "again"):
            start = time.perf_counter()
            simulate_path(economy, name, years=YEARS)
            print(f"{name}, {len(YEARS)} years, {word}: {time.perf_counter() - start:.1f} s", flush=True)
    start = time.perf_counter()
    income = drawn(economy, given.draws, given.group)
    took = time.perf_counter() - start
    low, high = np.percentile(100 * (income - 1), [5, 95])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{given.draws} drawn paths in groups of {given.group}: {took:.0f} s, {took / given.draws:.2f} s a path"
    )
    print(
        f"{TARGET} in {YEARS[-1]}: 90 % of draws from {low:.2f} to {high:.2f} %; peak memory {memory:.1f} GB"
    )


if __name__ == "__main__":
    main()
