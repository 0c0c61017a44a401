"""Nested CES above the Armington nest, in changes: how costs and spending follow prices.

    unit cost   ─ζ─ value added
                 └─ inputs ─η─ energy          ─ξ─ each energy good, gas ─ξ_g─ by pipe, liquefied
                            └─ other materials ─ε─ each other good
    consumption ─η_c─ energy ─ξ─ each energy good, gas ─ξ_g─ by pipe, liquefied
                 └── other goods ─φ─ each other good

An elasticity of one is the logarithmic (Cobb–Douglas) limit, met exactly and smoothly: values and derivatives, by prices
and by the elasticities themselves, are continuous through it. With all elasticities at one this is Caliendo & Parro (2015);
below one, inputs are complements as in Baqaee & Farhi (2024, Econometrica 92:2). Where η = ε = ξ energy is no nest.

All prices are logs of ratios to the baseline.
"""

import dataclasses
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from numpy.typing import ArrayLike, NDArray

from detente import numerics  # noqa: F401  (float64 before the first array)
from detente.errors import InputError
from detente.power_means import PowerMean, boxed, grown, power_mean

KEYS = (
    "value_added",
    "energy",
    "inputs",
    "energy_mix",
    "gas_mix",
    "consumption",
    "consumption_energy",
    "consumption_mix",
)
BY_USER = ("value_added", "energy", "energy_mix")  # these may differ by sector, the first by country too


class Substitution(eqx.Module):
    """Elasticities of substitution above the Armington nest, each a number of at least 0 and finite.

    value_added: ζ, value added against inputs; energy: η, energy against other inputs; inputs: ε, among other inputs;
    energy_mix: ξ, among energy goods, in production; gas_mix: ξ_g, among those of them that are one gas to its users, by
    pipe or liquefied (gas_goods); consumption: φ, among goods other than energy; consumption_energy: η_c, households'
    energy against the rest; consumption_mix: ξ of households. energy_goods: places of the energy sectors.

    One number each, but value_added, energy and energy_mix may be [user] and value_added [country, user].
    """

    value_added: Array
    energy: Array
    inputs: Array
    energy_mix: Array
    gas_mix: Array
    consumption: Array
    consumption_energy: Array
    consumption_mix: Array
    energy_goods: tuple[int, ...] = eqx.field(static=True)
    gas_goods: tuple[int, ...] = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        *,
        value_added: ArrayLike = 1.0,
        inputs: float = 1.0,
        consumption: float = 1.0,
        energy: ArrayLike | None = None,
        energy_mix: ArrayLike | None = None,
        gas_mix: float | None = None,
        consumption_energy: float | None = None,
        consumption_mix: float | None = None,
        energy_goods: tuple[int, ...] = (),
        gas_goods: tuple[int, ...] = (),
    ) -> "Substitution":
        """From plain numbers, or [user] where the class allows it. Left out, energy and energy_mix are as `inputs`, gas_mix
        and consumption_mix as energy_mix (as `inputs` where that differs by user), consumption_energy as `consumption`.

        Raises `InputError` for an elasticity that is negative, no number or of a shape that it may not have, and for a gas
        that is no energy good.
        """
        if not set(gas_goods) <= set(energy_goods):
            raise InputError(f"`gas_goods` {gas_goods} must be among `energy_goods` {energy_goods}.")
        mix = inputs if energy_mix is None else energy_mix
        one_mix = mix if np.ndim(mix) == 0 else inputs
        given = {
            "value_added": value_added,
            "energy": inputs if energy is None else energy,
            "inputs": inputs,
            "energy_mix": mix,
            "gas_mix": one_mix if gas_mix is None else gas_mix,
            "consumption": consumption,
            "consumption_energy": consumption if consumption_energy is None else consumption_energy,
            "consumption_mix": one_mix if consumption_mix is None else consumption_mix,
        }
        return cls(
            **{name: jnp.asarray(_elasticity(name, value)) for name, value in given.items()},
            energy_goods=energy_goods,
            gas_goods=gas_goods,
        )

    def scaled(self, factor: float) -> "Substitution":
        """Every elasticity about energy times `factor`: η and ξ of producers, η_c and ξ of households."""
        names = ("energy", "energy_mix", "consumption_energy", "consumption_mix")
        return dataclasses.replace(self, **{name: getattr(self, name) * factor for name in names})


