"""Derivatives of the nests by each elasticity, at one and around it: finite, and equal to central differences.

Central differences over 2e-5 of functions that are computed to 1e-15 are good to 1e-9 or so by rounding and by the third
derivative; six digits are asked. On equilibria solved to 1e-13 the step is 1e-3, and what is compared is the slope left and
right of one with each other.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from detente import nests
from detente.equilibrium import solve
from detente.nests import BY_USER, KEYS, Substitution
from tests import economies
from tests.test_behaviour import mild, resources

STEP, SIX_DIGITS = 1e-5, 1e-6
AROUND = (0.0, 0.9, 0.999, 1 - 1e-9, 1.0, 1 + 1e-6, 1.1)
GOODS, ENERGY, GAS = 5, (0, 3, 4), (3, 4)


def _example() -> tuple:
    """Prices of factors and goods, the value-added share and the recipe of three countries that buy five goods."""
    draw = np.random.default_rng(7)
    v = draw.uniform(0.2, 0.8, (3, GOODS))
    v[0, 0] = 1.0  # a user of no inputs
    gamma = draw.dirichlet(np.ones(GOODS), (3, GOODS)).transpose(0, 2, 1) * (1 - v)[:, None, :]
    alpha = draw.dirichlet(np.ones(GOODS), 3)
    shares = nests.recipe(gamma, alpha, ENERGY, GAS)
    prices = (jnp.asarray(draw.normal(0, 0.5, (3, GOODS))) for _ in range(2))
    return (*prices, jnp.asarray(v), shares)


@jax.jit
def _all_results(nest: Substitution) -> jax.Array:
    """Everything the nests give, in one vector: costs, v', γ', P^C and α'."""
    paid, price, v, recipe = _example()
    costs = nests.costs(paid, price, v, recipe, nest)
    parts = (
        costs.log_cost,
        costs.value_added,
        nests.input_share(costs, recipe, nest),
        nests.input_spending(jnp.ones_like(v), costs, recipe, nest),
        nests.consumer_price(price, recipe, nest),
        nests.consumption_share(price, recipe, nest),
    )
    return jnp.concatenate([part.ravel() for part in parts])


def _at(name: str, value: jax.Array | float) -> Substitution:
    """Unequal elasticities, one of them set."""
    plain = Substitution.of(
        **dict(zip(KEYS, (0.5, 0.3, 0.2, 0.7, 3.0, 0.9, 0.4, 0.6), strict=True)),
        energy_goods=ENERGY,
        gas_goods=GAS,
    )
    return dataclasses.replace(plain, **{name: jnp.asarray(value)})


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("value", AROUND)
def test_derivatives_by_elasticities_are_central_differences(name: str, value: float):
    derivative = jax.jvp(lambda e: _all_results(_at(name, e)), (jnp.asarray(value),), (jnp.asarray(1.0),))[1]
    assert np.isfinite(np.asarray(derivative)).all()
    above, below = _all_results(_at(name, value + STEP)), _all_results(_at(name, value - STEP))
    assert np.asarray(derivative) == pytest.approx(np.asarray(above - below) / (2 * STEP), abs=SIX_DIGITS)


@pytest.mark.parametrize("name", BY_USER)
@pytest.mark.parametrize("value", [0.0, 1.0, 1 + 1e-6])
def test_derivatives_by_the_elasticity_of_one_user_are_central_differences(name: str, value: float):
    """The others' stay apart from it; all alike, one number for all users or one for each give the same."""
    rest = jnp.asarray([0.3, 1.0, 0.6, 1.5, 0.9])

    def at(e: jax.Array | float) -> jax.Array:
        return _all_results(_at(name, rest.at[2].set(e)))

    derivative = jax.jvp(at, (jnp.asarray(value),), (jnp.asarray(1.0),))[1]
    slope = np.asarray(at(value + STEP) - at(value - STEP)) / (2 * STEP)
    assert np.abs(slope).max() > 1e-3
    assert np.asarray(derivative) == pytest.approx(slope, abs=SIX_DIGITS)
    alike = _all_results(_at(name, jnp.full(GOODS, value)))
    assert np.asarray(alike) == pytest.approx(np.asarray(_all_results(_at(name, value))), abs=1e-13)


@pytest.mark.parametrize("value", AROUND)
def test_gradients_by_prices_are_central_differences(value: float):
    """All elasticities alike, which is where the energy nest is none; reverse mode, by every price at once."""
    paid, price, v, recipe = _example()
    nest = Substitution.of(
        value_added=value, inputs=value, consumption=value, energy_goods=ENERGY, gas_goods=GAS
    )
    weights = jnp.linspace(0.5, 1.5, v.size).reshape(v.shape)

    def outcome(p: jax.Array) -> jax.Array:
        costs = nests.costs(paid, p, v, recipe, nest)
        return jnp.sum(
            weights * (costs.log_cost + costs.value_added + nests.consumption_share(p, recipe, nest))
        )

    gradient = np.asarray(jax.grad(outcome)(price))
    for place in [(0, 0), (1, 3), (2, 4)]:
        move = jnp.zeros_like(price).at[place].set(STEP)
        slope = float(outcome(price + move) - outcome(price - move)) / (2 * STEP)
        assert gradient[place] == pytest.approx(slope, abs=SIX_DIGITS)


