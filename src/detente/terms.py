"""What the equations speak of, as records of arrays: unknowns, the situation, what follows from them."""

from typing import NamedTuple

import equinox as eqx
from jax import Array

from detente.nests import Costs, Recipe, Substitution


class Unknowns(NamedTuple):
    """What the solver moves: log ŵ [country], log P̂ [country, sector], X' [buyer, sector], and the premium.

    log_premium: log ŵ_nk − log ŵ_n, by which a sector's factors earn more than the country's [country, sector]; None where
    every factor is mobile.
    """

    log_wage: Array
    log_price: Array
    spending: Array
    log_premium: Array | None = None


class Factors(eqx.Module):
    """Factors that are stuck in their sectors, in part or altogether, each [country, sector].

    stickiness: ν in [0, 1], what part of a change in a sector's factor income becomes a change in its factor price;
        1/μ of Galle, Rodríguez-Clare & Yi (2023, Review of Economic Studies 90:1) for labour and capital that move with
        mobility μ, and ρ + (1 − ρ)/μ where a natural resource takes the share ρ of value added.
    resource_share: ρ; sector_income: baseline factor income; log_resource: log change of the resource's quantity.
    """

    stickiness: Array
    resource_share: Array
    sector_income: Array
    log_resource: Array | None


class Rents(eqx.Module):
    """What buyers pay above what sellers get, by pool: the flows of one sector that one instrument is about.

    weight [pool, buyer, exporter]: part of the trade weight that is rent; to_importer, to_exporter [pool] and to_country
    [pool, country]: whose it is. sectors: the sector of each pool.
    """

    sectors: Array
    weight: Array
    to_importer: Array
    to_exporter: Array
    to_country: Array


class Transit(eqx.Module):
    """Goods that go around sanctions through hubs, by flow [cell]; sector, buyer and exporter are indices.

    weight: the part of the trade weight, net of duties, that goes through each hub [cell, hub]; rate: m/(1+m), what part of
    its value the hub keeps; hub: indices of countries [hub].
    """

    sector: Array
    buyer: Array
    exporter: Array
    weight: Array
    rate: Array
    hub: Array


class Strips(NamedTuple):
    """A weight on some rows [sector, row, exporter] and columns [sector, buyer, column], of which the whole holds zeros."""

    row: Array
    column: Array


class Cross(eqx.Module):
    """The trade weights of a few countries' pairs, held apart from the rest, which many scenarios can then share.

    buyer [row, buyer], exporter [column, exporter]: 1 where a row or column is theirs. A pair in both stands in the row.
    tariff, export_tax are None where no duty exists, sales where sellers get all that buyers pay.
    """

    buyer: Array
    exporter: Array
    trade: Strips
    sales: Strips | None
    tariff: Strips | None
    export_tax: Strips | None


class Situation(eqx.Module):
    """One counterfactual: the baseline's shares and the scenario's trade weights, in the order the products want.

    Weights are [sector, buyer, exporter]; tariff and export-tax weights are None where no tariff or export tax exists,
    sales weights where sellers get all that buyers pay; cross holds some of them apart, or is None. substitution and recipe
    are None for Cobb–Douglas nests, factors for mobile ones, transit where nothing goes around sanctions, endowment
    [country] (change in the quantity of mobile factors) where it stays. deficit is what the closure moves; claims [owner,
    host] and transfer [country] are None where nobody owns abroad and nothing is given (see `equations.deficit`).
    """

    trade_weight: Array
    sales_weight: Array | None
    tariff_weight: Array | None
    export_tax_weight: Array | None
    cross: Cross | None
    input_share: Array
    value_added_share: Array
    consumption_share: Array
    value_added: Array
    endowment: Array | None
    deficit: Array
    claims: Array | None
    transfer: Array | None
    world_income: Array
    trade_elasticity: Array
    substitution: Substitution | None
    recipe: Recipe | None
    factors: Factors | None
    rents: Rents | None
    transit: Transit | None
    closure: str = eqx.field(static=True)


class Market(NamedTuple):
    """What wages and prices fix before spending is known.

    competitive: a_ij = ĉ_ij^(−θ_j) [sector, exporter]; inverse_access: P̂_nj^(θ_j) [sector, buyer]; factor_income
    [country]; consumption_share: α' [country, sector]; costs: with nests other than Cobb–Douglas, what demand for inputs
    follows from.
    """

    competitive: Array
    inverse_access: Array
    factor_income: Array
    consumption_share: Array
    costs: Costs | None


class Flows(NamedTuple):
    """What follows from the unknowns: Y' [country, sector], X' [buyer, sector]; revenue, rents, margins, income from
    abroad, deficit, income [country]."""

    output: Array
    spending: Array
    tariff_revenue: Array
    export_tax_revenue: Array
    rent: Array
    margin_income: Array
    foreign_income: Array
    deficit: Array
    income: Array
