"""From an economy and a shock to an equilibrium: feasibility first, then the solver, then a verdict."""

import dataclasses
import enum
import weakref
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from detente import equations
from detente.economy import Economy
from detente.equations import Situation, Unknowns
from detente.errors import ConvergenceError, InfeasibleError
from detente.feasibility import components, refuse_stranded
from detente.shock import Labels, Shock
from detente.solver import Gap, Preconditioner, linear_response, newton
from detente.solver import solve as drive

TOLERANCE = 1e-10  # relative residual; rounding in 80 × 50 sums is near 1e-14
PATH_STEPS = (0.5, 0.8, 0.95, 1.0)  # the share of the shock imposed at each stop when one leap fails


Point = tuple[Array, Array, Array]  # log ŵ, log P̂, X'


class Result(enum.IntEnum):
    """How a solve ended, with advice. Zero is success; everything else is a failure of the solve."""

    SOLVED = 0
    NOT_CONVERGED = 1
    NOT_FINITE = 2

    @property
    def message(self) -> str:
        """What happened and what to try next."""
        return _MESSAGES[self]


_MESSAGES = {
    Result.SOLVED: "All equilibrium conditions hold to the tolerance.",
    Result.NOT_CONVERGED: (
        "The solver stopped before the equilibrium conditions held. Try a larger `tolerance` (1e-8 is ample for "
        "reporting), more `max_steps`, another deficit closure, or impose the shock in parts to see which measure is the "
        "difficult one."
    ),
    Result.NOT_FINITE: (
        "The search left the domain where prices and incomes are finite: under this closure some country's income may "
        "vanish. Try deficits='balanced' or 'share-of-own', or a smaller shock."
    ),
}


class Equilibrium(eqx.Module):
    """A solved situation. Hats are ratios to the economy's baseline; levels are in units of world factor income.

    wage_change, consumer_price_change, real_income_change, income, deficit, tariff_revenue, export_tax_revenue [country];
    price_change (importer's price index), cost_change, output, spending [country, sector].
    result, residual (largest relative gap over all conditions), steps (outer), sweeps (passes over the trade matrix).
    """

    wage_change: Array
    price_change: Array
    cost_change: Array
    output: Array
    spending: Array
    income: Array
    deficit: Array
    tariff_revenue: Array
    export_tax_revenue: Array
    consumer_price_change: Array
    real_income_change: Array
    situation: Situation
    result: Result = eqx.field(static=True)
    residual: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    sweeps: int = eqx.field(static=True)

    @property
    def converged(self) -> bool:
        """Whether every equilibrium condition holds to the tolerance asked for."""
        return self.result is Result.SOLVED

    def trade_share(self) -> NDArray:
        """π'_nij = π_nij κ̂^(−θ) ĉ_ij^(−θ) / P̂_nj^(−θ)  (Caliendo & Parro 2015, eq. 12) [importer, exporter, sector]."""
        theta = np.asarray(self.situation.trade_elasticity)
        seller = np.asarray(self.cost_change) ** -theta
        buyer = np.asarray(self.price_change) ** theta
        weight = np.asarray(self.situation.trade_weight).transpose(1, 2, 0)
        return weight * seller[None, :, :] * buyer[:, None, :]

    def trade(self) -> NDArray:
        """Sales by exporter to importer net of all duties, in units of world factor income [importer, exporter, sector]."""
        sales = self.situation.sales_weight
        share = self.trade_share()
        if sales is not None:
            weight = np.asarray(self.situation.trade_weight)
            net = np.divide(np.asarray(sales), weight, out=np.zeros_like(weight), where=weight > 0)
            share = share * net.transpose(1, 2, 0)
        return share * np.asarray(self.spending)[:, None, :]


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


