"""The search for an equilibrium: the equations given to the solver, and what to try when the first attempt fails.

First chord steps with the Jacobian of the baseline, factored once for each economy; then Newton steps; then Newton steps
along a path of partial shocks; last, the whole shock with deficits that grow from zero, which also tells an economy that
cannot carry its external balances from a search that failed.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from detente import baseline, equations
from detente.economy import Economy
from detente.equations import Situation, Unknowns
from detente.errors import InfeasibleError
from detente.shock import Shock
from detente.situation import situation
from detente.solver import Gap, Preconditioner, linear_response, newton
from detente.solver import solve as drive

SMALLEST_PART = 0.02  # of the deficits, by which they grow in the last attempt
ON_THE_WAY = (
    1e-6  # the residual that tells a solution from none, and that is enough before the last stop of a path
)
PATH_STEPS = (0.5, 0.8, 0.95, 1.0)  # the share of the shock imposed at each stop when one leap fails

Point = tuple[Array, Array, Array]  # log ŵ, log P̂, X'


class Found(NamedTuple):
    """Where a search ended: the point, its residual over all conditions, outer steps and sweeps so far."""

    point: Point
    residual: float
    steps: int
    sweeps: int


class CaliendoParro(eqx.Module):
    """The equations as a block-triangular system: wages outside; prices, then spending, inside."""

    situation: Situation
    component: Array  # [country, country], 1 where two countries are linked by trade
    component_income: Array  # [country], baseline factor income of the country's component

    def first_gap(self, outer: Array) -> Gap:
        """Price gap at given wages."""
        return lambda log_price: equations.price_gap(log_price, outer, self.situation)

    def second_gap(self, first: Array, outer: Array) -> Gap:
        """Spending gap at given wages and prices."""
        at = equations.market(outer, first, self.situation)
        return lambda spending: equations.spending_gap(spending, at, self.situation)

    def outer_gap(self, outer: Array, first: Array, second: Array) -> Array:
        """Excess demand for factors."""
        at = equations.market(outer, first, self.situation)
        sold = equations.flows(second, at, self.situation).output
        return equations.factor_market_gap(sold, outer, self.situation)

    def normalise(self, outer: Array) -> Array:
        """Numéraire: factor income of the world (of each closed group of countries) stays at its baseline."""
        earned = self.component @ (jnp.exp(outer) * self.situation.value_added)
        return outer - jnp.log(earned / self.component_income)


def search(economy: Economy, at: Situation, label: NDArray, tolerance: float, max_steps: int) -> "Found":
    """Chord steps with the baseline's Jacobian; then Newton steps; then Newton steps along a path of partial shocks."""
    system, start = _system(at, label), _start(economy)
    state = drive(system, start, baseline_preconditioner(economy), tolerance, max_steps=max_steps)
    steps, sweeps = int(state.steps), int(state.sweeps)
    found = _measured(system, (state.outer, state.first, state.second), steps, sweeps)
    if found.residual <= tolerance:
        return found
    reached = found.point if found.residual < 1.0 else start
    best = _newton(system, reached, tolerance, found)
    if best.residual <= tolerance:
        return best
    point, base = start, situation(economy, Shock())
    for share in PATH_STEPS:
        part = (
            system
            if share == 1.0
            else eqx.tree_at(lambda s: s.situation, system, _between(base, system.situation, share))
        )
        best = _newton(part, point, tolerance if share == 1.0 else max(tolerance, ON_THE_WAY), best)
        if np.isfinite(best.residual):
            point = best.point
    if not best.residual <= max(tolerance, ON_THE_WAY) and np.asarray(economy.deficit).any():
        best = _with_growing_deficits(economy, system, start, tolerance, best)
    return best


