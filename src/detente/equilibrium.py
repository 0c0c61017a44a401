"""From an economy and a shock to an equilibrium: feasibility first, then the solver, then a verdict."""

import dataclasses
import enum
from collections.abc import Sequence
from contextlib import suppress

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from detente import equations
from detente.accounts import mixed_share, over_uses
from detente.complementarity import Seen, closing, conditions, find_wedges, least_wedges, unmet, wedged
from detente.economy import Economy
from detente.errors import ConvergenceError, InputError
from detente.feasibility import components, refuse_stranded
from detente.instruments import Binding, Ceiling
from detente.nests import KEYS
from detente.search import Found, search
from detente.shock import Shock
from detente.situation import external, situation
from detente.system import system
from detente.terms import Situation, Unknowns

INNER = 0.1  # of the tolerance, to which equilibria are solved while wedges move
TOLERANCE = 1e-10  # relative residual; rounding in 80 × 50 sums is near 1e-14


class Result(enum.IntEnum):
    """How a solve ended, with advice. Zero is success; everything else is a failure of the solve."""

    SOLVED = 0
    NOT_CONVERGED = 1
    NOT_FINITE = 2
    INFEASIBLE = 3
    REFUSED = 4

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
    Result.INFEASIBLE: "The shock and the closure contradict each other: no equilibrium exists (`InfeasibleError`).",
    Result.REFUSED: "The input cannot be used (`InputError`).",
}


RIGID = 0.05  # elasticities and mobility less one, up to which nothing is said to give way
_RIGID_MESSAGE = (
    "Nothing in this economy gives way: every elasticity of substitution is nil or nearly so and no factor changes its "
    "sector (`factor_mobility` 1), so that a shock may leave sectors idle, factor prices undetermined, and no equilibrium "
    "to find. Raise `value_added` and `inputs` of `Substitution` to 0.1 or more, let factors move (`factor_mobility` of "
    "1.3, or the horizon `medium`), or take a smaller shock."
)


