"""How long one solve takes, beside two NumPy solvers of the same equations: `python -m benchmarks.solve`.

The embedded world, icebergs × 1.5 in both directions between Russia and 33 sanctioning countries, every
equilibrium condition to a relative residual of 1e-10. All three solvers get the same arrays and stop on
the same rule in the same run. détente's time is that of the public call, with the shock's arrays checked
and its weights computed; the references get ready weights. Compile times and peak memory come from fresh
processes with a compilation cache of their own. Last come other behaviours: nested CES, factors stuck in their sectors,
both, on an embargo and on relief by one sender, as ratios to Cobb–Douglas and one wage on the same shock.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from statistics import median
from typing import Any

import jax
import numpy as np

from benchmarks import references
from detente.calibration import calibrate
from detente.economy import Economy
from detente.equilibrium import Equilibrium, solve
from detente.labels import resolve_countries
from detente.nests import Substitution
from detente.search import baseline_preconditioner
from detente.shock import Shock
from detente.world import World

COST = 1.5
TOLERANCE = 1e-10
TARGET, SENDERS = "RUS", "west-33"
BEHAVIOUR_RATIO = 3
WARM_SECONDS, DENSE_RATIO, LOOPS_RATIO, DIFFERENCE = 0.040, 300, 20, 1e-8


def situation() -> tuple[Economy, Shock]:
    """The economy and the shock that are timed."""
    economy = calibrate(World.load())
    return economy, Shock(trade_cost_change=cost_change(economy))


def cost_change(economy: Economy) -> np.ndarray:
    """d̂ [importer, exporter, sector]: `COST` between the target and each sender, both ways."""
    cost = np.ones(economy.trade_share.shape)
    target = economy.countries.index(TARGET)
    senders = [economy.countries.index(code) for code in resolve_countries(SENDERS, economy.countries)]
    cost[target, senders] = cost[senders, target] = COST
    return cost


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result of one call, with JAX's arrays waited for."""
    start = time.perf_counter()
    result = jax.block_until_ready(call())
    return time.perf_counter() - start, result


def engine_once(economy: Economy, shock: Shock) -> Equilibrium:
    """One solve by the public function."""
    return solve(economy, shock, tolerance=TOLERANCE)


def child() -> None:
    """In a fresh process: first and second call of set-up and solve, peak memory, as one JSON object."""
    economy, shock = situation()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    setup_first, _ = timed(lambda: baseline_preconditioner(economy))
    solve_first, _ = timed(lambda: engine_once(economy, shock))
    solve_second, _ = timed(lambda: engine_once(economy, shock))
    other = replace(economy, trade_elasticity=economy.trade_elasticity * (1 + 1e-12))  # not one kept on disk
    setup_second, _ = timed(lambda: baseline_preconditioner(other))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "setup_first": setup_first,
                "setup": setup_second,
                "compile": setup_first - setup_second + solve_first - solve_second,
                "peak_mib": peak / 1024,
                "before_mib": before / 1024,
            }
        )
    )


def fresh_process(cache: str) -> dict[str, float]:
    """What `child` measures with the compilation cache in `cache`."""
    command = [sys.executable, "-m", "benchmarks.solve", "--child"]
    environment = os.environ | {"DETENTE_CACHE": cache}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout.splitlines()[-1])


def verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def line(label: str, value: str, note: str = "") -> None:
    print(f"  {label:<44}{value:>14}  {note}".rstrip(), flush=True)


