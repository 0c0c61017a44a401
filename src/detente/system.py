"""The equations as a system the solver can drive, and its linear response at a point.

Outside wages, and the premia of sectors whose factors are stuck; inside prices, then spending.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from detente import equations, nests
from detente.economy import Economy
from detente.errors import InputError
from detente.mending import mended
from detente.response import EXACT, Gap, Preconditioner, Rows, linear_response
from detente.terms import Market, Situation, Unknowns

Point = tuple[Array, Array, Array]  # outer unknowns, log P̂, X' with the uses of a country side by side


class TradeSystem(eqx.Module):
    """The equations as a block-triangular system. Outer unknowns: log ŵ [country], then, where factors are stuck, the
    premia [country, sector] of `equations.Unknowns`, flattened."""

    situation: Situation
    component: Array  # [country, country], 1 where two countries are linked by trade
    component_income: Array  # [country], baseline factor income of the country's component

    def split(self, outer: Array) -> tuple[Array, Array | None]:
        """log ŵ [country] and the premia [country, sector], or None."""
        n, s = self.situation.consumption_share.shape
        return (outer, None) if self.situation.factors is None else (outer[:n], outer[n:].reshape(n, s))

    def unknowns(self, point: Point) -> Unknowns:
        """The point with its outer unknowns and the uses of spending taken apart."""
        log_wage, log_premium = self.split(point[0])
        return Unknowns(log_wage, point[1], self.by_buyer(point[2]), log_premium)

    def by_buyer(self, spending: Array) -> Array:
        """Spending of the solver [country, use × sector] as the equations have it [buyer, sector]."""
        if not equations.by_use(self.situation):
            return spending
        n, s = self.situation.consumption_share.shape
        return jnp.moveaxis(spending.reshape(n, 2, s), 1, 0).reshape(2 * n, s)

    def by_country(self, spending: Array) -> Array:
        """Spending of the equations [buyer, sector] as the solver has it [country, use × sector]."""
        if not equations.by_use(self.situation):
            return spending
        n, s = self.situation.consumption_share.shape
        return jnp.moveaxis(spending.reshape(2, n, s), 0, 1).reshape(n, 2 * s)

    def first_gap(self, outer: Array) -> Gap:
        """Price gap at given factor prices."""
        paid = equations.factor_price(*self.split(outer))
        return lambda log_price: equations.price_gap(log_price, paid, self.situation)

    def second_gap(self, first: Array, outer: Array) -> Gap:
        """Spending gap at given factor prices and prices."""
        gaps = self.later_gaps(first, outer)
        return lambda spending: gaps(spending)[0]

    def outer_gap(self, outer: Array, first: Array, second: Array) -> Array:
        """Excess demand for factors, by country and, where they are stuck, by sector."""
        return self.later_gaps(first, outer)(second)[1]

    def later_gaps(self, first: Array, outer: Array) -> Callable[[Array], tuple[Array, Array]]:
        """Both of these at given factor prices and prices, as functions of spending."""
        return self._later_gaps(first, outer)[0]

    def _later_gaps(
        self, first: Array, outer: Array
    ) -> tuple[Callable[[Array], tuple[Array, Array]], Market]:
        log_wage, log_premium = self.split(outer)
        at = equations.market(log_wage, first, self.situation, log_premium)

        def gaps(spending: Array) -> tuple[Array, Array]:
            bought = self.by_buyer(spending)
            result = equations.flows(bought, at, self.situation)
            gap = equations.factor_market_gap(result.output, log_wage, at, self.situation)
            if log_premium is not None:
                premium = equations.premium_gap(result.output, log_wage, log_premium, at, self.situation)
                gap = jnp.concatenate([gap, premium.ravel()])
            return self.by_country(result.spending - bought), gap

        return gaps, at

    def gaps(self, outer: Array, first: Array, second: Array) -> Point:
        """The outer gap and those of both blocks at one point."""
        later, at = self._later_gaps(first, outer)
        own, others = later(second)
        return others, equations.price_gap_at(first, at.competitive, self.situation), own

    def normalise(self, outer: Array) -> Array:
        """Numéraire: factor income of the world (of each closed group of countries) stays at its baseline."""
        return self._shifted(outer)[0]

    def rescale(self, outer: Array, first: Array, second: Array) -> Point:
        """The same with prices and spending in step: equations are homogeneous, but for what is given in the numéraire."""
        shifted, shift = self._shifted(outer)
        return shifted, first + shift[:, None], second * jnp.exp(shift)[:, None]

    def _shifted(self, outer: Array) -> tuple[Array, Array]:
        log_wage, log_premium = self.split(outer)
        earned = self.component @ equations.factor_income(log_wage, log_premium, self.situation)
        shift = -jnp.log(earned / self.component_income)
        log_wage = log_wage + shift
        return (log_wage if log_premium is None else jnp.concatenate([log_wage, log_premium.ravel()])), shift


def system(at: Situation, label: NDArray) -> TradeSystem:
    """The system of a situation; `label` [country] numbers the groups of countries linked by trade."""
    same = jnp.asarray((label[:, None] == label[None, :]).astype(float))
    return TradeSystem(at, same, same @ at.value_added)


def start(economy: Economy, at: Situation) -> Point:
    """The baseline as a point."""
    n, s = economy.spending.shape
    if equations.by_use(at):
        spending = jnp.asarray(economy.buyer_spending.reshape(2, n, s).transpose(1, 0, 2).reshape(n, 2 * s))
    else:
        spending = economy.spending
    return jnp.zeros(n if at.factors is None else n + n * s), jnp.zeros((n, s)), spending


@jax.jit
def residual(point: Point, of: TradeSystem) -> Array:
    """The largest relative gap over all equilibrium conditions."""
    gaps = equations.residual(of.unknowns(point), of.situation)
    return jnp.max(jnp.stack([jnp.max(jnp.abs(gap)) for gap in gaps if gap is not None]))


def preconditioner(of: TradeSystem, point: Point) -> Preconditioner:
    """Domestic input–output loops solved exactly: inverses of I − π'_nn γ'_n (prices) and I − γ'_n π'_nn (spending).

    The loop is the producers'. By use, what final users buy at home sets it going: the block of both uses is
    [[I − γ'π'ᵐ, −γ'π'ᶠ], [0, I]], whose inverse is known from the first.
    """
    local = {name: np.asarray(value) for name, value in _local(of, point).items()}
    inputs, domestic, earned = local["input_share"], local["domestic"], local["factor_income"]
    eye = np.eye(inputs.shape[1])
    prices = np.linalg.inv(eye - domestic[:, :, None] * inputs.transpose(0, 2, 1))
    sales = np.linalg.inv(eye - inputs * domestic[:, None, :])
    if equations.by_use(of.situation):
        pull = sales @ (inputs * local["domestic_final"][:, None, :])
        size = len(eye)
        alone = sales
        sales = np.zeros((len(inputs), 2 * size, 2 * size))
        sales[:, :size, :size], sales[:, :size, size:], sales[:, size:, size:] = alone, pull, eye
    linked = np.asarray(of.component)
    pin = linked * earned / (linked @ earned)[:, None]
    inverses = jnp.asarray(prices), jnp.asarray(sales)
    return mended(of, point, pin, linear_response(of, point, *inverses, pin, lambda: _rows(of, point)))


@jax.jit
def _local(of: TradeSystem, point: Point) -> dict[str, Array]:
    """Shares at a point: γ' [country, input, user], π'_nn [country, sector] of producers and, where final users have
    their own, of these; factor income [country]."""
    log_wage, log_price, _, log_premium = of.unknowns(point)
    at = of.situation
    where = equations.market(log_wage, log_price, at, log_premium)
    inputs = at.input_share
    if where.costs is not None and at.recipe is not None and at.substitution is not None:
        inputs = nests.input_share(where.costs, at.recipe, at.substitution)
    n, weight, access = len(log_wage), at.trade_weight, where.inverse_access
    own = {}
    if equations.by_use(at):
        home = jnp.einsum("jnn,jn,jn->nj", weight[:, n:], where.competitive, access[:, n:])
        own, weight, access = {"domestic_final": home}, weight[:, :n], access[:, :n]
    return own | {
        "input_share": inputs,
        "domestic": jnp.einsum("jnn,jn,jn->nj", weight, where.competitive, access),
        "factor_income": where.factor_income,
    }


@jax.jit
def _own_rows(of: TradeSystem, point: Point) -> dict[str, Array]:
    """Derivatives within each country [country, sector, by sector] at a point.

    Of log cost and log v' by premia (`cost`, `share`) and log prices (`cost_price`, `share_price`); of spending by premia,
    log prices and log output (`spending`, `spending_price`, `spending_output`), incomes held. And where sales go.
    """
    log_wage, log_price, spending, log_premium = of.unknowns(point)
    at = of.situation
    where = equations.market(log_wage, log_price, at, log_premium)
    sold = equations.flows(spending, where, at).output
    none = jnp.zeros_like(log_price)
    assert log_premium is not None
    at_rest = log_premium

    def country(premium: Array, price: Array, grown: Array) -> tuple[Array, Array, Array]:
        there = equations.market(log_wage, log_price + price, at, at_rest + premium)
        cost = equations.unit_cost(equations.factor_price(log_wage, at_rest + premium), log_price + price, at)
        share = none if there.costs is None else jnp.log(there.costs.value_added)
        bought = equations.input_spending(sold * jnp.exp(grown), there, at)
        wanted = there.consumption_share * where.factor_income[:, None]
        return cost, share, bought + wanted

    def derivative(k: int) -> tuple[Array, ...]:
        def along(unit: Array) -> tuple[Array, ...]:
            moves = tuple(jnp.broadcast_to(unit, none.shape) if i == k else none for i in range(3))
            return jax.jvp(country, (none, none, none), moves)[1]

        return tuple(jnp.moveaxis(part, 0, -1) for part in jax.vmap(along)(jnp.eye(none.shape[1])))

    weight = at.trade_weight if at.sales_weight is None else at.sales_weight
    reach = at.trade_weight * where.competitive[:, None, :] * where.inverse_access[:, :, None]
    paid = weight * where.competitive[:, None, :] * where.inverse_access[:, :, None] * spending.T[:, :, None]
    total = jnp.where(sold > 0, sold, 1.0)
    by_premium, by_price, by_output = derivative(0), derivative(1), derivative(2)
    return {
        "cost": by_premium[0],
        "share": by_premium[1],
        "spending": by_premium[2],
        "cost_price": by_price[0],
        "share_price": by_price[1],
        "spending_price": by_price[2],
        "spending_output": by_output[2],
        "level": jnp.where(spending > 0, spending, 1.0),
        "at_home": jnp.einsum("jnn->nj", paid) / total,
        "held": jnp.einsum("jni,jni->ij", paid, reach) / total,
        "rivals": jnp.einsum("jni,jnk->jik", paid, reach) / total.T[:, :, None],
        "domestic": jnp.einsum("jnn->nj", reach),
        "earned": equations.value_added(sold, where, at),
    }


def _rows(of: TradeSystem, point: Point) -> Rows:
    """The premium gaps of a country by its premia, with what these do to its own prices, spending and sales.

    Abroad, prices and spending stand still, but for what an exporter's own share holds back of its buyers' prices.
    """
    factors = of.situation.factors
    assert factors is not None
    if equations.by_use(of.situation):
        raise InputError(
            "Sourcing by use with factors that are stuck in their sectors (horizons other than `long`, or "
            f"`factor_mobility` and `resource_share`) is solved up to {EXACT} countries and country-sectors together; this "
            f"economy has {len(factors.stickiness) + factors.stickiness.size}. Use sourcing='common', the horizon "
            "`long`, or `World.aggregate`."
        )
    part = {name: np.asarray(value, float) for name, value in _own_rows(of, point).items()}
    theta, sticky = np.asarray(of.situation.trade_elasticity), np.asarray(factors.stickiness)
    eye, home, pi = np.eye(sticky.shape[1]), part["at_home"][:, :, None], part["domestic"][:, :, None]
    price = np.linalg.solve(eye - pi * part["cost_price"], pi * part["cost"])
    cost = part["cost"] + part["cost_price"] @ price
    bought = (part["spending"] + part["spending_price"] @ price) / part["level"][:, :, None]
    abroad = part["held"] - part["at_home"] * part["domestic"]
    pull = home * (theta[:, None] * price + bought) - (theta * (1 - abroad))[:, :, None] * cost
    reuse = home * part["spending_output"] / part["level"][:, :, None]
    sales = np.linalg.solve(eye - reuse, pull)
    share = part["share"] + part["share_price"] @ price
    there = np.asarray(factors.sector_income) > 0
    jacobian = np.where(there, sticky, 0.0)[:, :, None] * (sales + share) - eye
    own = cost[:, np.arange(len(theta)), np.arange(len(theta))]
    across = np.where(there, sticky * theta, 0.0).T[:, :, None] * part["rivals"] * own.T[:, None, :]
    spent = part["level"][:, :, None] * bought + part["spending_output"] @ sales
    mobile = (1 - np.asarray(factors.resource_share)) * part["earned"]
    weight = np.where(there & (sticky > 0), mobile / mobile.sum(axis=1, keepdims=True), 0.0)
    return Rows(jacobian, price, spent, weight / np.where(sticky > 0, sticky, 1.0), across)
