"""Power means of prices whose elasticity may be one, smooth through it: what the nests of `detente.nests` are made of.

A power mean of log prices p_j with weights b_j is log1p(r m)/r with m = Σ_j b_j expm1(r p_j)/r and r = 1 − elasticity: one
matrix product, whatever the elasticity.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero

from detente import numerics  # noqa: F401  (float64 before the first array)

LEAST = 1e-20  # the smallest power by which anything is divided
NEAR = 1e-3  # below this the quotients are taken by their series, whose error is then under 1e-16


def growth(x: Array) -> Array:
    """expm1(x)/x, which is one at nil, smooth there in value and derivative."""
    small = jnp.abs(x) < NEAR
    safe = jnp.where(small, 1.0, x)
    series = 1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5)))
    return jnp.where(small, series, jnp.expm1(safe) / safe)


def decay(y: Array) -> Array:
    """log1p(y)/y, which is one at nil, smooth there in value and derivative."""
    small = jnp.abs(y) < NEAR
    above = 1 + jnp.where(small, 1.0, y)  # rounded, and log(u)/(u − 1) is exact for the u it is given
    series = 1 - y * (1 / 2 - y * (1 / 3 - y * (1 / 4 - y * (1 / 5 - y / 6))))
    return jnp.where(small, series, jnp.log(above) / (above - 1))


def _not_nil(r: Array) -> Array:
    """r, or where it is so near nil that nothing depends on it, a number that can be divided by."""
    return jnp.where(jnp.abs(r) < LEAST, LEAST, r)


@jax.custom_jvp
def boxed(log_price: Array, r: Array) -> Array:
    """expm1(r p)/r: the transform whose weighted mean is taken."""
    r = _not_nil(r)
    return jnp.expm1(r * log_price) * (1 / r)


@jax.custom_jvp
def unboxed(mean: Array, r: Array) -> Array:
    """log1p(r m)/r: back from the weighted mean to a log price."""
    r = _not_nil(r)
    return jnp.log1p(r * mean) * (1 / r)


@partial(boxed.defjvp, symbolic_zeros=True)
def _boxed_moves(at: tuple, move: tuple) -> tuple[Array, Array]:
    (log_price, r), value = at, boxed(*at)
    return value, _moves(value, move, 1 + r * value, lambda q: log_price * growth(q * log_price), r)


@partial(unboxed.defjvp, symbolic_zeros=True)
def _unboxed_moves(at: tuple, move: tuple) -> tuple[Array, Array]:
    (mean, r), value = at, unboxed(*at)
    return value, _moves(value, move, 1 / (1 + r * mean), lambda q: mean * decay(q * mean), r)


def _moves(value: Array, move: tuple, slope: Array, of_power: Callable[[Array], Array], r: Array) -> Array:
    """The derivative along `move`: by the first argument a slope; by r only where that moves, and smooth at nil."""
    along, by_r = move
    total = jnp.zeros_like(value)
    if not isinstance(along, SymbolicZero):
        total = total + slope * along
    if not isinstance(by_r, SymbolicZero):
        total = total + jax.jvp(of_power, (r,), (by_r,))[1]
    return total


class PowerMean(NamedTuple):
    """A power mean: its log, and Σ_j b_j exp(r p_j), which the shares in it are taken of."""

    log: Array
    power: Array


def power_mean(boxed_mean: Array, r: Array) -> PowerMean:
    """The mean of which this is the boxed form."""
    return PowerMean(unboxed(boxed_mean, r), 1 + r * boxed_mean)


def grown(log_price: Array, r: Array) -> Array:
    """exp(r p), which by way of the boxed p would lose the digits of small shares."""
    return jnp.exp(r * log_price)