def _elasticity(name: str, value: ArrayLike) -> NDArray:
    found = np.asarray(value, float)
    most = 2 if name == "value_added" else 1 if name in BY_USER else 0
    if found.ndim > most:
        allowed = ("one number", "a number or [user]", "a number, [user] or [country, user]")[most]
        raise InputError(
            f"The elasticity of substitution `{name}` has shape {found.shape}; expected {allowed}."
        )
    bad = ~(np.isfinite(found) & (found >= 0))
    if bad.any():
        raise InputError(
            f"The elasticity of substitution `{name}` is {found[bad][0]}; expected a number of at least 0."
        )
    return found


class Recipe(eqx.Module):
    """Baseline shares by nest. input shares sum to one over their goods (or are all zero where a user buys none).

    other [country, good, user], zero in the rows of energy goods; fuel [country, energy good, user], in energy, zero in
    the rows of gas goods; gas [country, gas good, user]; gas_share [country, user], gas in energy; energy_share [country,
    user], energy in all inputs; the same for households: other_wanted [country, good], fuel_wanted [country, energy good],
    gas_wanted [country, gas good], gas_in_wanted, energy_wanted [country].
    """

    other: Array
    fuel: Array
    gas: Array
    gas_share: Array
    energy_share: Array
    other_wanted: Array
    fuel_wanted: Array
    gas_wanted: Array
    gas_in_wanted: Array
    energy_wanted: Array


class Costs(NamedTuple):
    """Log unit cost [country, user] and the demand for inputs that follows from it.

    value_added: v'/v [country, user]. A user spends on a good, for each unit of its sales, other × other_scale × the good's
    share in `Recipe.other`: other, fuel, gas [country, user]; other_scale [country, good], fuel_scale [country, energy
    good, user] (the last of length one where ξ is one number), gas_scale [country, gas good].
    """

    log_cost: Array
    value_added: Array
    other: Array
    fuel: Array
    gas: Array
    other_scale: Array
    fuel_scale: Array
    gas_scale: Array


def recipe(
    input_share: NDArray,
    consumption_share: NDArray,
    energy_goods: tuple[int, ...],
    gas_goods: tuple[int, ...] = (),
) -> Recipe:
    """The baseline's shares taken apart by nest. input_share [country, good, user]; consumption_share [country, good]."""
    goods, within = list(energy_goods), [energy_goods.index(good) for good in gas_goods]
    other, wanted = np.array(input_share), np.array(consumption_share)
    fuel, fuel_wanted = other[:, goods], wanted[:, goods]
    other[:, goods], wanted[:, goods] = 0.0, 0.0

    def part(of: NDArray, whole: NDArray) -> NDArray:
        return np.divide(of, whole, out=np.zeros_like(of), where=np.broadcast_to(whole > 0, of.shape))

    energy, rest = fuel.sum(axis=1), other.sum(axis=1)
    at_home = fuel_wanted.sum(axis=1)
    fuel, fuel_wanted = part(fuel, energy[:, None, :]), part(fuel_wanted, at_home[:, None])
    gas, gas_wanted = fuel[:, within], fuel_wanted[:, within]
    fuel[:, within], fuel_wanted[:, within] = 0.0, 0.0
    return Recipe(
        *(
            jnp.asarray(array)
            for array in (
                part(other, rest[:, None, :]),
                fuel,
                part(gas, gas.sum(axis=1, keepdims=True)),
                gas.sum(axis=1),
                part(energy, energy + rest),
                part(wanted, wanted.sum(axis=1, keepdims=True)),
                fuel_wanted,
                part(gas_wanted, gas_wanted.sum(axis=1, keepdims=True)),
                gas_wanted.sum(axis=1),
                at_home,
            )
        )
    )


