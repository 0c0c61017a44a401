"""Derived demand: what a dearer good does to its use once the prices of what is made of it follow, and their buyers too.

The elasticities of `detente.implied` hold the output of all users. Estimates of the oil market do not: there motorists
answer the price of fuel, and refineries buy less crude because they sell less. Here the world is one economy with the mean
shares of all countries, whose accounts are linearised at the baseline: the price of the good rises, all other prices follow
costs, all quantities follow demand, and incomes and wages stay. Letters as in `detente.equations`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detente.economy import Economy
from detente.nests import Substitution

MOST = 64.0  # times the elasticities of a horizon: no search goes further
CLOSE = 1e-10  # of that factor


@dataclass(frozen=True)
class _World:
    """The world as one country; its households are the last user.

    bought [good, user]; output, v, ν, ζ [user but the last]; η, ξ, ε [user]; ξ_g; energy, gas [good]: which are.
    """

    bought: NDArray
    output: NDArray
    v: NDArray
    nu: NDArray
    zeta: NDArray
    against: NDArray
    mix: NDArray
    among: NDArray
    gas_mix: float
    energy: NDArray
    gas: NDArray


def derived_demand(economy: Economy, goods: tuple[int, ...]) -> float:
    """Change in the use of `goods` together, in percent, for a percent on the prices of all of them from all sellers.

    At the baseline, with incomes and wages as they are, and factors that stick as the economy says. Not a number where
    nobody uses the goods.
    """
    return _elasticity(_world(economy, economy.substitution or Substitution.of()), list(goods))


def scale_for(economy: Economy, goods: tuple[int, ...], wanted: float) -> float:
    """The factor on all elasticities about energy (`Substitution.scaled`) at which derived demand is −`wanted`.

    0 where demand is more elastic even so, and `MOST` where it is less elastic even so: read what is reached.
    """
    nest = economy.substitution or Substitution.of()

    def above(factor: float) -> float:
        return -_elasticity(_world(economy, nest.scaled(factor)), list(goods)) - wanted

    if above(0.0) >= 0:
        return 0.0
    if above(MOST) <= 0:
        return MOST
    from scipy.optimize import root_scalar  # a quarter of a second that few commands need

    return float(root_scalar(above, bracket=(0.0, MOST), xtol=CLOSE).root)


def _elasticity(world: _World, goods: list[int]) -> float:
    used = world.bought.sum(axis=1)
    s, weight = len(used), used[goods]
    if weight.sum() <= 0:
        return float("nan")
    forced = np.zeros(3 * s)
    forced[goods] = 1.0
    grown = np.linalg.solve(_accounts(world, goods), forced)[s : 2 * s]
    return float(grown[goods] @ weight / weight.sum())


def _world(economy: Economy, nest: Substitution) -> _World:
    made, gamma = np.asarray(economy.output), np.asarray(economy.input_share)
    v = np.asarray(economy.value_added_share)
    wanted = (np.asarray(economy.consumption_share) * np.asarray(economy.income)[:, None]).sum(axis=0)
    moving = 0.0 if economy.factor_mobility is None else 1 / float(economy.factor_mobility)
    rho = np.zeros(1) if economy.resource_share is None else np.asarray(economy.resource_share)
    places = np.arange(made.shape[1])

    def by_user(producers: object, households: object) -> NDArray:
        return np.append(
            np.broadcast_to(np.asarray(producers, float), places.shape), float(np.asarray(households))
        )

    return _World(
        bought=np.column_stack([np.einsum("njk,nk->jk", gamma, made), wanted]),
        output=made.sum(axis=0),
        v=_mean(v, made),
        nu=_mean(rho + (1 - rho) * moving, v * made),
        zeta=_mean(np.asarray(nest.value_added), made),
        against=by_user(nest.energy, nest.consumption_energy),
        mix=by_user(nest.energy_mix, nest.consumption_mix),
        among=by_user(nest.inputs, nest.consumption),
        gas_mix=float(nest.gas_mix),
        energy=np.isin(places, nest.energy_goods),
        gas=np.isin(places, nest.gas_goods),
    )


def _mean(of: NDArray, weight: NDArray) -> NDArray:
    """Mean over countries [sector], nil where nothing has weight."""
    whole = weight.sum(axis=0)
    total = (np.broadcast_to(of, weight.shape) * weight).sum(axis=0)
    return np.divide(total, whole, out=np.zeros_like(whole), where=whole > 0)


def _accounts(world: _World, goods: list[int]) -> NDArray:
    """Rows of zero profit, markets and factor incomes, by (log price, log quantity, log factor price), each [sector].

    The first rows of `goods` fix their prices; what these leave above other costs is earned by their own factors.
    """
    s = len(world.output)
    demand, inputs = _demand(world)
    one, none = np.eye(s), np.zeros((s, s))
    cost = (1 - world.v)[:, None] * inputs[:s]  # log c = v z + (1 − v) × the price of inputs
    profit = np.hstack([cost - one, none, np.diag(world.v)])
    used = world.bought.sum(axis=1)
    part = np.divide(world.bought, used[:, None], out=np.zeros_like(world.bought), where=used[:, None] > 0)
    top = 1 - world.zeta
    shift = np.zeros((s + 1, s))
    shift[:s] = top[:, None] * (inputs[:s] - cost)
    by_price = np.einsum("jk,jkl->jl", part, demand + shift[None]) + part[:, :s] - one
    by_factor = -part[:, :s] * top * world.v
    market = np.hstack([by_price * (used > 0)[:, None], part[:, :s] - one, by_factor])
    earned = np.diag(world.nu) @ np.hstack([one - top[:, None] * cost, one, np.diag(top * (1 - world.v))])
    earned[:, 2 * s :] -= one
    earned[goods] = profit[goods]
    profit[goods] = np.hstack([one, none, none])[goods]
    return np.vstack([profit, market, earned])


def _demand(world: _World) -> tuple[NDArray, NDArray]:
    """Log share of each good in what a user spends on inputs [good, user, price], and the price of these [user, price].

    (1 − η)(nest − inputs) + (1 − ξ or ε)(good − nest), and for a gas (1 − ξ)(gas − nest) + (1 − ξ_g)(good − gas).
    """
    s = len(world.output)
    own = np.broadcast_to(np.eye(s)[:, None, :], (s, s + 1, s))

    def index(where: NDArray) -> NDArray:
        kept = world.bought * where[:, None]
        whole = kept.sum(axis=0)
        return np.divide(kept, whole, out=np.zeros_like(kept), where=whole > 0).T

    def chosen(where: NDArray, yes: NDArray, no: NDArray) -> NDArray:
        return np.where(where[:, None, None], yes, no)

    inputs, gas = index(np.ones(s)), index(world.gas)[None]
    nest = chosen(world.energy, index(world.energy)[None], index(~world.energy)[None])
    within = 1 - np.where(world.energy[:, None], world.mix, world.among)[:, :, None]
    part = chosen(world.gas, gas, own)
    among_gas = (1 - world.gas_mix) * (own - part)
    return (1 - world.against)[:, None] * (nest - inputs) + within * (part - nest) + among_gas, inputs
