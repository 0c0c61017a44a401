"""The witness in levels for nested CES, factors that move only in part, and sector-specific resources.

Beside `tests.brute_force`, whose trade, duties and transfers it uses; of détente it imports nothing either. Each nest is
a CES cost function with weights, not shares: which shares a buyer spends follows from prices. An elasticity of exactly one
is written as the Cobb–Douglas cost function, not as a limit.

Factors: the workers of a country draw their efficiency in each sector from a Fréchet distribution of shape μ and go where
they earn most (Roy's model as in Galle, Rodríguez-Clare & Yi 2023), so that sector k pays A_k w_k^μ Φ^(1−μ) L with
Φ = (Σ_k A_k w_k^μ)^(1/μ); μ = 1 is a fixed number A_k L of efficiency units in each sector, μ = ∞ one wage. A sector's
value added is w^(1−ρ) r^ρ, where r is the rent of its own resource, of which there is a fixed quantity.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import root

from tests import brute_force

NESTS = ("value_added", "energy", "inputs", "energy_mix", "gas_mix", "consumption", "consumption_energy")


@dataclass(frozen=True)
class Primitives:
    """trade: technology, tastes and duties (its input and consumption shares serve as CES weights). Elasticities by nest:
    numbers, or [user].

    energy_goods, gas_goods: places of the energy goods, and of those that are one gas; mobility: μ; resource_share: ρ,
    resource, talent (A): [country, sector].
    """

    trade: brute_force.Primitives
    elasticity: dict[str, float | tuple[float, ...]]
    energy_goods: tuple[int, ...]
    gas_goods: tuple[int, ...]
    mobility: float
    resource_share: np.ndarray
    resource: np.ndarray
    talent: np.ndarray


@dataclass(frozen=True)
class Levels:
    """A solved economy: w, r, price of value added, P, c, X, Y, v'Y [country, sector]; Φ, income and P^C [country]."""

    wage: np.ndarray
    rent: np.ndarray
    factor_price: np.ndarray
    price: np.ndarray
    cost: np.ndarray
    spending: np.ndarray
    output: np.ndarray
    value_added: np.ndarray
    average_wage: np.ndarray
    trade_share: np.ndarray
    input_share: np.ndarray
    value_added_share: np.ndarray
    consumption_share: np.ndarray
    revenue: np.ndarray
    transfer: np.ndarray
    income: np.ndarray
    consumer_price: np.ndarray
    factor_income: np.ndarray


def random_primitives(
    seed: int,
    elasticity: dict[str, float | tuple[float, ...]],
    mobility: float,
    resources: bool,
    gas: bool = False,
    countries: int = 3,
) -> Primitives:
    """A random economy of four sectors, the first two energy; with `resources`, sectors 0 and 3 have their own.

    gas: sectors 0 and 1 are one gas, and sector 2 is energy too.
    """
    draw = np.random.default_rng(seed)
    shape = (countries, 4)
    share = np.zeros(shape)
    if resources:
        share[:, [0, 3]] = draw.uniform(0.1, 0.8, (countries, 2))
    return Primitives(
        trade=brute_force.random_primitives(seed, countries, 4),
        elasticity=elasticity,
        energy_goods=(0, 1, 2) if gas else (0, 1),
        gas_goods=(0, 1) if gas else (),
        mobility=mobility,
        resource_share=share,
        resource=draw.uniform(0.5, 2, shape),
        talent=draw.uniform(0.5, 2, shape),
    )


def ces(weights: np.ndarray, prices: np.ndarray, elasticity: float) -> tuple[float, np.ndarray]:
    """Price of a CES bundle and the share of its cost that goes to each part."""
    if elasticity == 1:
        return float(np.prod(prices**weights)), weights
    parts = weights * prices ** (1 - elasticity)
    return float(parts.sum() ** (1 / (1 - elasticity))), parts / parts.sum()


def of_user(elasticity: float | tuple[float, ...], user: int) -> float:
    """One sector's elasticity, of those of all or the one of all."""
    return elasticity[user] if isinstance(elasticity, tuple) else elasticity


def fuels(weights: np.ndarray, price: np.ndarray, given: Primitives, mix: float) -> tuple[float, np.ndarray]:
    """The bundle of energy goods (the first `len(gas_goods)` of them one gas): price and share of each."""
    gases = len(given.gas_goods)
    if not gases:
        return ces(weights, price, mix)
    part = weights[:gases].sum()
    gas, of_gas = ces(weights[:gases] / part, price[:gases], given.elasticity["gas_mix"])
    index, split = ces(np.r_[part, weights[gases:]], np.r_[gas, price[gases:]], mix)
    return index, np.r_[split[0] * of_gas, split[1:]]


def bundle(
    weights: np.ndarray, price: np.ndarray, given: Primitives, among: float, against: float, mix: float
) -> tuple[float, np.ndarray]:
    """Energy goods in a nest, the others in one, the two against each other: price and share of each good."""
    energy = np.array([j in given.energy_goods for j in range(len(price))])
    total = np.array([weights[energy].sum(), weights[~energy].sum()])
    fuel, of_fuel = fuels(weights[energy] / total[0], price[energy], given, mix)
    other, of_other = ces(weights[~energy] / total[1], price[~energy], among)
    index, split = ces(total / total.sum(), np.array([fuel, other]), against)
    share = np.zeros(len(price))
    share[energy], share[~energy] = split[0] * of_fuel, split[1] * of_other
    return index, share


