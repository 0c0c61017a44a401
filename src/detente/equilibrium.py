"""From an economy and a shock to an equilibrium: feasibility first, then the solver, then a verdict."""

import dataclasses
import enum
import weakref

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from detente import equations
from detente.economy import Economy
from detente.equations import Situation, Unknowns
from detente.errors import ConvergenceError, InfeasibleError, InputError
from detente.shock import Labels, Shock
from detente.solver import Gap, Preconditioner, State, linear_response
from detente.solver import solve as drive

TOLERANCE = 1e-10  # relative residual; rounding in 80 × 50 sums is near 1e-14
REFRESHES = 8  # Jacobians computed anew at the point reached before the path is cut into pieces
PATH_STEPS = (0.5, 0.8, 0.95, 1.0)  # the share of the shock imposed at each stop when one leap fails


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
    factor = np.ones(shape)
    cost, weight = shock.cost(shape, labels), shock.weight(shape, labels)
    if cost is not None:
        factor = factor * cost**-theta
    if weight is not None:
        factor = factor * weight
    old_t, old_e = _rate(economy.tariff, shape), _rate(economy.export_tax, shape)
    new_t, new_e = shock.tariff(shape, labels), shock.export_tax(shape, labels)
    t, e = (old_t if new_t is None else new_t), (old_e if new_e is None else new_e)
    duties = bool((t != 0).any() or (e != 0).any() or (old_t != 0).any() or (old_e != 0).any())
    if duties:
        factor = factor * ((1 + t) * (1 + e) / ((1 + old_t) * (1 + old_e))) ** -theta
    blocked = shock.ban(shape, labels)
    if blocked is not None:
        factor = np.where(blocked, 0.0, factor)
    trade_weight = np.asarray(economy.trade_share) * factor
    _refuse_stranded(economy, trade_weight)

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
        world_income=jnp.sum(economy.income),
        trade_elasticity=economy.trade_elasticity,
        closure=economy.closure,
    )


def _rate(rate: Array | None, shape: tuple[int, int, int]) -> NDArray:
    return np.zeros(shape) if rate is None else np.asarray(rate)


def _refuse_stranded(economy: Economy, trade_weight: NDArray) -> None:
    """A user who buys a good and is left with no source for it has no finite price."""
    stranded = (trade_weight.sum(axis=1) <= 0) & (np.asarray(economy.spending) > 0)
    if stranded.any():
        cells = [f"{economy.countries[n]} sector {economy.sectors[j]}" for n, j in np.argwhere(stranded)]
        more = f" and {len(cells) - 3} more" if len(cells) > 3 else ""
        raise InputError(
            f"The shock leaves {', '.join(cells[:3])}{more} without any supplier: every source bought from in the "
            "baseline is banned and there is none at home. Leave one source open, use a deep cut instead of a ban "
            "(cut: 0.99), or take the sector out of the measure."
        )


def components(economy: Economy, at: Situation) -> NDArray:
    """Groups of countries linked by trade in both directions, as a label per country [country].

    Raises `InfeasibleError` where trade balance cannot hold: a group that only buys or only sells while its deficit says
    otherwise, or a closed group whose deficits do not sum to zero.
    """
    linked = np.einsum("jni,nj->ni", np.asarray(at.trade_weight), np.asarray(economy.spending)) > 0
    count, label = connected_components(linked, directed=True, connection="strong")
    if count == 1:
        return label
    d = np.asarray(at.deficit)
    for group in range(count):
        inside = label == group
        imports, exports = linked[inside][:, ~inside].any(), linked[~inside][:, inside].any()
        names = ", ".join(np.asarray(economy.countries)[inside][:5])
        balance = float(d[inside].sum())
        stuck = (
            (not imports and not exports and abs(balance) > 1e-12)
            or (imports and not exports and balance <= 0)
            or (exports and not imports and balance >= 0)
        )
        if stuck:
            link = "neither imports nor exports" if not (imports or exports) else "cannot "
            link += "" if not (imports or exports) else ("export" if imports else "import")
            raise InfeasibleError(
                f"The shock cuts {names} off: it {link} any more, yet its external balance under the closure "
                f"'{economy.closure}' is {-balance * economy.unit_value:,.0f} {economy.unit}. No prices make these "
                "agree. Use deficits='balanced', or leave some trade open in both directions."
            )
    return label


def _preconditioner(system: CaliendoParro, log_wage: Array, log_price: Array, spending: Array) -> Preconditioner:
    first, second, pin = _blocks(system, log_wage, log_price)
    return linear_response(system, (log_wage, log_price, spending), first, second, pin)


