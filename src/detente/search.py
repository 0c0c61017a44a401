"""The search for an equilibrium: the equations given to the solver, and what to try when the first attempt fails.

First chord steps with the Jacobian of the baseline, factored once for each economy; then Newton steps; then Newton steps
along a path of partial shocks; last, the whole shock with deficits that grow from zero, which also tells an economy that
cannot carry its external balances from a search that failed.
"""

from typing import NamedTuple

import equinox as eqx
import numpy as np
from jax import Array
from numpy.typing import NDArray

from detente import baseline
from detente.economy import Economy
from detente.errors import InfeasibleError
from detente.response import Preconditioner
from detente.shock import Shock
from detente.situation import situation
from detente.solver import newton
from detente.solver import solve as drive
from detente.system import Point, TradeSystem, preconditioner, residual, start, system
from detente.terms import Situation
from detente.together import solve_together

SMALLEST_PART = 0.02  # of the deficits, by which they grow in the last attempt
ON_THE_WAY = (
    1e-6  # the residual that tells a solution from none, and that is enough before the last stop of a path
)
ROUNDS, ROUND_STEPS = 6, 40  # of chord steps between two Jacobians that are known in part
PATH_STEPS = (0.5, 0.8, 0.95, 1.0)  # the share of the shock imposed at each stop when one leap fails


class Found(NamedTuple):
    """Where a search ended: the point, its residual over all conditions, outer steps and sweeps so far."""

    point: Point
    residual: float
    steps: int
    sweeps: int


def search(
    economy: Economy,
    at: Situation,
    label: NDArray,
    tolerance: float,
    max_steps: int,
    begin: Point | None = None,
) -> "Found":
    """Chord steps with the baseline's Jacobian; then Newton steps; then Newton steps along a path of partial shocks.

    begin: where to start; left out, at the baseline.
    """
    whole = system(at, label)
    if begin is not None:
        found = _chord(
            whole, begin, baseline_preconditioner(economy), tolerance, max_steps, Found(begin, np.inf, 0, 0)
        )
        if found.residual <= tolerance:
            return found
    begin = start(economy, at)
    made = baseline_preconditioner(economy)
    found = _chord(whole, begin, made, tolerance, max_steps, Found(begin, np.inf, 0, 0))
    if found.residual <= tolerance:
        return found
    reached = found.point if found.residual < 1.0 else begin
    best = _newton(whole, reached, tolerance, found)
    if best.residual <= tolerance:
        return best
    point, base = begin, situation(economy, Shock())
    for share in PATH_STEPS:
        part = (
            whole
            if share == 1.0
            else eqx.tree_at(lambda s: s.situation, whole, _between(base, whole.situation, share))
        )
        best = _newton(part, point, tolerance if share == 1.0 else max(tolerance, ON_THE_WAY), best)
        if np.isfinite(best.residual):
            point = best.point
    if not best.residual <= max(tolerance, ON_THE_WAY) and np.asarray(economy.deficit).any():
        best = _with_growing_deficits(economy, whole, begin, tolerance, best)
    return best


def _with_growing_deficits(
    economy: Economy, system: TradeSystem, start: Point, tolerance: float, so_far: "Found"
) -> "Found":
    """The shock with deficits growing from zero to their size; raises `InfeasibleError` where they can't be carried."""
    whole, point, best = system.situation, start, so_far
    carried, step, share = -1.0, 0.5, 0.0
    while carried < 1 and step > SMALLEST_PART:
        part = eqx.tree_at(lambda s: s.situation.deficit, system, share * whole.deficit)
        goal = max(tolerance, ON_THE_WAY)
        best = _newton(part, point, goal, best)
        if best.residual <= goal:
            point, carried = best.point, share
        elif carried < 0:
            return best  # without any deficits there is nothing to blame on them
        else:
            step *= 0.5
        share = min(1.0, carried + step)
    if 0 <= carried < 1:
        wage = np.exp(np.asarray(point[0])[: len(whole.deficit)])
        burden = np.asarray(whole.deficit) / np.asarray(whole.value_added) / wage
        tightest = int(np.argmin(burden))
        raise InfeasibleError(
            f"Under the closure '{economy.closure}' this shock and the baseline's external balances contradict each other: "
            f"equilibria were found with up to {100 * carried:.0f} % of the balances, none with all of them. Tightest is "
            f"{economy.countries[tightest]}, whose surplus would be {-100 * burden[tightest]:.0f} % of its factor income. "
            "Use deficits='balanced', or leave more trade open."
        )
    return _newton(system, point, tolerance, best)


