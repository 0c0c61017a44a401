"""How long transition paths take: `python -m benchmarks.paths`.

First `us-relief` and `all-lift` on the embedded world, 2022 to 2035, each beside the path it is compared with, with
capital, foreign owners and lost customers: the first call, with what must be compiled, and a second one. Then drawn
paths, as `detente path us-relief --draws n` follows them: trade elasticities, sizes of measures, figures on capital and
owners and how long lost positions last are drawn anew for each. A draw is two paths, the scenario's and that of the
situation compared with, and --paths counts these. They are followed in groups, so that memory does not grow with
their number.
"""

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

from detente import fan
from detente.calibration import calibrate
from detente.transition import simulate_path
from detente.world import World

YEARS = range(2022, 2036)
SCENARIO, TARGET = "us-relief", "RUS"
MINUTES = 5  # that a thousand paths may take


class Clock:
    """Seconds spent in a function."""

    def __init__(self, function: Callable[..., Any]):
        self.function, self.seconds = function, 0.0

    def __call__(self, *args: Any, **named: Any) -> Any:
        """The function's result."""
        start = time.perf_counter()
        found = self.function(*args, **named)
        self.seconds += time.perf_counter() - start
        return found


def main() -> None:
    """Print the measurements."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--paths", type=int, default=1000, help="how many drawn paths, two a draw")
    asked.add_argument("--group", type=int, default=fan.GROUP, help="how many draws side by side")
    given = asked.parse_args()
    economy = calibrate(World.load())
    for name in ("us-relief", "all-lift"):
        for word in ("first", "again"):
            start = time.perf_counter()
            simulate_path(economy, name, years=YEARS)
            print(f"{name}, {len(YEARS)} years, {word}: {time.perf_counter() - start:.1f} s", flush=True)
    drawn(economy, given.paths, given.group)


def drawn(economy: Any, paths: int, group: int) -> None:
    """Follow so many drawn paths, and print what they took."""
    fan.simulate_paths(economy, SCENARIO, draws=group + 1, years=YEARS, group=group)  # compiles
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    fan.follow = solving = Clock(fan.follow)
    fan._prepared = preparing = Clock(fan._prepared)
    fan.simulate_path = middle = Clock(fan.simulate_path)
    start, busy = time.perf_counter(), time.process_time()
    found = fan.simulate_paths(economy, SCENARIO, draws=paths // 2, years=YEARS, group=group)
    took = time.perf_counter() - start - middle.seconds
    busy = time.process_time() - busy
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    each = took / (2 * len(found))
    print(
        f"{2 * len(found)} drawn paths ({len(found)} draws, {len(found.draws.names)} parameters), {group} draws a group: "
        f"{took:.0f} s, {each:.3f} s a path"
    )
    print(
        f"with the central paths {busy / (2 * len(found)):.3f} s of a processor a path; these alone {middle.seconds:.1f} s"
    )
    work = solving.seconds + preparing.seconds
    print(
        f"preparing {preparing.seconds:.0f} s in one thread, solving {solving.seconds:.0f} s in {fan.WORKERS}: "
        f"{preparing.seconds / work:.0%} and {solving.seconds / work:.0%} of the work"
    )
    print(f"peak memory {memory:.1f} GB, {begun:.1f} GB of it after the first {group + 1} draws")
    print(f"{len(found.failed)} draws without a solution; largest residual {found.residual:.0e}")
    ends = found.bands(TARGET, levels=(5, 50, 95))[:, -1]
    print(f"{TARGET} in {YEARS[-1]}: median {ends[1]:+.2f} %, 5 to 95 %: {ends[0]:+.2f} to {ends[2]:+.2f} %")
    verdict = "within" if 1000 * each <= 60 * MINUTES else "MORE THAN"
    print(
        f"1000 paths at this pace: {1000 * each:.0f} s, {verdict} {MINUTES} minutes; 1000 draws {2000 * each:.0f} s"
    )


if __name__ == "__main__":
    main()
