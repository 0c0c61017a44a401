"""The equilibrium in changes of Caliendo & Parro (2015, Review of Economic Studies 82:1), one function an equation.

Letters: n importer (buyer), i exporter (seller), j sector of the good, k sector of its user. Hats are ratios to the
baseline; levels are in units of world factor income, the numéraire. Nothing here knows how the equations are solved, and
nothing has a scenario axis. Trade weights carry the scenario: `trade_weight` = π_nij κ̂_nij^(−θ_j), with an entry share in
the place of a nil π where the scenario revives a flow, and zero where trade is banned, so that no function ever forms the
counterfactual share of each importer, exporter and sector.

Production and consumption are Cobb–Douglas above the Armington nest (ζ = ε = φ = 1); other nests replace `unit_cost` and
`consumption_spending`.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import Array


class Unknowns(NamedTuple):
    """What the solver moves: log ŵ [country], log P̂ [country, sector], X' [country, sector]."""

    log_wage: Array
    log_price: Array
    spending: Array


class Situation(eqx.Module):
    """One counterfactual: the baseline's shares and the scenario's trade weights, in the order the products want.

    Weights are [sector, importer, exporter]; the last three are None where no tariff or export tax exists.
    """

    trade_weight: Array
    sales_weight: Array | None
    tariff_weight: Array | None
    export_tax_weight: Array | None
    input_share: Array
    value_added_share: Array
    consumption_share: Array
    value_added: Array
    deficit: Array
    world_income: Array
    trade_elasticity: Array
    closure: str = eqx.field(static=True)


class Market(NamedTuple):
    """What wages and prices fix before spending is known.

    competitive: a_ij = ĉ_ij^(−θ_j) [sector, exporter]; inverse_access: P̂_nj^(θ_j) [sector, importer]; factor_income:
    ŵ_n VA_n [country].
    """

    competitive: Array
    inverse_access: Array
    factor_income: Array


class Flows(NamedTuple):
    """What follows from the unknowns: Y' and X' [country, sector]; revenue, deficit and income [country]."""

    output: Array
    spending: Array
    tariff_revenue: Array
    export_tax_revenue: Array
    deficit: Array
    income: Array


def unit_cost(log_wage: Array, log_price: Array, situation: Situation) -> Array:
    """log ĉ_nk = v_nk log ŵ_n + Σ_j γ_njk log P̂_nj  (Caliendo & Parro 2015, eq. 10). Returns [country, sector]."""
    inputs = jnp.einsum("njk,nj->nk", situation.input_share, log_price)
    return situation.value_added_share * log_wage[:, None] + inputs


def competitiveness(log_cost: Array, situation: Situation) -> Array:
    """a_ij = ĉ_ij^(−θ_j): what a seller's cost contributes to its weight in every market. Returns [sector, exporter]."""
    return jnp.exp(-situation.trade_elasticity[:, None] * log_cost.T)


def market_access(competitive: Array, situation: Situation) -> Array:
    """P̂_nj^(−θ_j) = Σ_i π_nij κ̂_nij^(−θ_j) a_ij  (eq. 11, before the root). Returns [sector, importer]."""
    return jnp.einsum("jni,ji->jn", situation.trade_weight, competitive)


def price_index(access: Array, situation: Situation) -> Array:
    """log P̂_nj = −1/θ_j log Σ_i π_nij κ̂_nij^(−θ_j) ĉ_ij^(−θ_j)  (eq. 11). Returns [country, sector]."""
    return (-jnp.log(access) / situation.trade_elasticity[:, None]).T


def output(competitive: Array, demand: Array, situation: Situation) -> Array:
    """Y'_ij = a_ij Σ_n π_nij κ̂_nij^(−θ_j) / ((1+t')(1+e')) Q_nj, Q = X'/P̂^(−θ)  (inside eq. 13: sales net of duties)."""
    weight = situation.trade_weight if situation.sales_weight is None else situation.sales_weight
    return (competitive * jnp.einsum("jni,jn->ji", weight, demand)).T


def tariff_revenue(competitive: Array, demand: Array, situation: Situation) -> Array:
    """R_n = Σ_j Σ_i t'/(1+t') π'_nij X'_nj  (the revenue in eq. 13's income). Returns [country]."""
    if situation.tariff_weight is None:
        return jnp.zeros_like(situation.value_added)
    return jnp.sum(demand * jnp.einsum("jni,ji->jn", situation.tariff_weight, competitive), axis=0)


