"""How long all derivatives take, beside one solve, and whether they are right: `python -m benchmarks.gradient`.

The embedded world, the shock of `benchmarks.solve`, and the derivative of Russia's real income with respect to every
trade cost: 80 × 80 × 50 = 320 000 of them, from one linear solve with the transposed Jacobian. The equilibrium and its
derivatives are timed in turn in the same run. Then some entries, drawn at random, are computed again by central
differences of whole solves.
"""

import argparse
import sys
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from benchmarks.solve import TARGET, TOLERANCE, engine_once, line, machine, situation, timed, verdict
from detente.adjoint import differentiable, gradient
from detente.economy import Economy
from detente.equilibrium import Equilibrium, solve
from detente.shock import Shock

RATIO = 3  # of the time of one solve, for all derivatives
DIGITS = 6  # of an entry, that central differences must confirm
FINE = 1e-13  # residual of the equilibria that differences are taken of
STEPS = (0.3, 0.15, 0.075)  # of θ log d̂, extrapolated to none: the error left is of the sixth order
LEAST = 1e-3  # of the largest derivative: smaller ones are lost in the rounding of differences


def log_income(target: int):
    """log Ŵ of one country, as an outcome to differentiate."""

    def value(found: dict[str, Any]) -> Array:
        return jnp.log(found["real_income_change"][target])

    return value


def timings(economy: Economy, shock: Shock, outcome, repeats: int) -> float:
    """Print the times; returns the ratio of all derivatives over one solve."""

    def derivatives(found: Equilibrium) -> Array:
        ready = differentiable(economy, shock, found, ("trade_cost",))
        slopes = gradient(ready, outcome)[1].log_cost
        assert slopes is not None
        return slopes

    found = engine_once(economy, shock)
    for _ in range(3):
        found = engine_once(economy, shock)
        slopes = derivatives(found)
    once, after, both = [], [], []
    for _ in range(repeats):  # in turn, so that a busy machine is as busy for each
        once.append(timed(lambda: engine_once(economy, shock))[0])
        after.append(timed(lambda: derivatives(found))[0])
        both.append(timed(lambda: derivatives(engine_once(economy, shock)))[0])
    warm, adjoint, whole = median(once), median(after), median(both)
    products = gradient(differentiable(economy, shock, found, ("trade_cost",)), outcome)[2]
    line(f"one warm solve, median of {repeats}", f"{1e3 * warm:.1f} ms", f"residual {TOLERANCE:.0e}")
    line(
        f"all {slopes.size:,} derivatives after it", f"{1e3 * adjoint:.1f} ms", f"{products} products with Gᵀ"
    )
    line("equilibrium and derivatives together", f"{1e3 * whole:.1f} ms")
    ratio = adjoint / warm
    line("derivatives over one solve", f"{ratio:.2f}", f"target ≤ {RATIO}: {verdict(ratio <= RATIO)}")
    line("together over one solve", f"{whole / warm:.2f}")
    return ratio


def difference(economy: Economy, shock: Shock, target: int, cell: tuple[int, int, int]) -> float:
    """∂ log Ŵ / ∂ log d̂ of a flow [importer, exporter, sector], by central differences of three steps (Richardson)."""
    theta = float(economy.trade_elasticity[cell[2]])

    def worth(step: float) -> float:
        cost = np.array(shock.trade_cost_change, float)
        cost[cell] *= np.exp(step)
        found = solve(economy, replace(shock, trade_cost_change=cost), tolerance=FINE)
        return float(np.log(found.real_income_change[target]))

    rows = [(worth(h / theta) - worth(-h / theta)) / (2 * h / theta) for h in STEPS]
    for order in range(1, len(STEPS)):
        power = 4**order
        rows = [(power * fine - rough) / (power - 1) for rough, fine in pairwise(rows)]
    return rows[0]


def entries(slopes: NDArray, count: int) -> list[tuple[int, int, int]]:
    """Cells [importer, exporter, sector] drawn at random among those between countries that are not negligible."""
    sizes = abs(slopes) * (1 - np.eye(len(slopes)))[:, :, None]
    cells = np.argwhere(sizes >= LEAST * sizes.max())
    chosen = np.random.default_rng(0).choice(len(cells), min(count, len(cells)), replace=False)
    return [(int(n), int(i), int(j)) for n, i, j in cells[chosen]]


def agreement(economy: Economy, shock: Shock, outcome, count: int) -> None:
    """Print how well some entries agree with central differences."""
    target = economy.countries.index(TARGET)
    found = solve(economy, shock, tolerance=FINE)
    _, levers, _ = gradient(differentiable(economy, shock, found, ("trade_cost",)), outcome)
    assert levers.log_cost is not None
    slopes = np.asarray(levers.log_cost).transpose(1, 2, 0)
    cells = entries(slopes, count)
    print(
        f"\n{len(cells)} entries at random among those of at least {LEAST:g} of the largest, against central differences\n"
        f"with steps of {', '.join(map(str, STEPS))} in θ log d̂, extrapolated; equilibria to {FINE:.0e}"
    )
    known = np.array([slopes[cell] for cell in cells])
    checks = np.array([difference(economy, shock, target, cell) for cell in cells])
    gaps = abs(known - checks) / abs(checks)
    line("sizes of the entries", f"{abs(known).min():.1e}–{abs(known).max():.1e}", "log income for log cost")
    line("median difference, of each entry itself", f"{median(gaps):.1e}")
    wanted = 0.5 * 10.0**-DIGITS
    line(
        "largest difference", f"{gaps.max():.1e}", f"target {DIGITS} digits: {verdict(gaps.max() <= wanted)}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run and print everything; returns the exit code, 0 whether or not targets are met."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gradient", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--repeats", type=int, default=30, help="times each is timed (default 30)")
    parser.add_argument("--entries", type=int, default=50, help="entries checked (default 50)")
    options = parser.parse_args(arguments)
    machine()
    economy, shock = situation()
    print(
        f"{len(economy.countries)} countries × {len(economy.sectors)} sectors; derivative of log real income of {TARGET} "
        "with respect to every log trade cost\n"
    )
    outcome = log_income(economy.countries.index(TARGET))
    timings(economy, shock, outcome, max(5, options.repeats))
    agreement(economy, shock, outcome, options.entries)
    return 0


if __name__ == "__main__":
    sys.exit(main())
