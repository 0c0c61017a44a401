"""The equilibrium conditions once more, in NumPy on full arrays, sharing no code with the engine.

Prices and spending of an answer go in with the economy and the shock; what they imply comes out and is compared.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detente.economy import Economy
from detente.equilibrium import Equilibrium
from detente.nests import Substitution
from detente.shock import Shock

UNITY = 1e-6  # elasticities this close to one are taken by the second order here: quotients of rounding are worse than that


def gaps(economy: Economy, shock: Shock, found: Equilibrium) -> dict[str, float]:
    """Largest relative gap of each equilibrium condition at the answer's prices and spending."""
    share, theta = np.asarray(economy.trade_share), np.asarray(economy.trade_elasticity)
    value_added = np.asarray(economy.value_added)
    old_tariff, old_tax = rate(economy.tariff, share), rate(economy.export_tax, share)
    tariff = old_tariff if shock.tariff_new is None else rate(shock.tariff_new, share)
    tax = old_tax if shock.export_tax_new is None else rate(shock.export_tax_new, share)
    kappa = (1 + tariff) / (1 + old_tariff) * (1 + tax) / (1 + old_tax)
    if shock.trade_cost_change is not None:
        kappa = kappa * np.asarray(shock.trade_cost_change)
    weight = kappa**-theta
    if shock.weight_change is not None:
        weight = weight * np.asarray(shock.weight_change)
    banned = np.zeros(share.shape, bool) if shock.blocked is None else np.asarray(shock.blocked)
    weight = np.where(banned, 0.0, weight)

    wage, price = np.asarray(found.wage_change), np.asarray(found.price_change)
    spending = np.asarray(found.spending)
    paid = np.asarray(found.factor_price_change)
    cost, v, gamma = production(economy, paid, price)
    consumer, alpha = consumption(economy, price)
    if shock.entry is not None:
        share = share + np.asarray(shock.entry)
    pull = share * weight * (cost**-theta)[None, :, :]
    index = pull.sum(axis=1) ** (-1 / theta)
    flow = pull * (price**theta * spending)[:, None, :]
    border = flow / (1 + tariff)
    received = border / (1 + tax)
    output = received.sum(axis=0)
    revenue = (flow - border).sum(axis=(1, 2)) + (border - received).sum(axis=(0, 2))
    earned = v * output
    factor = earned.sum(axis=1)
    deficit = _deficit(economy, share, old_tariff, old_tax, factor, revenue)
    income = factor + revenue + deficit
    bought = np.einsum("njk,nk->nj", gamma, output) + alpha * income[:, None]
    real = income / np.asarray(economy.income) / consumer
    return {
        "price index": float(np.abs(index / price - 1).max()),
        "spending": _relative(bought, spending),
        "numéraire": abs(float(factor.sum()) - float(value_added.sum())),
        "deficits sum to zero": abs(float(deficit.sum())),
        "income is positive": 0.0 if income.min() > 0 else 1.0,
        "reported income": _relative(np.asarray(found.income), income),
        "reported real income": float(np.abs(np.asarray(found.real_income_change) / real - 1).max()),
        "reported output": _relative(np.asarray(found.output), output),
        "reported value added": _relative(np.asarray(found.value_added), earned),
        "banned flows are exactly zero": float(np.abs(found.trade_share()[banned]).max(initial=0.0)),
    } | factor_markets(economy, earned, wage, paid)


def rate(given: object, like: NDArray) -> NDArray:
    """An ad-valorem rate over [importer, exporter, sector]; nil where nothing is given."""
    return (
        np.zeros(like.shape) if given is None else np.broadcast_to(np.asarray(given, dtype=float), like.shape)
    )


def factor_markets(economy: Economy, earned: NDArray, wage: NDArray, paid: NDArray) -> dict[str, float]:
    """Supply against demand of mobile factors, and the price of value added that follows from its parts.

    Mobile factors: income of sector k in proportion to s_k ω_k^μ ŵ^(1−μ) (Galle, Rodríguez-Clare & Yi 2023), or one wage.
    """
    at_rest = np.asarray(economy.value_added_share) * np.asarray(economy.output)
    used = at_rest > 0
    rho = np.zeros(at_rest.shape) if economy.resource_share is None else np.asarray(economy.resource_share)
    rho = np.where(used, rho, 0.0)
    mobile, mobile_at_rest = (1 - rho) * earned, (1 - rho) * at_rest
    average = mobile.sum(axis=1) / mobile_at_rest.sum(axis=1)
    growth = np.where(used, earned, 1.0) / np.where(used, at_rest, 1.0)
    own = np.broadcast_to(wage[:, None], growth.shape)  # ω: what mobile factors earn in the sector
    if economy.factor_mobility is not None:
        mu = float(economy.factor_mobility)
        own = np.where(used, (growth * wage[:, None] ** (mu - 1)) ** (1 / mu), own)
    return {
        "factor market": float(np.abs(average / wage - 1).max()),
        "factor price": float(np.abs(growth**rho * own ** (1 - rho) / paid - 1).max(where=used, initial=0)),
    }