@jax.jit
def _blocks(system: CaliendoParro, log_wage: Array, log_price: Array) -> tuple[Array, Array, Array]:
    """Domestic input–output loops, solved exactly: inverses of I − π'_nn γ_n (prices) and I − γ_n π'_nn (spending)."""
    at = system.situation
    where = equations.market(log_wage, log_price, at)
    domestic = jnp.einsum("jnn,jn,jn->nj", at.trade_weight, where.competitive, where.inverse_access)
    eye = jnp.eye(domestic.shape[1])
    prices = jnp.linalg.inv(eye - domestic[:, :, None] * at.input_share.transpose(0, 2, 1))
    spending = jnp.linalg.inv(eye - at.input_share * domestic[:, None, :])
    earned = where.factor_income
    pin = system.component * earned / (system.component @ earned)[:, None]
    return prices, spending, pin


@dataclasses.dataclass(frozen=True)
class _Kept:
    owner: weakref.ref
    preconditioner: Preconditioner


_BASELINE: dict[int, _Kept] = {}


def baseline_preconditioner(economy: Economy) -> Preconditioner:
    """The linear response at the economy's baseline, computed on first use and kept as long as the economy lives."""
    kept = _BASELINE.get(id(economy))
    if kept is not None and kept.owner() is economy:
        return kept.preconditioner
    n = len(economy.countries)
    system = _system(situation(economy, Shock()), np.zeros(n, int))
    made = _preconditioner(system, *_start(economy))
    _BASELINE[id(economy)] = _Kept(weakref.ref(economy, lambda _, k=id(economy): _BASELINE.pop(k, None)), made)
    return made


def _system(at: Situation, label: NDArray) -> CaliendoParro:
    same = jnp.asarray((label[:, None] == label[None, :]).astype(float))
    return CaliendoParro(at, same, same @ at.value_added)


def _start(economy: Economy) -> tuple[Array, Array, Array]:
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
    label = components(economy, at)
    system = _system(at, label)
    start = _start(economy)
    state, residual = _search(economy, system, start, tolerance, max_steps)
    unknowns = Unknowns(state.outer, state.first, state.second)
    found = _equilibrium(unknowns, at, economy, residual, tolerance, state)
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
    start: tuple[Array, Array, Array],
    tolerance: float,
    max_steps: int,
) -> tuple[State, float]:
    """Chord steps with the baseline's Jacobian; then with fresh ones; then along a path of partial shocks."""
    state, residual = _attempt(system, start, baseline_preconditioner(economy), tolerance, max_steps)
    if residual <= tolerance:
        return state, residual
    state, residual = _refreshed(system, start, state, residual, tolerance, max_steps)
    if residual <= tolerance:
        return state, residual
    point, whole = start, system.situation
    base = situation(economy, Shock())
    for share in PATH_STEPS:
        part = system if share == 1.0 else eqx.tree_at(lambda s: s.situation, system, _between(base, whole, share))
        goal = tolerance if share == 1.0 else max(tolerance, 1e-6)
        state, residual = _refreshed(part, point, None, np.inf, goal, max_steps)
        if np.isfinite(residual):
            point = (state.outer, state.first, state.second)
    return state, residual


def _attempt(
    system: CaliendoParro,
    start: tuple[Array, Array, Array],
    preconditioner: Preconditioner,
    tolerance: float,
    max_steps: int,
) -> tuple[State, float]:
    state = drive(system, start, preconditioner, tolerance, max_steps=max_steps)
    unknowns = Unknowns(state.outer, state.first, state.second)
    return state, float(_residual(unknowns, system.situation))


def _refreshed(
    system: CaliendoParro,
    start: tuple[Array, Array, Array],
    state: State | None,
    residual: float,
    tolerance: float,
    max_steps: int,
) -> tuple[State, float]:
    """Newton in the large: chord solves, each with the Jacobian at the point where the last one stopped."""
    best = start if state is None or not residual < 1e3 else (state.outer, state.first, state.second)
    best_residual = residual
    for _ in range(REFRESHES):
        made = _preconditioner(system, *best)
        if not bool(jnp.all(jnp.isfinite(made.outer_step))):
            break
        state, residual = _attempt(system, best, made, tolerance, max_steps)
        if residual <= tolerance or not residual < 0.9 * best_residual:
            break
        best, best_residual = (state.outer, state.first, state.second), residual
    assert state is not None
    return state, residual


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
            mix(base.sales_weight if base.sales_weight is not None else base.trade_weight, whole.sales_weight),
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


def _equilibrium(
    unknowns: Unknowns, at: Situation, economy: Economy, residual: float, tolerance: float, state: State
) -> Equilibrium:
    if not np.isfinite(residual):
        result = Result.NOT_FINITE
    else:
        result = Result.SOLVED if residual <= tolerance else Result.NOT_CONVERGED
    return Equilibrium(
        **_derived(unknowns, at, economy.income),
        situation=at,
        result=result,
        residual=residual,
        steps=int(state.steps),
        sweeps=int(state.sweeps),
    )
