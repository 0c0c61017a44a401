"""The equilibrium in changes of Caliendo & Parro (2015, Review of Economic Studies 82:1), one function an equation.

Letters: n importer (buyer), i exporter (seller), j sector of the good, k sector of its user. Hats are ratios to the
baseline; levels are in units of world factor income, the numéraire. Nothing here knows how the equations are solved, and
nothing has a scenario axis. Trade weights carry the scenario: `trade_weight` = π_nij κ̂_nij^(−θ_j), with an entry share in
the place of a nil π where the scenario revives a flow, and zero where trade is banned, so that no function ever forms the
counterfactual share of each importer, exporter and sector.

Buyers are the importers. Where producers and final users have import mixes of their own (by use) there are twice as
many: the producers of each country, then its final users, each with weights, price index and spending. log P̂ among the
unknowns is then the producers' index; that of final users follows from costs and feeds back on nothing but demand.

Production and consumption are Cobb–Douglas above the Armington nest, and one mobile factor earns one wage in a country,
unless the situation says otherwise: `substitution` replaces the nests (see `detente.nests`), `factors` keeps factors in
their sectors in part or altogether.
"""

import jax.numpy as jnp
from jax import Array

from detente import nests
from detente.nests import Costs
from detente.terms import Factors, Flows, Market, Situation, Strips, Transit, Unknowns


def factor_price(log_wage: Array, log_premium: Array | None) -> Array:
    """log ŵ_nk: what the factors of a sector earn, [country, sector], or [country, 1] where all earn the same."""
    return log_wage[:, None] if log_premium is None else log_wage[:, None] + log_premium


def factor_income(log_wage: Array, log_premium: Array | None, situation: Situation) -> Array:
    """Income of all factors [country]: ŵ_n VA_n L̂_n for those that move, and what resources earn.

    A resource's income is that of its sector, s_nk VA_n ŵ_n exp((z_nk + ρ_nk log R̂_nk + (ν_nk − ρ_nk) log L̂_n)/ν_nk): the
    factor price follows from the income (see `premium_gap`), here turned around.
    """
    wage, factors = jnp.exp(log_wage), situation.factors
    if factors is None or log_premium is None:
        earned = wage * situation.value_added
        return earned if situation.endowment is None else earned * situation.endowment
    rho, sticky = factors.resource_share, factors.stickiness
    grown = jnp.exp(
        (log_premium + _moved_factors(factors, situation)) / jnp.where(rho > 0, sticky, 1.0)
    )  # else 0 · ∞ where factors are nearly mobile
    mobile = 1 - rho if situation.endowment is None else (1 - rho) * situation.endowment[:, None]
    by_sector = factors.sector_income * (mobile + rho * grown)
    return wage * jnp.sum(by_sector, axis=1)


def _moved_factors(factors: Factors, situation: Situation) -> Array | float:
    """ρ log R̂ + (ν − ρ) log L̂: what more of the factors takes off a sector's factor price [country, sector]."""
    resource = 0.0 if factors.log_resource is None else factors.resource_share * factors.log_resource
    if situation.endowment is None:
        return resource
    return resource + (factors.stickiness - factors.resource_share) * jnp.log(situation.endowment)[:, None]


def unit_cost(log_factor_price: Array, log_price: Array, situation: Situation) -> Array:
    """log ĉ_nk = v_nk log ŵ_nk + Σ_j γ_njk log P̂_nj  (Caliendo & Parro 2015, eq. 10). Returns [country, sector].

    With other nests than Cobb–Douglas, `nests.costs`.
    """
    if situation.substitution is None or situation.recipe is None:
        inputs = jnp.einsum("njk,nj->nk", situation.input_share, log_price)
        return situation.value_added_share * log_factor_price + inputs
    return _nested_costs(log_factor_price, log_price, situation).log_cost


def _nested_costs(log_factor_price: Array, log_price: Array, situation: Situation) -> Costs:
    assert situation.recipe is not None
    assert situation.substitution is not None
    v = situation.value_added_share
    return nests.costs(log_factor_price, log_price, v, situation.recipe, situation.substitution)


def competitiveness(log_cost: Array, situation: Situation) -> Array:
    """a_ij = ĉ_ij^(−θ_j): what a seller's cost contributes to its weight in every market. Returns [sector, exporter]."""
    return jnp.exp(-situation.trade_elasticity[:, None] * log_cost.T)


def by_use(situation: Situation) -> bool:
    """Whether producers and final users have import mixes of their own."""
    return situation.trade_weight.shape[1] != situation.trade_weight.shape[2]