class Equilibrium(eqx.Module):
    """A solved situation. Hats are ratios to the economy's baseline; levels are in units of world factor income.

    wage_change (mobile factors), consumer_price_change, real_income_change, income, deficit, foreign_income (what owners
    get from abroad, net; within the deficit), tariff_revenue, export_tax_revenue, rent (what price caps, quotas and
    held prices leave), margin_income (of hubs, from what goes around sanctions) [country];
    factor_price_change (what a sector's factors
    earn, per unit), price_change (the importer's price index), cost_change, value_added, output, spending [country,
    sector].
    use_price_change, use_spending [use, country, sector]: index and spending of producers and of final users, where each
    have an import mix of their own, else None; price_change is then the geometric mean by spending of the baseline.
    bindings: what came of each instrument; trouble: why one does not hold, or no equilibrium was found, where known.
    result, residual (largest relative gap over all conditions), steps (outer), sweeps (passes over the trade
    matrix; where factors are stuck, directions, each of a few passes).
    """

    wage_change: Array
    factor_price_change: Array
    price_change: Array
    cost_change: Array
    value_added: Array
    output: Array
    spending: Array
    income: Array
    deficit: Array
    foreign_income: Array
    tariff_revenue: Array
    export_tax_revenue: Array
    margin_income: Array
    consumer_price_change: Array
    real_income_change: Array
    rent: Array
    use_price_change: Array | None
    use_spending: Array | None
    situation: Situation
    bindings: tuple[Binding, ...] = eqx.field(static=True)
    result: Result = eqx.field(static=True)
    trouble: str = eqx.field(static=True)
    residual: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    sweeps: int = eqx.field(static=True)

    @property
    def converged(self) -> bool:
        """Whether every equilibrium condition holds to the tolerance asked for."""
        return self.result is Result.SOLVED

    def trade_share(self) -> NDArray:
        """π'_nij = π_nij κ̂_nij^(−θ) ĉ_ij^(−θ) / P̂_nj^(−θ)  (Caliendo & Parro 2015, eq. 12) [importer, exporter, sector].

        Where uses have mixes of their own, of both together.
        """
        found = self._buyer_share()
        if self.use_spending is None:
            return found
        n, s = np.shape(self.spending)
        return mixed_share(found.reshape(2, n, n, s), np.asarray(self.use_spending))

    def use_share(self) -> NDArray | None:
        """π' of producers and of final users [use, importer, exporter, sector]; None where they share one mix."""
        n, s = np.shape(self.spending)
        return None if self.use_spending is None else self._buyer_share().reshape(2, n, n, s)

    def _buyer_share(self) -> NDArray:
        theta = np.asarray(self.situation.trade_elasticity)
        seller = np.asarray(self.cost_change) ** -theta
        buyer = self._by_buyer(self.price_change, self.use_price_change) ** theta
        weight = np.asarray(self.situation.trade_weight).transpose(1, 2, 0)
        return weight * seller[None, :, :] * buyer[:, None, :]

    def _by_buyer(self, shared: Array, by_use: Array | None) -> NDArray:
        """[buyer, sector], as the weights have it."""
        return np.asarray(shared if by_use is None else by_use).reshape(-1, np.shape(self.spending)[1])

    def trade(self) -> NDArray:
        """Sales by exporter to importer net of all duties and of hubs' margins [importer, exporter, sector].

        In units of world factor income. Goods that go through a hub are sales of the country that made them to the one that
        uses them.
        """
        sales = self.situation.sales_weight
        share = self._buyer_share()
        if sales is not None:
            weight = np.asarray(self.situation.trade_weight)
            net = np.divide(np.asarray(sales), weight, out=np.zeros_like(weight), where=weight > 0)
            share = share * net.transpose(1, 2, 0)
        spending = self._by_buyer(self.spending, self.use_spending)
        return over_uses(share * spending[:, None, :], len(self.spending))

    def re_exports(self) -> NDArray:
        """What goes around sanctions through each country [hub, exporter, importer, sector], sales price with the margin.

        Net of duties, in units of world factor income; zero where nothing does.
        """
        n, s = np.shape(self.spending)
        found, transit = np.zeros((n, n, n, s)), self.situation.transit
        if transit is None:
            return found
        theta = np.asarray(self.situation.trade_elasticity)
        seller = (np.asarray(self.cost_change) ** -theta).T
        price = self._by_buyer(self.price_change, self.use_price_change)
        demand = (self._by_buyer(self.spending, self.use_spending) * price**theta).T
        value = np.asarray(equations.re_exports(jnp.asarray(seller), jnp.asarray(demand), transit))
        hub, exporter, buyer, sector = (
            np.asarray(at) for at in (transit.hub, transit.exporter, transit.buyer, transit.sector)
        )
        importer = buyer % n
        np.add.at(found, (hub, exporter[:, None], importer[:, None], sector[:, None]), value)
        return found


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
    if not shock.instruments:
        return settle(economy, at, tolerance, max_steps, throw)
    label = components(economy, np.asarray(at.trade_weight), external(at))
    found = _with_instruments(economy, shock.instruments, at, label, tolerance, max_steps)
    return _convincing(found, tolerance) if throw else found


def settle(
    economy: Economy,
    at: Situation,
    tolerance: float = TOLERANCE,
    max_steps: int = 80,
    throw: bool = False,
) -> Equilibrium:
    """The equilibrium of a situation of `economy` without instruments; see `solve`.

    Raises `InfeasibleError` where closure and weights contradict each other, and with `throw` what `solve` raises.
    """
    label = components(economy, np.asarray(at.trade_weight), external(at))
    found = _equilibrium(search(economy, at, label, tolerance, max_steps), at, label, economy, tolerance)
    return _convincing(found, tolerance) if throw else found


def _convincing(found: Equilibrium, tolerance: float) -> Equilibrium:
    if not found.converged:
        raise ConvergenceError(
            f"{found.trouble or found.result.message} Residual {found.residual:.1e} (asked {tolerance:.0e}) after "
            f"{found.steps} steps."
        )
    return found