def situation(economy: Economy, shock: Shock) -> Situation:
    """The trade weights and rates that `shock` makes of `economy`'s baseline. Raises `InputError` for a bad cell."""
    labels = Labels(economy.countries, economy.sectors)
    n, s = len(economy.countries), len(economy.sectors)
    shape = (n, n, s)
    theta = np.asarray(economy.trade_elasticity)
    trade_weight = np.array(economy.trade_share)
    cost, weight = shock.cost(shape, labels), shock.weight(shape, labels)
    if cost is not None:
        touched = np.flatnonzero(cost != 1)  # a sanction touches few of the cells
        trade_weight.reshape(-1)[touched] *= cost.reshape(-1)[touched] ** -theta[touched % s]
    if weight is not None:
        trade_weight *= weight
    new_t, new_e = shock.tariff(shape, labels), shock.export_tax(shape, labels)
    duties = any(rate is not None for rate in (economy.tariff, economy.export_tax, new_t, new_e))
    if duties:
        old_t, old_e = _rate(economy.tariff, shape), _rate(economy.export_tax, shape)
        t, e = (old_t if new_t is None else new_t), (old_e if new_e is None else new_e)
        trade_weight *= ((1 + t) * (1 + e) / ((1 + old_t) * (1 + old_e))) ** -theta
    else:
        t = e = np.zeros(1)
    blocked = shock.ban(shape, labels)
    if blocked is not None:
        trade_weight[blocked] = 0.0
    refuse_stranded(economy, trade_weight)

    def inner(values: NDArray) -> Array:
        return jnp.asarray(np.ascontiguousarray(values.transpose(2, 0, 1)))

    return Situation(
        trade_weight=inner(trade_weight),
        sales_weight=inner(trade_weight / ((1 + t) * (1 + e))) if duties else None,
        tariff_weight=inner(trade_weight * t / (1 + t)) if duties else None,
        export_tax_weight=inner(trade_weight * e / ((1 + t) * (1 + e))) if duties else None,
        input_share=economy.input_share,
        value_added_share=economy.value_added_share,
        consumption_share=economy.consumption_share,
        value_added=economy.value_added,
        deficit=economy.deficit,
        world_income=jnp.asarray(np.asarray(economy.income).sum()),
        trade_elasticity=economy.trade_elasticity,
        closure=economy.closure,
    )


def _rate(rate: Array | None, shape: tuple[int, int, int]) -> NDArray:
    return np.zeros(shape) if rate is None else np.asarray(rate)


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


class _Found(NamedTuple):
    """Where a search ended: the point, its residual over all conditions, outer steps and sweeps so far."""

    point: Point
    residual: float
    steps: int
    sweeps: int


@dataclasses.dataclass(frozen=True)
class _Kept:
    owner: weakref.ref
    preconditioner: Preconditioner


_BASELINE: dict[int, _Kept] = {}


def baseline_preconditioner(economy: Economy) -> Preconditioner:
    """The linear response at the economy's baseline, computed on first use and kept as long as the economy lives."""
    key = id(economy)
    kept = _BASELINE.get(key)
    if kept is not None and kept.owner() is economy:
        return kept.preconditioner
    n = len(economy.countries)
    system = _system(situation(economy, Shock()), np.zeros(n, int))
    made = _preconditioner(system, *_start(economy))
    _BASELINE[key] = _Kept(weakref.ref(economy, lambda _: _BASELINE.pop(key, None)), made)
    return made


def _system(at: Situation, label: NDArray) -> CaliendoParro:
    same = jnp.asarray((label[:, None] == label[None, :]).astype(float))
    return CaliendoParro(at, same, same @ at.value_added)


def _start(economy: Economy) -> Point:
    shape = economy.spending.shape
    return jnp.zeros(shape[0]), jnp.zeros(shape), economy.spending


@jax.jit
def _residual(unknowns: Unknowns, at: Situation) -> Array:
    gaps = equations.residual(unknowns, at)
    return jnp.max(jnp.stack([jnp.max(jnp.abs(gap)) for gap in gaps]))


def solve(
    economy: Economy,
    shock: Shock,
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = 80,
    throw: bool = True,
) -> Equilibrium:
    """The equilibrium that `shock` leads to.

    tolerance: on the largest relative gap over all equilibrium conditions, evaluated at the returned point.
    max_steps: outer steps of one attempt; hard cases get further attempts with fresh Jacobians and along a path.
    throw: raise `ConvergenceError` where the tolerance is missed; with False the caller reads `.result`.
    Raises `InputError` (bad cell, user without supplier) and `InfeasibleError` (closure and shock contradict) always.
    """
    at = situation(economy, shock)
    label = components(economy, np.asarray(at.trade_weight))
    system = _system(at, label)
    start = _start(economy)
    found = _equilibrium(_search(economy, system, start, tolerance, max_steps), at, economy, tolerance)
    if not found.converged and np.asarray(found.income).min() <= 1e-9 * np.asarray(economy.income).min():
        poor = economy.countries[int(np.argmin(np.asarray(found.income) / np.asarray(economy.income)))]
        raise InfeasibleError(
            f"Under the closure '{economy.closure}' {poor} would have to transfer abroad more than it can earn after "
            "the shock: its spending falls to zero. Use deficits='balanced' or 'share-of-own'."
        )
    if throw and not found.converged:
        raise ConvergenceError(
            f"{found.result.message} Residual {found.residual:.1e} (asked {tolerance:.0e}) after {found.steps} steps."
        )
    return found