def over_uses(by_buyer: Array, situation: Situation) -> Array:
    """Summed over the uses of each country: [buyer, …] to [country, …]."""
    if not by_use(situation):
        return by_buyer
    return jnp.sum(by_buyer.reshape(2, situation.trade_weight.shape[2], *by_buyer.shape[1:]), axis=0)


def market_access(competitive: Array, situation: Situation, buyers: slice = slice(None)) -> Array:
    """P̂_nj^(−θ_j) = Σ_i π_nij κ̂_nij^(−θ_j) a_ij  (eq. 11, before the root). Returns [sector, buyer]."""
    cross = situation.cross
    strips = None if cross is None else cross.trade
    return _over_exporters(situation.trade_weight, strips, competitive, situation, buyers)


def _over_exporters(
    weight: Array,
    strips: Strips | None,
    competitive: Array,
    situation: Situation,
    buyers: slice = slice(None),
) -> Array:
    """Σ_i of a weight times a_ij, for some of the buyers [sector, buyer]."""
    found = jnp.einsum("jni,ji->jn", weight if buyers == slice(None) else weight[:, buyers], competitive)
    if strips is None or situation.cross is None:
        return found
    cross = situation.cross
    columns = jnp.einsum("ci,ji->jc", cross.exporter, competitive)
    found = found + jnp.sum(strips.column[:, buyers] * columns[:, None, :], axis=2)
    rows = jnp.sum(strips.row * competitive[:, None, :], axis=2)
    return found + jnp.sum(rows[:, :, None] * cross.buyer[None, :, buyers], axis=1)


def _over_buyers(weight: Array, strips: Strips | None, demand: Array, situation: Situation) -> Array:
    """Σ_n of a weight times Q_nj [sector, exporter]."""
    found = jnp.einsum("jni,jn->ji", weight, demand)
    if strips is None or situation.cross is None:
        return found
    cross = situation.cross
    rows = jnp.einsum("rn,jn->jr", cross.buyer, demand)
    found = found + jnp.sum(strips.row * rows[:, :, None], axis=1)
    columns = jnp.sum(strips.column * demand[:, :, None], axis=1)
    return found + jnp.sum(columns[:, :, None] * cross.exporter[None], axis=1)


def price_index(access: Array, situation: Situation) -> Array:
    """log P̂_nj = −1/θ_j log Σ_i π_nij κ̂_nij^(−θ_j) ĉ_ij^(−θ_j)  (eq. 11). Returns [buyer, sector]."""
    return (-jnp.log(access) / situation.trade_elasticity[:, None]).T


def final_price(log_price: Array, competitive: Array, situation: Situation) -> Array:
    """log P̂_nj of final users: the one index of a country, or eq. 11 at their own weights. Returns [country, sector]."""
    if not by_use(situation):
        return log_price
    final = slice(situation.trade_weight.shape[2], None)
    return price_index(market_access(competitive, situation, final), situation)


def output(competitive: Array, demand: Array, situation: Situation) -> Array:
    """Y'_ij = a_ij Σ_n π_nij κ̂_nij^(−θ_j) / ((1+t')(1+e')) Q_nj, Q = X'/P̂^(−θ)  (inside eq. 13: sales net of duties)."""
    weight, cross = situation.sales_weight, situation.cross
    if weight is None:
        strips = None if cross is None else cross.trade
        weight = situation.trade_weight
    else:
        strips = None if cross is None else cross.sales
    return (competitive * _over_buyers(weight, strips, demand, situation)).T


def tariff_revenue(competitive: Array, demand: Array, situation: Situation) -> Array:
    """R_n = Σ_j Σ_i t'/(1+t') π'_nij X'_nj  (the revenue in eq. 13's income). Returns [country]."""
    if situation.tariff_weight is None:
        return jnp.zeros_like(situation.value_added)
    strips = None if situation.cross is None else situation.cross.tariff
    duty = _over_exporters(situation.tariff_weight, strips, competitive, situation)
    paid = jnp.sum(demand * duty, axis=0)
    return over_uses(paid, situation)


def export_tax_revenue(competitive: Array, demand: Array, situation: Situation) -> Array:
    """E_i = Σ_j Σ_n e'/((1+t')(1+e')) π'_nij X'_nj: the tax falls on the price before the importer's duty."""
    if situation.export_tax_weight is None:
        return jnp.zeros_like(situation.value_added)
    strips = None if situation.cross is None else situation.cross.export_tax
    return jnp.sum(competitive * _over_buyers(situation.export_tax_weight, strips, demand, situation), axis=0)