def _with_instruments(
    economy: Economy,
    instruments: Sequence[Ceiling],
    at: Situation,
    label: NDArray,
    tolerance: float,
    max_steps: int,
) -> Equilibrium:
    """The equilibrium at the wedges at which every instrument's condition holds."""
    before = Seen(np.ones(economy.output.shape), baseline_sales(economy))
    seen: dict[bytes, tuple[Equilibrium, NDArray, list[Binding]]] = {}
    point, steps, sweeps = None, 0, 0

    def gap_of(wedges: NDArray) -> NDArray:
        nonlocal point, steps, sweeps
        now = wedged(at, instruments, wedges)
        here = label
        if np.isinf(wedges).any():  # sales that a cap ends
            weight = np.asarray(now.trade_weight).transpose(
                1, 2, 0
            )  # buyers of the first use, then of the other
            refuse_stranded(economy, weight.reshape(-1, len(economy.countries), *weight.shape[1:]))
            here = components(economy, np.asarray(now.trade_weight), external(now))
        end = search(economy, now, here, INNER * tolerance, max_steps, begin=point)
        found = _equilibrium(end, now, here, economy, tolerance)
        steps, sweeps = steps + end.steps, sweeps + end.sweeps
        point = end.point if found.converged else None
        gaps, bindings = conditions(
            instruments, wedges, Seen(np.asarray(found.cost_change), found.trade()), before
        )
        gaps = gaps if found.converged else np.full_like(gaps, np.nan)
        seen[wedges.tobytes()] = found, gaps, bindings
        return gaps

    def solved_from(begin: NDArray) -> tuple[NDArray, NDArray]:
        open_ = np.isfinite(begin)

        def gap_of_open(part: NDArray) -> NDArray:
            full = begin.copy()
            full[open_] = part
            gaps = gap_of(full)
            return gaps[open_] if open_.any() else gaps

        if not open_.any():
            return begin, gap_of(begin)
        part, _ = find_wedges(gap_of_open, begin[open_], tolerance)
        wedges = begin.copy()
        wedges[open_] = part
        return wedges, seen[wedges.tobytes()][1]

    wedges, gaps = solved_from(least_wedges(instruments))
    closed = closing(instruments, wedges, gaps)
    if not abs(gaps).max() <= tolerance and np.isinf(closed).any():
        point = None
        with suppress(InputError):  # a buyer without another seller: then there is no such corner
            corner, corner_gaps = solved_from(np.where(np.isinf(closed), np.inf, least_wedges(instruments)))
            if abs(corner_gaps).max() <= tolerance:
                wedges, gaps = corner, corner_gaps
    found, _, bindings = seen[wedges.tobytes()]
    left = float(abs(gaps).max())
    result, trouble = found.result, found.trouble
    if found.converged and not left <= tolerance:
        result, trouble = Result.NOT_CONVERGED, unmet(instruments, wedges, gaps)
    return dataclasses.replace(
        found,
        bindings=tuple(bindings),
        result=result,
        trouble=trouble,
        residual=max(found.residual, left) if np.isfinite(left) else found.residual,
        steps=steps,
        sweeps=sweeps,
    )


def baseline_sales(economy: Economy) -> NDArray:
    """Sales of the data year net of duties, in units of world factor income [importer, exporter, sector]."""
    paid = np.asarray(economy.trade_share) * np.asarray(economy.spending)[:, None, :]
    for rate in (economy.tariff, economy.export_tax):
        paid = paid if rate is None else paid / (1 + np.asarray(rate))
    return paid