def power_mean(weights: NDArray, prices: NDArray, elasticity: ArrayLike) -> NDArray:
    """CES price index over the last axis; weights that sum to nil give one. One elasticity, or one for each index."""
    nothing = weights.sum(axis=-1) == 0
    elasticity = np.broadcast_to(np.asarray(elasticity, float), nothing.shape)
    one = np.abs(elasticity - 1) < UNITY
    r = np.where(one, 1.0, 1 - elasticity)
    total = (weights * prices ** r[..., None]).sum(axis=-1)
    general = np.where(nothing, 1.0, np.where(nothing, 1.0, total) ** (1 / r))
    middle = (weights * np.log(prices)).sum(axis=-1)
    spread = (weights * (np.log(prices) - middle[..., None]) ** 2).sum(axis=-1)
    return np.where(one, np.exp(middle + (1 - elasticity) / 2 * spread), general)


def _split(
    weights: NDArray, prices: NDArray, nest: Substitution, elasticities: tuple[float, NDArray, NDArray]
) -> tuple[NDArray, NDArray]:
    """A bundle of energy and other goods (last axis): its price, and the new share of each good in its cost."""
    among, mix, against = elasticities
    energy = np.isin(np.arange(weights.shape[-1]), nest.energy_goods)
    total = np.stack([weights[..., energy].sum(-1), weights[..., ~energy].sum(-1)], axis=-1)
    within = weights / np.where(
        np.where(energy, total[..., :1], total[..., 1:]) > 0,
        np.where(energy, total[..., :1], total[..., 1:]),
        1,
    )
    prices = np.broadcast_to(prices, weights.shape)
    parts = np.stack(
        [
            power_mean(within[..., energy], prices[..., energy], mix),
            power_mean(within[..., ~energy], prices[..., ~energy], among),
        ],
        axis=-1,
    )
    everything = total.sum(axis=-1, keepdims=True)
    index = power_mean(total / np.where(everything > 0, everything, 1), parts, against)
    part = np.where(energy, parts[..., :1], parts[..., 1:])
    inside = np.where(energy, mix[..., None], among)
    share = weights * (prices / part) ** (1 - inside) * (part / index[..., None]) ** (1 - against[..., None])
    return index, share


def production(economy: Economy, paid: NDArray, price: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Unit cost (a ratio) and the new value-added share [country, user] and input shares [country, good, user]."""
    gamma, v = np.asarray(economy.input_share), np.asarray(economy.value_added_share)
    nest = economy.substitution
    if nest is None:
        return paid**v * np.exp(np.einsum("njk,nj->nk", gamma, np.log(price))), v, gamma
    bought = gamma.transpose(0, 2, 1)  # country, user, good
    nests = float(nest.inputs), np.asarray(nest.energy_mix), np.asarray(nest.energy)
    inputs, share = _split(bought, price[:, None, :], nest, nests)
    top = np.asarray(nest.value_added)
    cost = power_mean(np.stack([v, bought.sum(-1)], axis=-1), np.stack([paid, inputs], axis=-1), top)
    new = share * ((inputs / cost) ** (1 - top))[..., None]
    return cost, v * (paid / cost) ** (1 - top), new.transpose(0, 2, 1)


def consumption(economy: Economy, price: NDArray) -> tuple[NDArray, NDArray]:
    """Consumer price (a ratio) [country] and the new consumption shares [country, good]."""
    alpha, nest = np.asarray(economy.consumption_share), economy.substitution
    if nest is None:
        return np.exp((alpha * np.log(price)).sum(axis=1)), alpha
    nests = float(nest.consumption), np.asarray(nest.consumption_mix), np.asarray(nest.consumption_energy)
    return _split(alpha, price, nest, nests)


def _relative(new: NDArray, old: NDArray) -> float:
    gap = np.abs(new - old)
    return float((gap / np.where(gap > 0, np.maximum(np.abs(old), 1e-300), 1.0)).max())


def _deficit(
    economy: Economy, share: NDArray, tariff: NDArray, tax: NDArray, factor: NDArray, revenue: NDArray
) -> NDArray:
    """D' under the economy's closure."""
    given, value_added = np.asarray(economy.deficit), np.asarray(economy.value_added)
    if economy.closure == "share-of-world":
        paid = share * np.asarray(economy.spending)[:, None, :]
        duties = paid - paid / ((1 + tariff) * (1 + tax))
        return given * (factor.sum() + revenue.sum()) / (value_added.sum() + duties.sum())
    if economy.closure == "share-of-own":
        own = given / value_added * factor
        return own - own.sum() * factor / factor.sum()
    return given