def rent(competitive: Array, demand: Array, situation: Situation) -> Array:
    """Rents of price caps, quotas and held prices [country]: what π'_nij X'_nj holds above the sellers' receipts."""
    rents = situation.rents
    if rents is None:
        return jnp.zeros_like(situation.value_added)
    pools = rents.sectors
    paid = rents.weight * demand[pools][:, :, None] * competitive[pools][:, None, :]
    by_importer, by_exporter = over_uses(paid.sum(axis=2).T, situation).T, paid.sum(axis=1)
    total = by_importer.sum(axis=1)
    return rents.to_importer @ by_importer + rents.to_exporter @ by_exporter + total @ rents.to_country


def re_exports(competitive: Array, demand: Array, transit: Transit) -> Array:
    """What goes around sanctions through each hub, at the price there with the hub's margin, net of duties [cell, hub]."""
    paid = competitive[transit.sector, transit.exporter] * demand[transit.sector, transit.buyer]
    return paid[:, None] * transit.weight


def margin_income(competitive: Array, demand: Array, situation: Situation) -> Array:
    """Σ m/(1+m) of what a country re-exports: what hubs earn and sellers do not get. Returns [country]."""
    none, transit = jnp.zeros_like(situation.value_added), situation.transit
    if transit is None:
        return none
    return none.at[transit.hub].add(transit.rate @ re_exports(competitive, demand, transit))


def foreign_income(factor_income: Array, situation: Situation) -> Array:
    """F'_n = Σ_h C'_nh FI_h − Σ_o C'_on FI_n: what owners get from abroad less what they are owed at home [country].

    C'_oh is the share of host h's factor income FI_h = ŵ_h VA_h that is due to owner o. Sums to zero over the world.
    """
    if situation.claims is None:
        return jnp.zeros_like(factor_income)
    return situation.claims @ factor_income - jnp.sum(situation.claims, axis=0) * factor_income


def deficit(factor_income: Array, revenue: Array, situation: Situation) -> Array:
    """D'_n = under the closure, plus F'_n and what is given; sums to zero over the world. Returns [country].

    D'_n is what is spent above own factor income and revenue. The closure moves the part of it that is no income from
    abroad (D_n less F_n of the baseline, `Situation.deficit`), F'_n is `foreign_income`; `Situation.transfer` comes on top.
    """
    found = closed(factor_income, revenue, situation)
    if situation.claims is not None:
        found = found + foreign_income(factor_income, situation)
    return found if situation.transfer is None else found + situation.transfer


def closed(factor_income: Array, revenue: Array, situation: Situation) -> Array:
    """What becomes of the baseline's D_n under the closure; sums to zero over the world in each of them. Returns [country].

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
    """I'_n = ŵ_n VA_n + tariff revenue + export-tax revenue + rents + D'_n  (below eq. 13). Returns [country].

    A hub's margins count as revenue, here and in the closures.
    """
    return factor_income + revenue + deficit(factor_income, revenue, situation)


def consumption_share(log_price: Array, situation: Situation) -> Array:
    """α'_nj, which is α_nj for Cobb–Douglas consumption  (from eq. 1). Returns [country, sector]."""
    if situation.substitution is None or situation.recipe is None:
        return situation.consumption_share
    return nests.consumption_share(log_price, situation.recipe, situation.substitution)


def consumer_price(log_price: Array, situation: Situation) -> Array:
    """log P̂^C_n = Σ_j α_nj log P̂_nj  (from eq. 5), or the CES index. Returns [country]."""
    if situation.substitution is None or situation.recipe is None:
        return jnp.sum(situation.consumption_share * log_price, axis=1)
    return nests.consumer_price(log_price, situation.recipe, situation.substitution)


def price_gap(log_price: Array, log_factor_price: Array, situation: Situation) -> Array:
    """Price indices that follow from the prices of inputs, less those prices: log points [country, sector]."""
    competitive = competitiveness(unit_cost(log_factor_price, log_price, situation), situation)
    return price_gap_at(log_price, competitive, situation)


def price_gap_at(log_price: Array, competitive: Array, situation: Situation) -> Array:
    """The same where `competitiveness` [sector, exporter] is known."""
    producers = slice(situation.trade_weight.shape[2]) if by_use(situation) else slice(None)
    return price_index(market_access(competitive, situation, producers), situation) - log_price


def market(
    log_wage: Array, log_price: Array, situation: Situation, log_premium: Array | None = None
) -> Market:
    """The part of the flows that wages and prices determine."""
    paid = factor_price(log_wage, log_premium)
    if situation.substitution is None:
        costs, log_cost = None, unit_cost(paid, log_price, situation)
    else:
        costs = _nested_costs(paid, log_price, situation)
        log_cost = costs.log_cost
    competitive = competitiveness(log_cost, situation)
    final = final_price(log_price, competitive, situation)
    buyers = jnp.concatenate([log_price, final]) if by_use(situation) else log_price
    return Market(
        competitive,
        jnp.exp(situation.trade_elasticity[:, None] * buyers.T),
        factor_income(log_wage, log_premium, situation),
        consumption_share(final, situation),
        costs,
    )