def balance(economy: Economy, *, tolerance: float = TOLERANCE) -> Economy:
    """The economy after its deficits have gone: solved with D' = 0, then taken as a baseline of its own.

    Prices, trade shares and factor incomes are those of the balanced world (Caliendo & Parro 2015, section 5.1, remove
    aggregate deficits in the same way before they change tariffs), found with Cobb–Douglas nests and mobile factors
    whatever those of the economy, which the new baseline keeps. Raises what `solve` raises.
    """
    plain = {"substitution": None, "recipe": None, "factor_mobility": None, "resource_share": None}
    away = dataclasses.replace(economy, deficit=jnp.zeros_like(economy.deficit), closure="balanced", **plain)
    found = solve(away, Shock(), tolerance=tolerance)
    return Economy.from_shares(
        countries=economy.countries,
        sectors=economy.sectors,
        trade_share=found.trade_share() if economy.use_share is None else None,
        use_share=found.use_share(),
        input_share=economy.input_share,
        value_added_share=economy.value_added_share,
        consumption_share=economy.consumption_share,
        substitution=economy.substitution,
        factor_mobility=np.inf if economy.factor_mobility is None else float(economy.factor_mobility),
        resource_share=economy.resource_share,
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


@jax.jit
def derived(
    unknowns: Unknowns, at: Situation, baseline_income: Array, final_part: Array | None
) -> dict[str, Array | None]:
    """The fields of `Equilibrium` that follow from the unknowns.

    final_part [country, sector]: of baseline spending, where final users have an import mix of their own.
    """
    log_wage, log_price, spending, log_premium = unknowns
    where = equations.market(log_wage, log_price, at, log_premium)
    result = equations.flows(spending, where, at)
    final = equations.final_price(log_price, where.competitive, at)
    consumer = equations.consumer_price(final, at)
    uses: dict[str, Array | None] = {"use_price_change": None, "use_spending": None}
    mean = log_price
    if final_part is not None:
        uses["use_price_change"] = jnp.exp(jnp.stack([log_price, final]))
        uses["use_spending"] = spending.reshape(2, *log_price.shape)
        mean = log_price + final_part * (final - log_price)
    paid = equations.factor_price(log_wage, log_premium)
    return uses | {
        "wage_change": jnp.exp(log_wage),
        "factor_price_change": jnp.broadcast_to(jnp.exp(paid), log_price.shape),
        "price_change": jnp.exp(mean),
        "cost_change": jnp.exp(equations.unit_cost(paid, log_price, at)),
        "value_added": equations.value_added(result.output, where, at),
        "output": result.output,
        "spending": equations.over_uses(spending, at),
        "income": result.income,
        "deficit": result.deficit,
        "foreign_income": result.foreign_income,
        "tariff_revenue": result.tariff_revenue,
        "export_tax_revenue": result.export_tax_revenue,
        "rent": result.rent,
        "margin_income": result.margin_income,
        "consumer_price_change": jnp.exp(consumer),
        "real_income_change": result.income / baseline_income / jnp.exp(consumer),
    }


def final_part(economy: Economy) -> Array | None:
    """Part of final users in baseline spending [country, sector], where they have an import mix of their own."""
    if economy.use_share is None:
        return None
    spent = economy.buyer_spending.reshape(2, *economy.spending.shape)
    whole = spent.sum(axis=0)
    return jnp.asarray(np.divide(spent[1], whole, out=np.zeros_like(whole), where=whole > 0))


def _rigid(economy: Economy) -> bool:
    """Whether neither recipes nor factors adapt: then only the choice of sellers does."""
    nest, mobility = economy.substitution, economy.factor_mobility
    if nest is None or mobility is None or float(mobility) > 1 + RIGID:
        return False
    return all(bool(np.all(np.asarray(getattr(nest, name)) <= RIGID)) for name in KEYS)


def _equilibrium(
    end: Found, at: Situation, label: NDArray, economy: Economy, tolerance: float
) -> Equilibrium:
    if not np.isfinite(end.residual):
        result = Result.NOT_FINITE
    else:
        result = Result.SOLVED if end.residual <= tolerance else Result.NOT_CONVERGED
    return Equilibrium(
        **derived(system(at, label).unknowns(end.point), at, economy.income, final_part(economy)),
        situation=at,
        bindings=(),
        trouble=_RIGID_MESSAGE if result is not Result.SOLVED and _rigid(economy) else "",
        result=result,
        residual=end.residual,
        steps=end.steps,
        sweeps=end.sweeps,
    )