def machine() -> None:
    """Facts about the machine and the versions that make the numbers."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    names = ("jax", "jaxlib", "equinox", "numpy")
    versions = ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in names)]
    )
    print(f"{cores} cores of {platform.machine()}, {platform.system()}; {versions}")


def engine(economy: Economy, shock: Shock, repeats: int) -> tuple[float, Equilibrium]:
    """Print détente's figures; returns the median warm time and the answer."""
    print("\ndétente")
    with tempfile.TemporaryDirectory() as cache:
        cold, cached = fresh_process(cache), fresh_process(cache)
    uncached = fresh_process("off")  # else the factorisation would be read from disk
    line(
        "compilation, first time on a machine",
        f"{cold['compile']:.2f} s",
        "first call less second, empty cache",
    )
    line("compilation, later processes", f"{cached['compile']:.2f} s", "same, cache on disk")
    line(
        "set-up of a world (baseline factorisation)",
        f"{1e3 * uncached['setup']:.0f} ms",
        "once for each economy, then kept on disk; here without",
    )
    line(
        "peak memory of the process",
        f"{cold['peak_mib']:.0f} MiB",
        f"{cold['before_mib']:.0f} MiB of it before the first solve",
    )
    for _ in range(3):
        engine_once(economy, shock)
    runs = [timed(lambda: engine_once(economy, shock)) for _ in range(repeats)]
    seconds = [run[0] for run in runs]
    found = runs[-1][1]
    warm = median(seconds)
    target = f"target ≤ {1e3 * WARM_SECONDS:.0f} ms: {verdict(warm <= WARM_SECONDS)}"
    line(f"one warm solve, median of {repeats}", f"{1e3 * warm:.1f} ms", target)
    line("  fastest and slowest", f"{1e3 * min(seconds):.1f}–{1e3 * max(seconds):.1f} ms")
    line("  sweeps / outer steps", f"{found.sweeps} / {found.steps}")
    line("  residual", f"{found.residual:.1e}", f"asked {TOLERANCE:.0e}")
    return warm, found


def reference(
    label: str, warm: float, wanted: int | None, repeats: int, call: Callable[[], references.Answer]
) -> references.Answer:
    """Print one reference's figures and its ratio to `warm`; returns its answer."""
    print(f"\n{label}")
    runs = [timed(call) for _ in range(repeats)]
    seconds, answer = median(run[0] for run in runs), runs[-1][1]
    line(f"one solve, median of {repeats}" if repeats > 1 else "one solve", f"{seconds:.3f} s")
    line("wage steps / price and spending passes", f"{answer.iterations} / {answer.sweeps}")
    line("residual", f"{answer.residual:.1e}", "" if answer.converged else "NOT CONVERGED")
    line("damping at the end", f"{answer.damping:.2f}", "adapted to the largest stable value")
    ratio = seconds / warm
    note = "" if wanted is None else f"target ≥ {wanted}: {verdict(ratio >= wanted)}"
    line("time of this over détente's", f"{ratio:.1f}", note)
    return answer


def ticker() -> references.Progress:
    """Progress of a long reference solve on stderr."""
    start = time.perf_counter()

    def report(step: int, excess: float) -> None:
        seconds = time.perf_counter() - start
        print(
            f"\r    step {step}, excess demand {excess:.1e}, {seconds:.0f} s ",
            end="",
            file=sys.stderr,
            flush=True,
        )

    return report