def input_spending(sold: Array, at: Market, situation: Situation) -> Array:
    """Σ_k γ'_njk Y'_nk: what producers spend on each good. Returns [country, sector]."""
    if at.costs is None or situation.recipe is None or situation.substitution is None:
        return jnp.einsum("njk,nk->nj", situation.input_share, sold)
    return nests.input_spending(sold, at.costs, situation.recipe, situation.substitution)


def value_added(sold: Array, at: Market, situation: Situation) -> Array:
    """v'_nk Y'_nk: what factors earn in each sector. Returns [country, sector]."""
    earned = situation.value_added_share * sold
    return earned if at.costs is None else earned * at.costs.value_added


def flows(spending: Array, at: Market, situation: Situation) -> Flows:
    """Sales, revenue and income that spending [buyer, sector] gives rise to, and the spending that follows  (eq. 13)."""
    demand = spending.T * at.inverse_access
    sold = output(at.competitive, demand, situation)
    duties = tariff_revenue(at.competitive, demand, situation)
    taxes = export_tax_revenue(at.competitive, demand, situation)
    rents = rent(at.competitive, demand, situation)
    margins = margin_income(at.competitive, demand, situation)
    revenue = duties + taxes + rents + margins
    earned = income(at.factor_income, revenue, situation)
    used, wanted = input_spending(sold, at, situation), at.consumption_share * earned[:, None]
    bought = jnp.concatenate([used, wanted]) if by_use(situation) else used + wanted
    owed = deficit(at.factor_income, revenue, situation)
    abroad = foreign_income(at.factor_income, situation)
    return Flows(sold, bought, duties, taxes, rents, margins, abroad, owed, earned)


def spending_gap(spending: Array, at: Market, situation: Situation) -> Array:
    """Spending that follows from sales, less spending: units of world factor income [buyer, sector]  (eq. 13)."""
    return flows(spending, at, situation).spending - spending


def factor_market_gap(sold: Array, log_wage: Array, at: Market, situation: Situation) -> Array:
    """log Σ_k (1 − ρ_nk) v'_nk Y'_nk − log of its baseline − log L̂_n − log ŵ_n: excess demand for mobile factors [country].

    Without resources equivalent to trade balance (eq. 14) once spending follows from sales.
    """
    earned, at_rest = value_added(sold, at, situation), situation.value_added
    if situation.factors is not None:
        mobile = 1 - situation.factors.resource_share
        earned, at_rest = mobile * earned, jnp.sum(mobile * situation.factors.sector_income, axis=1)
    if situation.endowment is not None:
        at_rest = at_rest * situation.endowment
    return jnp.log(jnp.sum(earned, axis=1)) - jnp.log(at_rest) - log_wage


def premium_gap(sold: Array, log_wage: Array, log_premium: Array, at: Market, situation: Situation) -> Array:
    """ν_nk (log of the growth of v'_nk Y'_nk − log ŵ_n) − ρ_nk log R̂_nk − (ν_nk − ρ_nk) log L̂_n − z_nk  [country, sector].

    Galle, Rodríguez-Clare & Yi (2023), eq. 8: a sector's factor income is s_nk ŵ_nk^μ ŵ_n^(1−μ) VA_n; a resource earns
    what its Cobb–Douglas share in the sector's value added leaves it. Nil where the baseline has no output.
    """
    factors = situation.factors
    assert factors is not None
    there = factors.sector_income > 0
    earned = jnp.where(there, value_added(sold, at, situation), 1.0)
    grown = jnp.log(earned) - jnp.log(jnp.where(there, factors.sector_income, 1.0))
    goal = factors.stickiness * (grown - log_wage[:, None]) - _moved_factors(factors, situation)
    return jnp.where(there, goal, 0.0) - log_premium


def residual(unknowns: Unknowns, situation: Situation) -> Unknowns:
    """All equilibrium conditions at once, each relative: log points for wages and prices, a ratio for spending."""
    log_wage, log_price, spending, log_premium = unknowns
    at = market(log_wage, log_price, situation, log_premium)
    result = flows(spending, at, situation)
    relative = (result.spending - spending) / jnp.where(spending == 0, 1.0, spending)
    return Unknowns(
        factor_market_gap(result.output, log_wage, at, situation),
        price_gap(log_price, factor_price(log_wage, log_premium), situation),
        relative,
        None if log_premium is None else premium_gap(result.output, log_wage, log_premium, at, situation),
    )