class _Within(NamedTuple):
    """What the derivatives of costs need besides `Costs`, each [country, user] or None where there is no nest.

    Powers of the nests of other goods, fuels and gases; energy's share in inputs; spending on gas by that on fuels.
    """

    other: Array
    fuel: Array | None = None
    gas: Array | None = None
    energy: Array | None = None
    on_gas: Array | None = None


@jax.custom_jvp
def costs(factor_price: Array, log_price: Array, v: Array, recipe: Recipe, nest: Substitution) -> Costs:
    """Unit costs at these log prices of factors [country, user] and goods [country, good]; v is the value-added share."""
    return _costs(factor_price, log_price, v, recipe, nest)[0]


def _costs(
    factor_price: Array, log_price: Array, v: Array, recipe: Recipe, nest: Substitution
) -> tuple[Costs, _Within]:
    """A nest of two is centred on its second part, so that small shares of the first stay exact."""
    centre = lax.stop_gradient(log_price.mean(axis=1, keepdims=True))  # of which nothing depends
    moved = log_price - centre
    r_other, r_gas = 1 - nest.inputs, 1 - nest.gas_mix
    r_top, r_energy, r_fuel, r_each = _powers(nest)
    other = power_mean(jnp.einsum("njk,nj->nk", recipe.other, boxed(moved, r_other)), r_other)
    inputs, log_inputs, on_energy = (
        PowerMean(other.log, jnp.ones_like(v)),
        centre + other.log,
        jnp.zeros_like(v),
    )
    on_gas, gas_scale = jnp.zeros_like(v), jnp.zeros((len(log_price), 0), log_price.dtype)
    within = _Within(other.power)
    if nest.energy_goods:
        fuels = _weighted(recipe.fuel, boxed(moved[:, nest.energy_goods, None], r_each))
        if nest.gas_goods:
            about, typical = _about_gas(moved, nest)
            gas = power_mean(jnp.einsum("njk,nj->nk", recipe.gas, boxed(about, r_gas)), r_gas)
            log_gas = typical + gas.log
            fuels = fuels + recipe.gas_share * boxed(log_gas, r_fuel)
            on_gas = recipe.gas_share * grown(log_gas, r_fuel) / gas.power
            gas_scale = grown(about, r_gas)
            within = within._replace(gas=gas.power, on_gas=on_gas)
        fuel = power_mean(fuels, r_fuel)
        ratio = fuel.log - other.log
        inputs = power_mean(recipe.energy_share * boxed(ratio, r_energy), r_energy)
        log_inputs = log_inputs + inputs.log
        energy = recipe.energy_share * grown(ratio, r_energy)
        on_energy = energy / fuel.power
        within = within._replace(fuel=fuel.power, energy=energy / inputs.power)
    dearer = factor_price - log_inputs
    top = power_mean(v * boxed(dearer, r_top), r_top)
    shared = (1 - v) / (top.power * inputs.power)
    on_fuel = shared * on_energy
    found = Costs(
        log_inputs + top.log,
        grown(dearer, r_top) / top.power,
        shared * (1 - recipe.energy_share) / other.power,
        on_fuel,
        on_fuel * on_gas,
        grown(moved, r_other),
        grown(moved[:, nest.energy_goods, None], r_each),
        gas_scale,
    )
    return found, within


