"""The textbook model in levels, with no hats and no shares as data, solved by a general root-finder.

This is the engine's independent witness: wages, prices and flows come from technologies, iceberg costs,
duties and transfers, equation by equation, in plain loops. It imports nothing of détente and shares no
algebra with it.

Technology: output of sector k in country n costs c_nk = (1/z_nk) (w_n/v_nk)^{v_nk} Π_j
(P_nj/γ_njk)^{γ_njk}. Trade: a unit shipped from i to n melts to 1/d_nij; the exporter's government adds
e_nij to the delivered price, then the importer's adds t_nij, so buyers pay p_nij = c_ij d_nij
(1+e_nij)(1+t_nij). Buyers have CES demand with weights b_nij and elasticity of substitution 1 + θ_j; a
ban is b_nij = 0 for that pair (d = ∞). Consumption is Cobb–Douglas with shares α. Transfers follow a rule
named as the engine names its closures. Numéraire: world factor income is 1.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import root


@dataclass(frozen=True)
class Primitives:
    """Everything that is given: [country, sector], [country, input, user] or [importer, exporter, sector]."""

    productivity: np.ndarray
    labour: np.ndarray
    value_added_share: np.ndarray
    input_share: np.ndarray
    consumption_share: np.ndarray
    taste: np.ndarray
    iceberg: np.ndarray
    theta: np.ndarray
    tariff: np.ndarray
    export_tax: np.ndarray
    transfer: np.ndarray
    rule: str = "fixed"
    reference: dict = field(default_factory=dict)  # what the transfer rule remembers of the baseline
    passed_on: np.ndarray | None = (
        None  # [importer, exporter, sector, hub] share of a flow's value that hubs pass on
    )
    margin: float = 0.0  # m: of what hubs pass on they keep m/(1+m), and sellers do not get it


@dataclass(frozen=True)
class Levels:
    """A solved economy. π and flows are [importer, exporter, sector]."""

    wage: np.ndarray
    price: np.ndarray
    cost: np.ndarray
    spending: np.ndarray
    output: np.ndarray
    trade_share: np.ndarray
    revenue: np.ndarray
    transfer: np.ndarray
    income: np.ndarray
    consumer_price: np.ndarray
    factor_income: np.ndarray


def random_primitives(seed: int, countries: int = 4, sectors: int = 3) -> Primitives:
    """An economy drawn at random: home bias in icebergs, duties of 0–40 %, transfers of a few percent."""
    draw = np.random.default_rng(seed)
    shape = (countries, countries, sectors)
    iceberg = 1 + draw.uniform(0.1, 0.9, shape)
    tariff, tax = draw.uniform(0, 0.4, shape), draw.uniform(0, 0.2, shape)
    for n in range(countries):
        iceberg[n, n], tariff[n, n], tax[n, n] = 1, 0, 0
    value_added_share = draw.uniform(0.3, 0.7, (countries, sectors))
    inputs = draw.dirichlet(np.full(sectors, 2.0), (countries, sectors)).transpose(0, 2, 1)
    transfer = draw.uniform(-0.02, 0.02, countries)
    return Primitives(
        productivity=np.exp(draw.normal(0, 0.3, (countries, sectors))),
        labour=draw.uniform(0.5, 2, countries),
        value_added_share=value_added_share,
        input_share=inputs * (1 - value_added_share)[:, None, :],
        consumption_share=draw.dirichlet(np.full(sectors, 3.0), countries),
        taste=draw.uniform(0.5, 1.5, shape),
        iceberg=iceberg,
        theta=draw.uniform(2, 8, sectors),
        tariff=tariff,
        export_tax=tax,
        transfer=transfer - transfer.mean(),
    )


def solve(given: Primitives, start: Levels | None = None) -> Levels:
    """Wages, prices and spending by `scipy.optimize.root`; RuntimeError where an equation stays open."""
    countries, sectors = given.productivity.shape
    if start is None:
        wage = np.full(countries, 1 / given.labour.sum())
        price = np.full((countries, sectors), wage.mean())
        spending = np.outer(wage * given.labour, np.full(sectors, 2 / sectors))
    else:
        wage, price, spending = start.wage, start.price, start.spending
    guess = np.log(np.concatenate([wage, price.ravel(), spending.ravel()]))
    found = root(lambda x: _gaps(x, given)[0], guess, method="hybr", options={"xtol": 1e-14, "maxfev": 20000})
    gaps, levels = _gaps(found.x, given)
    if np.abs(gaps).max() > 1e-11:
        raise RuntimeError(f"Brute force left a relative gap of {np.abs(gaps).max():.1e}: {found.message}")
    return levels


def _gaps(x: np.ndarray, given: Primitives) -> tuple[np.ndarray, Levels]:
    """Every equation as log(left) − log(right), and the levels at `x` (logs of wages, prices, spending)."""
    countries, sectors = given.productivity.shape
    values = np.exp(x)
    wage = values[:countries]
    price = values[countries : countries + countries * sectors].reshape(countries, sectors)
    spending = values[countries + countries * sectors :].reshape(countries, sectors)
    cost = _unit_cost(wage, price, given)
    share, index = _demand(cost, given)
    output = np.zeros((countries, sectors))
    revenue = np.zeros(countries)
    for n in range(countries):
        for i in range(countries):
            for j in range(sectors):
                paid = share[n, i, j] * spending[n, j]
                at_border = paid / (1 + given.tariff[n, i, j])
                received = at_border / (1 + given.export_tax[n, i, j])
                revenue[n] += paid - at_border
                revenue[i] += at_border - received
                if given.passed_on is not None:
                    kept = received * given.passed_on[n, i, j] * given.margin / (1 + given.margin)
                    revenue += kept
                    received -= kept.sum()
                output[i, j] += received
    factor_income = wage * given.labour
    transfer = _transfer(factor_income, revenue, given)
    income = factor_income + revenue + transfer
    wanted = np.zeros((countries, sectors))
    for n in range(countries):
        for j in range(sectors):
            used = sum(given.input_share[n, j, k] * output[n, k] for k in range(sectors))
            wanted[n, j] = used + given.consumption_share[n, j] * income[n]
    earned = (given.value_added_share * output).sum(axis=1)
    market = np.log(earned) - np.log(factor_income)
    market[0] = np.log(factor_income.sum())  # Walras' law frees one market for the numéraire
    safe = np.log(np.maximum(wanted, 1e-300))
    gaps = np.concatenate(
        [market, (np.log(index) - np.log(price)).ravel(), (safe - np.log(spending)).ravel()]
    )
    consumer_price = (price**given.consumption_share).prod(axis=1)
    return gaps, Levels(
        wage, price, cost, spending, output, share, revenue, transfer, income, consumer_price, factor_income
    )


def _unit_cost(wage: np.ndarray, price: np.ndarray, given: Primitives) -> np.ndarray:
    countries, sectors = given.productivity.shape
    cost = np.zeros((countries, sectors))
    for n in range(countries):
        for k in range(sectors):
            v = given.value_added_share[n, k]
            value = (wage[n] / v) ** v / given.productivity[n, k]
            for j in range(sectors):
                share = given.input_share[n, j, k]
                value *= (price[n, j] / share) ** share
            cost[n, k] = value
    return cost


def _demand(cost: np.ndarray, given: Primitives) -> tuple[np.ndarray, np.ndarray]:
    """Expenditure shares and price indices of CES demand at delivered, duty-paid prices."""
    countries, sectors = cost.shape
    share = np.zeros((countries, countries, sectors))
    index = np.zeros((countries, sectors))
    for n in range(countries):
        for j in range(sectors):
            weight = np.zeros(countries)
            for i in range(countries):
                paid = cost[i, j] * given.iceberg[n, i, j]
                paid *= (1 + given.export_tax[n, i, j]) * (1 + given.tariff[n, i, j])
                weight[i] = given.taste[n, i, j] * paid ** -given.theta[j]
            index[n, j] = weight.sum() ** (-1 / given.theta[j])
            share[n, :, j] = weight / weight.sum()
    return share, index


def _transfer(factor_income: np.ndarray, revenue: np.ndarray, given: Primitives) -> np.ndarray:
    """Net transfers received under the rule; before a baseline is remembered they are as given."""
    if not given.reference or given.rule == "fixed":
        return given.transfer
    if given.rule == "share-of-world":
        world = factor_income.sum() + revenue.sum()
        return given.transfer * world / given.reference["world_income"]
    if given.rule == "share-of-own":
        own = given.transfer / given.reference["factor_income"] * factor_income
        return own - own.sum() * factor_income / factor_income.sum()
    raise ValueError(given.rule)


def with_rule(given: Primitives, rule: str, baseline: Levels) -> Primitives:
    """The same primitives with the transfer rule tied to a solved baseline."""
    world = baseline.factor_income.sum() + baseline.revenue.sum()
    return replace(
        given, rule=rule, reference={"world_income": world, "factor_income": baseline.factor_income}
    )
