"""Supply and demand elasticities that an economy implies at its baseline, and the resource share behind a wanted one.

Sectors are price takers here: a sector's own price moves and the prices of all its inputs, of its own good among them, and
of mobile factors stay. Letters as in `detente.equations`: v value-added share, ν stickiness, ρ resource share, μ mobility.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detente.economy import Economy
from detente.nests import Substitution


def supply_elasticity(stickiness: ArrayLike, v: ArrayLike, value_added: ArrayLike) -> NDArray:
    """η_s = (1/ν − 1 + ζ (1 − v))/v: growth of output for a percent on its own price, infinite where factors are mobile.

    From zero profit, log p̂ = v z, and the factor price z = ν · growth of v'Y', in which CES value added against inputs with
    elasticity ζ (`value_added`) has v̂' = exp((1 − ζ)(z − log p̂)). Exact at any size for ζ = 1, else at the baseline.
    """
    nu, v, zeta = np.asarray(stickiness, float), np.asarray(v, float), np.asarray(value_added, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (1 / nu - 1 + zeta * (1 - v)) / v


def stiff(supply: float, v: ArrayLike, value_added: float) -> NDArray:
    """ζ at which more inputs on the same factors give no more than `supply` as elasticity: min(ζ, η_s v/(1 − v))."""
    v = np.asarray(v, float)
    most = np.divide(supply * v, 1 - v, out=np.full(v.shape, np.inf), where=v < 1)
    return np.minimum(value_added, most)


def resource_share(supply: float, v: ArrayLike, value_added: ArrayLike, mobility: float) -> NDArray:
    """ρ in [0, 1] at which a sector's supply elasticity is `supply`: 1/ν = 1 + η_s v − ζ (1 − v), ν = ρ + (1 − ρ)/μ.

    With inputs in fixed proportions and mobile factors (ζ = 0, μ = ∞) it is 1/(1 + η_s v). At ρ = 1 output still grows by
    more inputs on the same resource, at ρ = 0 factors still stick: below ζ (1 − v)/v an elasticity gets ρ = 1, above
    (μ − 1 + ζ (1 − v))/v it gets ρ = 0, and `supply_elasticity` tells what is then reached. With μ = 1 the share
    has no effect.
    """
    v = np.asarray(v, float)
    inverse = np.maximum(1 + supply * v - np.asarray(value_added, float) * (1 - v), 1.0)
    least = 1 / mobility
    if least == 1:
        return np.zeros(v.shape)
    return np.clip((1 / inverse - least) / (1 - least), 0.0, 1.0)


def supply_elasticities(economy: Economy) -> NDArray:
    """Supply elasticity [country, sector]; not a number where nothing is made, infinite where all factors are mobile."""
    moving = 0.0 if economy.factor_mobility is None else 1 / float(economy.factor_mobility)
    rho = np.zeros(1) if economy.resource_share is None else np.asarray(economy.resource_share)
    zeta = 1.0 if economy.substitution is None else np.asarray(economy.substitution.value_added)
    v, made = np.asarray(economy.value_added_share), np.asarray(economy.output)
    nu = np.broadcast_to(rho + (1 - rho) * moving, v.shape)
    return np.where((made > 0) & (v > 0), supply_elasticity(nu, np.where(v > 0, v, 1.0), zeta), np.nan)


def demand_elasticities(economy: Economy) -> NDArray:
    """Demand elasticity [country, sector]: change in what a country uses for a percent on a good's price from all sellers.

    Output of the users, incomes and all other prices held. Not a number where nobody buys the good.
    """
    gamma, alpha = np.asarray(economy.input_share), np.asarray(economy.consumption_share)
    nest = economy.substitution or Substitution.of()
    fuel = np.isin(np.arange(len(economy.sectors)), nest.energy_goods)
    eta, xi = (np.atleast_1d(x)[None, None] for x in (nest.energy, nest.energy_mix))
    eps, xi_c = float(nest.inputs), float(nest.consumption_mix)
    gas = np.isin(np.arange(len(economy.sectors)), nest.gas_goods), float(nest.gas_mix)
    phi, eta_c = float(nest.consumption), float(nest.consumption_energy)
    m = gamma.sum(axis=1, keepdims=True)
    zeta = np.broadcast_to(np.asarray(nest.value_added), m[:, 0].shape)[:, None]
    by_producers = _own(gamma, fuel, gas, m, (eps, xi, eta), zeta * (1 - m))
    wants = alpha[:, :, None]
    by_households = _own(wants, fuel, gas, wants.sum(axis=1, keepdims=True), (phi, xi_c, eta_c), np.ones(1))
    used = gamma * np.asarray(economy.output)[:, None, :]
    eaten = wants * np.asarray(economy.income)[:, None, None]
    total = used.sum(axis=2) + eaten[:, :, 0]
    response = (used * by_producers).sum(axis=2) + (eaten * by_households)[:, :, 0]
    return np.divide(response, total, out=np.full_like(total, np.nan), where=total > 0)


def _own(
    share: NDArray,
    fuel: NDArray,
    gas: tuple[NDArray, float],
    total: NDArray,
    nests: tuple[ArrayLike, ArrayLike, ArrayLike],
    top: NDArray,
) -> NDArray:
    """−[within (1 − b) + between b (1 − g) + top b g], b being the good's share in its nest, g the nest's in `total`.

    share [country, good, user]; fuel, gas: which goods are energy, which are gas, with the elasticity among these; nests:
    elasticity among other goods, among energy goods, between the two; top: of the whole by its own price. A gas has one
    nest more: its elasticity is −among (1 − a) + a × the above, a being its share in gas and b that of gas.
    """
    is_gas, among = gas
    all_gas = share[:, is_gas].sum(axis=1, keepdims=True)
    part = np.divide(share, all_gas, out=np.ones_like(share), where=is_gas[None, :, None] & (all_gas > 0))
    share = np.where(is_gas[None, :, None], all_gas, share)
    others, fuels, between = map(np.asarray, nests)
    energy = (share[:, fuel] * part[:, fuel]).sum(axis=1, keepdims=True)
    nest = np.where(fuel[None, :, None], energy, total - energy)
    b = np.divide(share, nest, out=np.zeros_like(share), where=nest > 0)
    g = np.divide(nest, total, out=np.zeros_like(nest), where=np.broadcast_to(total > 0, nest.shape))
    within = np.where(fuel[None, :, None], fuels, others)
    whole = within * (1 - b) + between * b * (1 - g) + top * b * g
    return -(among * (1 - part) + part * whole)


class Response(NamedTuple):
    """What a sector's quantities do for a percent on its price, as text for a table; means weighted by output and use."""

    name: str
    asked: str
    supply: str
    supply_range: str
    demand: str
    demand_range: str