@partial(costs.defjvp, symbolic_zeros=True)
def _costs_move(at: tuple, move: tuple) -> tuple[Costs, Costs]:
    """Along prices by Shephard's lemma: every nest's price moves by its shares, and shares by what becomes dearer."""
    if not all(isinstance(leaf, SymbolicZero) for leaf in jax.tree.leaves(move[2:], is_leaf=_still)):
        given = jax.tree.map(_instance, move, at, is_leaf=_still)
        return jax.jvp(lambda *each: _costs(*each)[0], at, given)
    (_, _, v, recipe, nest), (earned, dearer) = at, map(_instance, move[:2], at[:2])
    now, within = _costs(*at)
    r_top, r_energy, r_fuel, r_each = _powers(nest)
    r_other, r_gas = 1 - nest.inputs, 1 - nest.gas_mix
    of_fuel, of_gas = dearer[:, nest.energy_goods, None], dearer[:, nest.gas_goods]
    spent = jnp.einsum("njk,nj->nk", recipe.other, now.other_scale * dearer)
    other = inputs = spent / within.other
    input_cost = now.other * spent
    fuel = gas = jnp.zeros_like(other)
    if within.fuel is not None and within.energy is not None:
        spent = _weighted(recipe.fuel, now.fuel_scale * of_fuel)
        if within.gas is not None and within.on_gas is not None:
            on_gas = jnp.einsum("njk,nj->nk", recipe.gas, now.gas_scale * of_gas)
            spent, gas = spent + within.on_gas * on_gas, on_gas / within.gas
        fuel, input_cost = spent / within.fuel, input_cost + now.fuel * spent
        inputs = other + within.energy * (fuel - other)
    cost = v * now.value_added * earned + input_cost
    on_inputs = r_top * (inputs - cost)
    on_fuel = on_inputs + r_energy * (fuel - inputs)
    moved = Costs(
        cost,
        now.value_added * r_top * (earned - cost),
        now.other * (on_inputs + r_energy * (other - inputs) - r_other * other),
        now.fuel * (on_fuel - r_fuel * fuel),
        now.gas * (on_fuel + r_fuel * (gas - fuel) - r_gas * gas),
        now.other_scale * r_other * dearer,
        now.fuel_scale * r_each * of_fuel,
        now.gas_scale * r_gas * of_gas,
    )
    return now, moved


def _still(leaf: object) -> bool:
    return isinstance(leaf, SymbolicZero)


def _instance(leaf: Array | SymbolicZero, like: Array) -> Array:
    return jnp.zeros_like(like) if isinstance(leaf, SymbolicZero) else leaf


def _powers(nest: Substitution) -> tuple[Array, Array, Array, Array]:
    """One less the elasticities at the top, of energy, and of fuels by user and by [1, 1, user]."""
    r_top, r_energy, r_fuel = (1 - _of_users(x) for x in (nest.value_added, nest.energy, nest.energy_mix))
    return r_top, r_energy, r_fuel, r_fuel if r_fuel.ndim == 0 else r_fuel[:, None]


def _of_users(elasticity: Array) -> Array:
    """One number, or [1 or country, user]."""
    return elasticity if elasticity.ndim == 0 else jnp.atleast_2d(elasticity)


def _weighted(share: Array, values: Array) -> Array:
    """Σ_j share_njk values_njk [country, user]; values [country, good, user], or of length one over users."""
    if values.shape[2] == 1:
        return jnp.einsum("njk,nj->nk", share, values[:, :, 0])
    return jnp.sum(share * values, axis=1)


def _about_gas(moved: Array, nest: Substitution) -> tuple[Array, Array]:
    """Log prices of the gas goods about their mean [country, gas good], and that mean [country, 1]."""
    prices = moved[:, nest.gas_goods]
    typical = lax.stop_gradient(prices.mean(axis=1, keepdims=True))
    return prices - typical, typical


def input_spending(sold: Array, at: Costs, recipe: Recipe, nest: Substitution) -> Array:
    """Σ_k γ'_njk Y'_nk: what producers spend on each good [country, good] when they sell `sold` [country, user]."""
    spent = at.other_scale * jnp.einsum("njk,nk->nj", recipe.other, at.other * sold)
    if not nest.energy_goods:
        return spent
    if at.fuel_scale.shape[2] > 1:
        on_fuel = jnp.einsum("njk,nk->nj", recipe.fuel * at.fuel_scale, at.fuel * sold)
    else:
        on_fuel = at.fuel_scale[:, :, 0] * jnp.einsum("njk,nk->nj", recipe.fuel, at.fuel * sold)
    spent = spent + _placed(on_fuel, nest.energy_goods, spent)
    if not nest.gas_goods:
        return spent
    on_gas = at.gas_scale * jnp.einsum("njk,nk->nj", recipe.gas, at.gas * sold)
    return spent + _placed(on_gas, nest.gas_goods, spent)