@pytest.mark.parametrize(
    ("name", "value"), [("inputs", 0.2), ("inputs", 1.0), ("gas_mix", 1.0), ("energy_mix", 1.6)]
)
def test_costs_move_with_prices_as_automatic_derivatives_say(name: str, value: float):
    """The rule by Shephard's lemma, for every part of `Costs`, against derivatives of the formulas themselves."""
    paid, price, v, recipe = _example()
    nest = _at(name, value)
    ruled = jax.jacfwd(lambda w, p: nests.costs(w, p, v, recipe, nest), (0, 1))(paid, price)
    plain = jax.jacfwd(lambda w, p: nests._costs(w, p, v, recipe, nest)[0], (0, 1))(paid, price)
    for one, other in zip(jax.tree.leaves(ruled), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-14)  # sums of a few terms of order one


@pytest.mark.parametrize("wide", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("value", [0.0, 0.3, 1 - 1e-7, 1.0, 1.6, 2.0])
def test_costs_and_demand_are_those_of_the_plain_formulas(value: float, wide: float):
    """Against CES written out in the widest floats; shares are those of Shephard's lemma, and cost is exhausted."""
    paid, price, v, recipe = _example()
    price = wide * price
    nest = _at("inputs", value)
    costs = nests.costs(paid, price, v, recipe, nest)
    p, w = np.asarray(price, np.longdouble), np.asarray(paid, np.longdouble)

    def mean(parts: list, prices: list, elasticity: float) -> np.ndarray:
        if abs(elasticity - 1) < 1e-6:  # to second order in the distance from one, beyond any rounding here
            first = sum(b * x for b, x in zip(parts, prices, strict=True))
            second = sum(b * x * x for b, x in zip(parts, prices, strict=True)) - first**2
            return first + (1 - elasticity) * second / 2
        r = np.longdouble(1) - np.longdouble(elasticity)
        return np.log(sum(b * np.exp(r * x) for b, x in zip(parts, prices, strict=True))) / r

    numbers = {key: float(getattr(nest, key)) for key in KEYS}
    for n in range(3):
        for k in range(GOODS):
            fuel_shares, other_shares = np.asarray(recipe.fuel)[n, :, k], np.asarray(recipe.other)[n, :, k]
            share, part = float(recipe.energy_share[n, k]), float(v[n, k])
            if part == 1:
                assert float(costs.log_cost[n, k]) == pytest.approx(float(w[n, k]), abs=1e-12)
                continue
            gas = mean(list(np.asarray(recipe.gas)[n, :, k]), list(p[n, list(GAS)]), numbers["gas_mix"])
            fuel = mean(
                [*fuel_shares, float(recipe.gas_share[n, k])],
                [*p[n, list(ENERGY)], gas],
                numbers["energy_mix"],
            )
            other = mean(list(other_shares), list(p[n]), numbers["inputs"])
            inputs = mean([share, 1 - share], [fuel, other], numbers["energy"])
            cost = mean([part, 1 - part], [w[n, k], inputs], numbers["value_added"])
            assert float(costs.log_cost[n, k]) == pytest.approx(float(cost), abs=1e-10)
    spent = np.asarray(nests.input_share(costs, recipe, nest)).sum(axis=1) + np.asarray(v * costs.value_added)
    assert spent == pytest.approx(1, abs=1e-10)
    assert np.asarray(nests.consumption_share(price, recipe, nest)).sum(axis=1) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("name", KEYS)
def test_an_equilibrium_moves_smoothly_through_one(name: str):
    """Real incomes as a function of one elasticity: the derivative of the left and of the right meet at one.

    One-sided second-order differences over h differ by a term in h² of the third derivative, far below the jump that a
    wrong limit would make.
    """
    economy, shock, h = economies.economy(6), mild(6), 2e-3
    share = resources(6)
    gas = (
        () if name == "consumption_mix" else (0, 1)
    )  # where all energy is one gas, nothing is mixed above it

    def real(value: float) -> np.ndarray:
        nest = {"value_added": 0.5, "inputs": 0.4, "energy": 0.2, "consumption": 0.8, name: value}
        how = economy.with_behaviour(
            substitution=Substitution.of(**nest, energy_goods=(0, 1), gas_goods=gas),
            factor_mobility=2.0,
            resource_share=share,
        )
        return np.log(np.asarray(solve(how, shock, tolerance=1e-13).real_income_change))

    f = {k: real(1 + k * h) for k in (-2, -1, 0, 1, 2)}
    right = (-3 * f[0] + 4 * f[1] - f[2]) / (2 * h)
    left = (3 * f[0] - 4 * f[-1] + f[-2]) / (2 * h)
    assert np.abs(f[1] - f[-1]).max() > 1e-8  # the elasticity matters at all
    assert right == pytest.approx(left, abs=1e-5 * max(1, np.abs(left).max()))
    assert (f[1] - f[-1]) / (2 * h) == pytest.approx((right + left) / 2, abs=1e-5)