def export_tax_revenue(competitive: Array, demand: Array, situation: Situation) -> Array:
    """E_i = Σ_j Σ_n e'/((1+t')(1+e')) π'_nij X'_nj: the tax falls on the price before the importer's duty."""
    if situation.export_tax_weight is None:
        return jnp.zeros_like(situation.value_added)
    return jnp.sum(competitive * jnp.einsum("jni,jn->ji", situation.export_tax_weight, demand), axis=0)


def deficit(factor_income: Array, revenue: Array, situation: Situation) -> Array:
    """D'_n under the closure; sums to zero over the world in each of them. Returns [country].

    share-of-world: D_n times the growth of world income (factor income and policy revenue).
    share-of-own: the baseline ratio D_n/VA_n times own factor income, less the same share of everyone's factor income
        that brings the world's sum to zero.
    fixed, balanced: D_n in the numéraire (zero when the economy was balanced first).
    """
    if situation.closure == "share-of-world":
        return situation.deficit * (jnp.sum(factor_income) + jnp.sum(revenue)) / situation.world_income
    if situation.closure == "share-of-own":
        own = situation.deficit / situation.value_added * factor_income
        return own - jnp.sum(own) * factor_income / jnp.sum(factor_income)
    return situation.deficit


def income(factor_income: Array, revenue: Array, situation: Situation) -> Array:
    """I'_n = ŵ_n VA_n + tariff revenue + export-tax revenue + D'_n  (below eq. 13). Returns [country]."""
    return factor_income + revenue + deficit(factor_income, revenue, situation)


def consumption_spending(country_income: Array, situation: Situation) -> Array:
    """α_nj I'_n: Cobb–Douglas consumption  (from eq. 1). Returns [country, sector]."""
    return situation.consumption_share * country_income[:, None]


def consumer_price(log_price: Array, consumption_share: Array) -> Array:
    """log P̂^C_n = Σ_j α_nj log P̂_nj  (from eq. 5). Returns [country]."""
    return jnp.sum(consumption_share * log_price, axis=1)


def price_gap(log_price: Array, log_wage: Array, situation: Situation) -> Array:
    """Price indices that follow from the prices of inputs, less those prices: log points [country, sector]."""
    competitive = competitiveness(unit_cost(log_wage, log_price, situation), situation)
    return price_index(market_access(competitive, situation), situation) - log_price


def market(log_wage: Array, log_price: Array, situation: Situation) -> Market:
    """The part of the flows that wages and prices determine."""
    return Market(
        competitiveness(unit_cost(log_wage, log_price, situation), situation),
        jnp.exp(situation.trade_elasticity[:, None] * log_price.T),
        jnp.exp(log_wage) * situation.value_added,
    )


def flows(spending: Array, at: Market, situation: Situation) -> Flows:
    """Sales, revenue and income that spending [country, sector] gives rise to, and the spending that follows  (eq. 13)."""
    demand = spending.T * at.inverse_access
    sold = output(at.competitive, demand, situation)
    duties = tariff_revenue(at.competitive, demand, situation)
    taxes = export_tax_revenue(at.competitive, demand, situation)
    earned = income(at.factor_income, duties + taxes, situation)
    bought = jnp.einsum("njk,nk->nj", situation.input_share, sold) + consumption_spending(earned, situation)
    return Flows(sold, bought, duties, taxes, deficit(at.factor_income, duties + taxes, situation), earned)


def spending_gap(spending: Array, at: Market, situation: Situation) -> Array:
    """Spending that follows from sales, less spending: units of world factor income [country, sector]  (eq. 13)."""
    return flows(spending, at, situation).spending - spending


def factor_market_gap(sold: Array, log_wage: Array, situation: Situation) -> Array:
    """log(Σ_k v_nk Y'_nk) − log(ŵ_n VA_n): excess demand for the factor, log points [country].

    Equivalent to trade balance (eq. 14) once spending follows from sales.
    """
    earned = jnp.sum(situation.value_added_share * sold, axis=1)
    return jnp.log(earned) - jnp.log(situation.value_added) - log_wage


def residual(unknowns: Unknowns, situation: Situation) -> Unknowns:
    """All equilibrium conditions at once, each relative: log points for wages and prices, a ratio for spending."""
    result = flows(unknowns.spending, market(unknowns.log_wage, unknowns.log_price, situation), situation)
    relative = (result.spending - unknowns.spending) / jnp.where(
        unknowns.spending == 0, 1.0, unknowns.spending
    )
    return Unknowns(
        factor_market_gap(result.output, unknowns.log_wage, situation),
        price_gap(unknowns.log_price, unknowns.log_wage, situation),
        relative,
    )