def _chord(
    of: TradeSystem, begin: Point, made: Preconditioner, tolerance: float, max_steps: int, so_far: "Found"
) -> "Found":
    """Chord steps with one Jacobian; where it has a tail, of all unknowns together, and level by level if that fails."""
    steps, sweeps = so_far.steps, so_far.sweeps
    if made.tail is not None:
        quick = solve_together(of, begin, made, tolerance, max_steps=max_steps)
        steps, sweeps = steps + int(quick.steps), sweeps + int(quick.sweeps)
        if quick.gap <= tolerance:
            return Found(quick.point, float(quick.gap), steps, sweeps)
    state = drive(of, begin, made, tolerance, max_steps=max_steps)
    point = state.outer, state.first, state.second
    return _measured(of, point, steps + int(state.steps), sweeps + int(state.sweeps))


def _newton(of: TradeSystem, begin: Point, tolerance: float, so_far: "Found") -> "Found":
    """Newton steps; where the Jacobian is known in part only, chord steps with it made again where the last ones ended."""
    try:
        made = preconditioner(of, begin)
        if made.tail is not None:
            return _chords(of, begin, made, tolerance, so_far)
        point, steps, sweeps = newton(of, begin, lambda at: preconditioner(of, at), tolerance)
    except (
        np.linalg.LinAlgError
    ):  # no direction to go from here: the caller sees a residual that is not small
        point, steps, sweeps = begin, 0, 0
    return _measured(of, point, so_far.steps + steps, so_far.sweeps + sweeps)


def _chords(
    of: TradeSystem, begin: Point, made: Preconditioner, tolerance: float, so_far: "Found"
) -> "Found":
    found = _measured(of, begin, so_far.steps, so_far.sweeps)
    for _ in range(ROUNDS):
        last = found
        found = _chord(of, last.point, made, tolerance, ROUND_STEPS, last)
        if found.residual <= tolerance or not found.residual < 0.5 * last.residual:
            break
        made = preconditioner(of, found.point)
    return found if found.residual < last.residual else last._replace(steps=found.steps, sweeps=found.sweeps)


def _measured(of: TradeSystem, point: Point, steps: int, sweeps: int) -> "Found":
    return Found(point, float(residual(point, of)), steps, sweeps)


def _between(base: Situation, whole: Situation, share: float) -> Situation:
    """A situation with `share` of the way from baseline weights to the shock's."""

    def mix(start: Array | None, end: Array | None) -> Array | None:
        if end is None:
            return None
        return (0.0 if start is None else (1 - share) * start) + share * end

    def partial(weight: Array) -> Array:
        return share * weight  # of a baseline without re-exports or rents

    mixed = eqx.tree_at(
        lambda s: (s.trade_weight, s.sales_weight, s.tariff_weight, s.export_tax_weight),
        whole,
        (
            mix(base.trade_weight, whole.trade_weight),
            mix(
                base.sales_weight if base.sales_weight is not None else base.trade_weight, whole.sales_weight
            ),
            mix(base.tariff_weight, whole.tariff_weight),
            mix(base.export_tax_weight, whole.export_tax_weight),
        ),
        is_leaf=lambda leaf: leaf is None,
    )
    if mixed.transit is not None:
        mixed = eqx.tree_at(lambda s: s.transit.weight, mixed, replace_fn=partial)
    return mixed if mixed.rents is None else eqx.tree_at(lambda s: s.rents.weight, mixed, replace_fn=partial)


def baseline_preconditioner(economy: Economy) -> Preconditioner:
    """The linear response at the economy's baseline, kept as long as the economy lives and on disk for the next process."""
    found = baseline.kept(economy)
    if found is None:
        at = situation(economy, Shock())
        found = preconditioner(system(at, np.zeros(len(economy.countries), int)), start(economy, at))
        baseline.keep(economy, found)
    return found