def _with_growing_deficits(
    economy: Economy, system: CaliendoParro, start: Point, tolerance: float, so_far: "Found"
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
        burden = np.asarray(whole.deficit) / np.asarray(whole.value_added) / np.exp(np.asarray(point[0]))
        tightest = int(np.argmin(burden))
        raise InfeasibleError(
            f"Under the closure '{economy.closure}' this shock and the baseline's external balances contradict each other: "
            f"equilibria were found with up to {100 * carried:.0f} % of the balances, none with all of them. Tightest is "
            f"{economy.countries[tightest]}, whose surplus would be {-100 * burden[tightest]:.0f} % of its factor income. "
            "Use deficits='balanced', or leave more trade open."
        )
    return _newton(system, point, tolerance, best)


def _newton(system: CaliendoParro, start: Point, tolerance: float, so_far: "Found") -> "Found":
    try:
        point, steps, sweeps = newton(system, start, lambda at: _preconditioner(system, *at), tolerance)
    except (
        np.linalg.LinAlgError
    ):  # no direction to go from here: the caller sees a residual that is not small
        point, steps, sweeps = start, 0, 0
    return _measured(system, point, so_far.steps + steps, so_far.sweeps + sweeps)


def _measured(system: CaliendoParro, point: Point, steps: int, sweeps: int) -> "Found":
    return Found(point, float(_residual(Unknowns(*point), system.situation)), steps, sweeps)


def _between(base: Situation, whole: Situation, share: float) -> Situation:
    """A situation with `share` of the way from baseline weights to the shock's."""

    def mix(start: Array | None, end: Array | None) -> Array | None:
        if end is None:
            return None
        return (0.0 if start is None else (1 - share) * start) + share * end

    return eqx.tree_at(
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


@jax.jit
def _residual(unknowns: Unknowns, at: Situation) -> Array:
    gaps = equations.residual(unknowns, at)
    return jnp.max(jnp.stack([jnp.max(jnp.abs(gap)) for gap in gaps]))


def _system(at: Situation, label: NDArray) -> CaliendoParro:
    same = jnp.asarray((label[:, None] == label[None, :]).astype(float))
    return CaliendoParro(at, same, same @ at.value_added)


def _start(economy: Economy) -> Point:
    shape = economy.spending.shape
    return jnp.zeros(shape[0]), jnp.zeros(shape), economy.spending


def baseline_preconditioner(economy: Economy) -> Preconditioner:
    """The linear response at the economy's baseline, kept as long as the economy lives and on disk for the next process."""
    found = baseline.kept(economy)
    if found is None:
        system = _system(situation(economy, Shock()), np.zeros(len(economy.countries), int))
        found = _preconditioner(system, *_start(economy))
        baseline.keep(economy, found)
    return found


def _preconditioner(
    system: CaliendoParro, log_wage: Array, log_price: Array, spending: Array
) -> Preconditioner:
    """Domestic input–output loops solved exactly: inverses of I − π'_nn γ_n (prices) and I − γ_n π'_nn (spending)."""
    at = system.situation
    domestic, earned = (np.asarray(part) for part in _domestic_share(at, log_wage, log_price))
    inputs = np.asarray(at.input_share)
    eye = np.eye(inputs.shape[1])
    prices = np.linalg.inv(eye - domestic[:, :, None] * inputs.transpose(0, 2, 1))
    sales = np.linalg.inv(eye - inputs * domestic[:, None, :])
    linked = np.asarray(system.component)
    pin = linked * earned / (linked @ earned)[:, None]
    point = (log_wage, log_price, spending)
    return linear_response(system, point, jnp.asarray(prices), jnp.asarray(sales), pin)


@jax.jit
def _domestic_share(at: Situation, log_wage: Array, log_price: Array) -> tuple[Array, Array]:
    """π'_nn [country, sector] and factor income [country]."""
    where = equations.market(log_wage, log_price, at)
    domestic = jnp.einsum("jnn,jn,jn->nj", at.trade_weight, where.competitive, where.inverse_access)
    return domestic, where.factor_income