def solve(given: Primitives, start: Levels | None = None) -> Levels:
    """Wages, rents, prices and spending by `scipy.optimize.root`; RuntimeError where an equation stays open."""
    n, s = given.talent.shape
    if start is None:
        guess = np.concatenate([np.full(3 * n * s, 1 / n), np.full(n * s, 1 / (n * s))])
    else:
        guess = np.concatenate(
            [part.ravel() for part in (start.wage, start.rent, start.price, start.spending)]
        )
    with np.errstate(all="ignore"):  # the search may look far away; what it brings back is checked
        found = root(lambda x: _gaps(x, given)[0], np.log(guess), method="hybr", options={"xtol": 1e-14})
    gaps, levels = _gaps(found.x, given)
    if not np.abs(gaps).max() < 1e-11:
        raise RuntimeError(f"Brute force left a relative gap of {np.abs(gaps).max():.1e}: {found.message}")
    return levels


def _gaps(x: np.ndarray, given: Primitives) -> tuple[np.ndarray, Levels]:
    """Every equation as log(left) − log(right), and the levels at `x` (logs of wages, rents, prices, spending)."""
    n, s = given.talent.shape
    wage, rent, price, spending = np.exp(x).reshape(4, n, s)
    trade, rho, elasticity = given.trade, given.resource_share, given.elasticity
    paid = rent**rho * wage ** (1 - rho)
    cost, v = np.zeros((n, s)), np.zeros((n, s))
    gamma = np.zeros((n, s, s))
    alpha, consumer = np.zeros((n, s)), np.zeros(n)
    for i in range(n):
        consumer[i], alpha[i] = bundle(
            trade.consumption_share[i],
            price[i],
            given,
            elasticity["consumption"],
            elasticity["consumption_energy"],
            elasticity.get("consumption_mix", elasticity["energy_mix"]),
        )
        for k in range(s):
            inputs, of_inputs = bundle(
                trade.input_share[i, :, k],
                price[i],
                given,
                elasticity["inputs"],
                of_user(elasticity["energy"], k),
                of_user(elasticity["energy_mix"], k),
            )
            top = np.array([trade.value_added_share[i, k], 1 - trade.value_added_share[i, k]])
            unit, split = ces(top, np.array([paid[i, k], inputs]), of_user(elasticity["value_added"], k))
            cost[i, k], v[i, k] = unit / trade.productivity[i, k], split[0]
            gamma[i, :, k] = split[1] * of_inputs
    share, index = brute_force._demand(cost, trade)
    flow = share * spending[:, None, :]
    border = flow / (1 + trade.tariff)
    received = border / (1 + trade.export_tax)
    output = received.sum(axis=0)
    revenue = (flow - border).sum(axis=(1, 2)) + (border - received).sum(axis=(0, 2))
    earned = v * output
    labour, supply, average = _labour_market((1 - rho) * earned, wage, given)
    factor_income = supply + np.where(rho > 0, rent * given.resource, 0).sum(axis=1)
    transfer = brute_force._transfer(factor_income, revenue, trade)
    income = factor_income + revenue + transfer
    wanted = alpha * income[:, None]
    for i in range(n):
        wanted[i] += gamma[i] @ output[i]
    labour[0, 0] += np.log(
        factor_income.sum()
    )  # by Walras' law the market clears when all others do: the numéraire
    rented = np.log(np.where(rho > 0, rho * earned, 1))
    land = np.where(rho > 0, rented - np.log(rent * given.resource), np.log(rent))
    gaps = [labour, land, np.log(index / price), np.log(np.maximum(wanted, 1e-300)) - np.log(spending)]
    levels = Levels(
        wage, rent, paid, price, cost, spending, output, earned, average, share, gamma, v, alpha,
        revenue, transfer, income, consumer, factor_income,
    )  # fmt: skip
    return np.concatenate([gap.ravel() for gap in gaps]), levels


def _labour_market(
    demand: np.ndarray, wage: np.ndarray, given: Primitives
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log demand − log supply of labour by sector, its income, and the average wage Φ (one wage: itself) [country]."""
    people = given.trade.labour
    if np.isinf(given.mobility):
        gap = np.log(wage) - np.log(wage[:, :1])
        gap[:, 0] = np.log(demand.sum(axis=1)) - np.log(wage[:, 0] * people)
        return gap, wage[:, 0] * people, wage[:, 0]
    mu = given.mobility
    average = (given.talent * wage**mu).sum(axis=1) ** (1 / mu)
    supply = given.talent * wage**mu * (average ** (1 - mu) * people)[:, None]
    return np.log(demand) - np.log(supply), supply.sum(axis=1), average


def with_rule(given: Primitives, rule: str, baseline: Levels) -> Primitives:
    """The same primitives with the transfer rule tied to a solved baseline."""
    world = baseline.factor_income.sum() + baseline.revenue.sum()
    reference = {"world_income": world, "factor_income": baseline.factor_income}
    return replace(given, trade=replace(given.trade, rule=rule, reference=reference))