def _placed(part: Array, goods: tuple[int, ...], like: Array) -> Array:
    """Values [country, some good] at their places among all goods, where the whole has nothing [country, good]."""
    return part @ jnp.asarray(np.eye(like.shape[1])[list(goods)], part.dtype)


def input_share(at: Costs, recipe: Recipe, nest: Substitution) -> Array:
    """γ'_njk at these costs [country, good, user], for Jacobians and reports."""
    share = at.other_scale[:, :, None] * recipe.other * at.other[:, None, :]
    if not nest.energy_goods:
        return share
    share = share.at[:, nest.energy_goods].set(at.fuel_scale * recipe.fuel * at.fuel[:, None, :])
    if not nest.gas_goods:
        return share
    return share.at[:, nest.gas_goods].set(at.gas_scale[:, :, None] * recipe.gas * at.gas[:, None, :])


def consumer_price(log_price: Array, recipe: Recipe, nest: Substitution) -> Array:
    """log P̂^C [country]: the price of a unit of utility."""
    return _wants(log_price, recipe, nest)[0]


def consumption_share(log_price: Array, recipe: Recipe, nest: Substitution) -> Array:
    """α'_nj, which sums to one over goods [country, good]."""
    return _wants(log_price, recipe, nest)[1]


def _wants(log_price: Array, recipe: Recipe, nest: Substitution) -> tuple[Array, Array]:
    """Log price of all consumption [country], and α' [country, good]."""
    centre = lax.stop_gradient(jnp.sum(log_price * recipe.other_wanted, axis=1, keepdims=True))
    moved = log_price - centre
    r, r_fuel, r_gas = 1 - nest.consumption, 1 - nest.consumption_mix, 1 - nest.gas_mix
    other = power_mean(jnp.sum(recipe.other_wanted * boxed(moved, r), axis=1), r)
    if not nest.energy_goods:
        share = recipe.other_wanted * grown(moved, r) / other.power[:, None]
        return centre[:, 0] + other.log, share
    of_fuel = moved[:, nest.energy_goods]
    fuels = jnp.sum(recipe.fuel_wanted * boxed(of_fuel, r_fuel), axis=1)
    gas_share = None
    if nest.gas_goods:
        about, typical = _about_gas(moved, nest)
        gas = power_mean(jnp.sum(recipe.gas_wanted * boxed(about, r_gas), axis=1), r_gas)
        log_gas = typical[:, 0] + gas.log
        fuels = fuels + recipe.gas_in_wanted * boxed(log_gas, r_fuel)
        part = recipe.gas_in_wanted * grown(log_gas, r_fuel) / gas.power
        gas_share = recipe.gas_wanted * grown(about, r_gas) * part[:, None]
    fuel, r_energy = power_mean(fuels, r_fuel), 1 - nest.consumption_energy
    ratio = fuel.log - other.log
    index = power_mean(recipe.energy_wanted * boxed(ratio, r_energy), r_energy)
    on_other = (1 - recipe.energy_wanted) / (index.power * other.power)
    on_fuel = (recipe.energy_wanted * grown(ratio, r_energy) / (index.power * fuel.power))[:, None]
    share = recipe.other_wanted * grown(moved, r) * on_other[:, None]
    share = share + _placed(recipe.fuel_wanted * grown(of_fuel, r_fuel) * on_fuel, nest.energy_goods, share)
    if gas_share is not None:
        share = share + _placed(gas_share * on_fuel, nest.gas_goods, share)
    return centre[:, 0] + other.log + index.log, share