def behaviours(economy: Economy, repeats: int) -> None:
    """Print warm solves of other behaviours over the plain one's, on an embargo and on relief by one sender."""
    target, sender = economy.countries.index(TARGET), economy.countries.index("USA")
    relief = np.ones(economy.trade_share.shape)
    relief[target, sender] = relief[sender, target] = 5.0
    shocks = {
        "embargo, costs × 30": Shock(trade_cost_change=np.where(cost_change(economy) > 1, 30.0, 1.0)),
        "relief by USA, flows × 5": Shock(weight_change=relief),
    }
    energy = tuple(economy.sectors.index(good) for good in ("B05", "B06", "C19"))
    nests = Substitution.of(value_added=0.5, inputs=0.2, energy=0.1, consumption=0.9, energy_goods=energy)
    settings = {
        "Cobb–Douglas, one wage": economy,
        "nested": economy.with_behaviour(substitution=nests),
        "μ = 1": economy.with_behaviour(factor_mobility=1.0),
        "both": economy.with_behaviour(substitution=nests, factor_mobility=1.0),
    }
    print(f"\nother behaviours, one warm solve, median of {repeats} in turn, over Cobb–Douglas and one wage")
    cases = {(name, what): (settings[name], shocks[what]) for name in settings for what in shocks}
    runs = {case: [] for case in cases}
    for turn in range(
        repeats + 1
    ):  # in turn, so that a slow minute of the machine falls on all; the first compiles
        for case, (world, shock) in cases.items():
            run = timed(lambda at=world, by=shock: engine_once(at, by))
            if turn:
                runs[case].append(run)
    plain = next(iter(settings))
    for (name, what), found in runs.items():
        seconds, base = (median(run[0] for run in runs[key, what]) for key in (name, plain))
        ratio, last = seconds / base, found[-1][1]
        note = f"{ratio:.1f}, target ≤ {BEHAVIOUR_RATIO}: {verdict(ratio <= BEHAVIOUR_RATIO)}"
        least = min(run[0] for run in found) / min(run[0] for run in runs[plain, what])
        note += f"; fastest {least:.1f}; {last.steps} steps, {last.sweeps} sweeps"
        line(f"{name}: {what}", f"{1e3 * seconds:.1f} ms", note)


def compare(found: Equilibrium, answers: dict[str, references.Answer]) -> None:
    """Print the largest absolute differences of real-income changes between all answers."""
    print("\nworst difference of real-income changes (ratios), any country")
    values = {"détente": np.asarray(found.real_income_change)}
    values |= {name: answer.real_income_change for name, answer in answers.items()}
    names = list(values)
    worst = 0.0
    for k, one in enumerate(names):
        for other in names[k + 1 :]:
            difference = float(np.abs(values[one] - values[other]).max())
            worst = max(worst, difference)
            line(f"{one} and {other}", f"{difference:.1e}")
    line("worst of all", f"{worst:.1e}", f"target ≤ {DIFFERENCE:.0e}: {verdict(worst <= DIFFERENCE)}")


def main(arguments: list[str] | None = None) -> int:
    """Run and print everything; returns the exit code, 0 whether or not targets are met."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.solve", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--skip-dense", action="store_true", help="leave out reference (a), which takes a minute"
    )
    parser.add_argument("--repeats", type=int, default=30, help="warm solves timed, at least 20 (default 30)")
    parser.add_argument("--behaviours", action="store_true", help="time the other behaviours only")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        child()
        return 0
    machine()
    economy, shock = situation()
    if options.behaviours:
        behaviours(economy, 25)
        return 0
    count = len(resolve_countries(SENDERS, economy.countries))
    print(
        f"{len(economy.countries)} countries × {len(economy.sectors)} sectors; costs × {COST} both ways "
        f"between {TARGET} and {count} countries; residual {TOLERANCE:.0e}"
    )
    warm, found = engine(economy, shock, max(20, options.repeats))
    baseline = references.Baseline.of(economy)
    baseline.set_up()  # kept out of the references' times
    weight = cost_change(economy) ** -baseline.trade_elasticity
    answers = {}
    if not options.skip_dense:
        answers["(a)"] = reference(
            "(a) Caliendo and Parro's algorithm: price loop, dense linear solve for spending, damped wages",
            warm,
            DENSE_RATIO,
            1,
            lambda: references.solve_dense(baseline, weight, tolerance=TOLERANCE, report=ticker()),
        )
    answers["(b)"] = reference(
        "(b) plain fixed point: price loop and spending loop to convergence at each damped wage step",
        warm,
        LOOPS_RATIO,
        5,
        lambda: references.solve_loops(baseline, weight, tolerance=TOLERANCE),
    )
    answers["(b′)"] = reference(
        "(b′) the same, with inner loops no tighter than the excess demand asks: the fastest NumPy we wrote",
        warm,
        None,
        5,
        lambda: references.solve_loops(baseline, weight, tolerance=TOLERANCE, slack=True),
    )
    compare(found, answers)
    behaviours(economy, 25)
    return 0


if __name__ == "__main__":
    sys.exit(main())