def responses(economy: Economy, asked: Mapping[str, float], sectors: Mapping[str, str]) -> list[Response]:
    """One row for each of `sectors` {code: name}; `asked`: wanted supply elasticity by code, where there is one."""
    supply, demand = supply_elasticities(economy), demand_elasticities(economy)
    made, used = np.asarray(economy.output), np.asarray(economy.spending)
    rows = []
    for code, name in sectors.items():
        k = economy.sectors.index(code)
        sold, bought = spread(supply[:, k], made[:, k]), spread(demand[:, k], used[:, k])
        wanted = f"{asked[code]:g}" if code in asked else ""
        rows.append(Response(name, wanted, *_told(sold), *_told(bought)))
    return rows


def spread(values: NDArray, weight: NDArray) -> tuple[float, float, float] | None:
    """Weighted mean, and the range of the middle nine tenths by weight; None where nothing has weight."""
    there = np.isfinite(weight) & (weight > 0) & ~np.isnan(values)
    if not there.any():
        return None
    order = np.argsort(values[there])
    ranked, share = values[there][order], weight[there][order] / weight[there].sum()
    upto = np.cumsum(share)
    low, high = (ranked[min(int(np.searchsorted(upto, part)), len(ranked) - 1)] for part in (0.05, 0.95))
    return float((ranked * share).sum()), float(low), float(high)


def _told(found: tuple[float, float, float] | None) -> tuple[str, str]:
    if found is None:
        return "none made", ""
    mean, low, high = ("infinite" if np.isinf(x) else f"{x:.2f}".replace("-", "−") for x in found)
    return mean, "" if low == high else f"{low} to {high}"