def balance(economy: Economy, *, tolerance: float = TOLERANCE) -> Economy:
    """The economy after its deficits have gone: solved with D' = 0, then taken as a baseline of its own.

    Prices, trade shares and factor incomes are those of the balanced world (Caliendo & Parro 2015, section 5.1, remove
    aggregate deficits in the same way before they change tariffs). Raises what `solve` raises.
    """
    away = dataclasses.replace(economy, deficit=jnp.zeros_like(economy.deficit), closure="balanced")
    found = solve(away, Shock(), tolerance=tolerance)
    return Economy.from_shares(
        countries=economy.countries,
        sectors=economy.sectors,
        trade_share=found.trade_share(),
        input_share=economy.input_share,
        value_added_share=economy.value_added_share,
        consumption_share=economy.consumption_share,
        value_added=found.wage_change * economy.value_added,
        deficit=np.zeros(len(economy.countries)),
        trade_elasticity=economy.trade_elasticity,
        tariff=economy.tariff,
        export_tax=economy.export_tax,
        closure="balanced",
        unit=economy.unit,
        unit_value=economy.unit_value,
        provenance=economy.provenance,
    )


def _search(
    economy: Economy,
    system: CaliendoParro,
    start: Point,
    tolerance: float,
    max_steps: int,
) -> "_Found":
    """Chord steps with the baseline's Jacobian; then Newton steps; then Newton steps along a path of partial shocks."""
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
        best = _newton(part, point, tolerance if share == 1.0 else max(tolerance, 1e-6), best)
        if np.isfinite(best.residual):
            point = best.point
    return best


def _newton(system: CaliendoParro, start: Point, tolerance: float, so_far: "_Found") -> "_Found":
    try:
        point, steps, sweeps = newton(system, start, lambda at: _preconditioner(system, *at), tolerance)
    except (
        np.linalg.LinAlgError
    ):  # no direction to go from here: the caller sees a residual that is not small
        point, steps, sweeps = start, 0, 0
    return _measured(system, point, so_far.steps + steps, so_far.sweeps + sweeps)


def _measured(system: CaliendoParro, point: Point, steps: int, sweeps: int) -> "_Found":
    return _Found(point, float(_residual(Unknowns(*point), system.situation)), steps, sweeps)


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
def _derived(unknowns: Unknowns, at: Situation, baseline_income: Array) -> dict[str, Array]:
    where = equations.market(unknowns.log_wage, unknowns.log_price, at)
    result = equations.flows(unknowns.spending, where, at)
    consumer = equations.consumer_price(unknowns.log_price, at.consumption_share)
    return {
        "wage_change": jnp.exp(unknowns.log_wage),
        "price_change": jnp.exp(unknowns.log_price),
        "cost_change": jnp.exp(equations.unit_cost(unknowns.log_wage, unknowns.log_price, at)),
        "output": result.output,
        "spending": unknowns.spending,
        "income": result.income,
        "deficit": result.deficit,
        "tariff_revenue": result.tariff_revenue,
        "export_tax_revenue": result.export_tax_revenue,
        "consumer_price_change": jnp.exp(consumer),
        "real_income_change": result.income / baseline_income / jnp.exp(consumer),
    }


def _equilibrium(end: _Found, at: Situation, economy: Economy, tolerance: float) -> Equilibrium:
    if not np.isfinite(end.residual):
        result = Result.NOT_FINITE
    else:
        result = Result.SOLVED if end.residual <= tolerance else Result.NOT_CONVERGED
    return Equilibrium(
        **_derived(Unknowns(*end.point), at, economy.income),
        situation=at,
        result=result,
        residual=end.residual,
        steps=end.steps,
        sweeps=end.sweeps,
    )
