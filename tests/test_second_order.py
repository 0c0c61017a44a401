"""Baqaee & Farhi's second-order formula and the closed form of a two-input CES against the engine.

The closed form holds to the solver's accuracy (1e-12, a digit given away); errors of the second-order formula shrink with
the cube of the shock, eight times for one half of it, seven to nine where terms of higher order still show.
"""

import numpy as np
import pytest

from detente.equilibrium import solve
from detente.nests import Substitution
from tests import economies
from tools import second_order as so

CLOSED = 1e-11
CUBE = (7.0, 9.0)


@pytest.mark.parametrize("share", [0.02, 0.3])
@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.9, 1.0, 1.5])
@pytest.mark.parametrize("quantity", [0.9, 0.5, 1.3])
def test_the_closed_form_of_two_inputs(share: float, sigma: float, quantity: float):
    found = solve(so.two_inputs(share, sigma), so.less_gas(quantity), tolerance=1e-13)
    assert np.log(float(found.real_income_change[0])) == pytest.approx(
        so.closed_form(share, sigma, quantity), abs=CLOSED
    )
    spent = np.asarray(found.spending)[0]
    assert spent[so.GAS] / spent.sum() == pytest.approx(so.share_after(share, sigma, quantity), abs=CLOSED)


def test_complements_amplify_and_substitutes_dampen():
    """At a loss of half the gas: more than Hulten below one, Hulten at one, less above."""
    hulten = so.closed_form(0.02, 1.0, 0.5)
    assert hulten == pytest.approx(0.02 * np.log(0.5))
    losses = [so.closed_form(0.02, sigma, 0.5) for sigma in (0.2, 0.5, 1.5)]
    assert losses[0] < losses[1] < hulten < losses[2]


@pytest.mark.parametrize("sigma", [0.2, 0.5, 1.5])
def test_the_error_of_two_inputs_shrinks_with_the_cube(sigma: float):
    share, errors = 0.1, []
    for size in (0.1, 0.05, 0.025):
        quantity = float(np.exp(-size))
        move = 0.5 * (so.share_after(share, sigma, quantity) - share)
        errors.append(abs((share + move) * -size - so.closed_form(share, sigma, quantity)))
    assert CUBE[0] < errors[0] / errors[1] < CUBE[1]
    assert CUBE[0] < errors[1] / errors[2] < CUBE[1]


@pytest.mark.parametrize("mobility", [1.0, 2.0, np.inf])
def test_the_error_of_a_trading_world_shrinks_with_the_cube(mobility: float):
    """Nested production, four countries, no deficits, no duties: sales and purchases before and after, their mean."""
    shares = economies.shares(5) | {
        "tariff": None,
        "export_tax": None,
        "deficit": np.zeros(4),
        "trade_elasticity": 2.0,
    }
    economy = economies.Economy.from_shares(
        **shares,
        substitution=Substitution.of(
            value_added=0.5, inputs=0.2, consumption=0.4, energy=0.1, energy_goods=(0,)
        ),
        factor_mobility=mobility,
        closure="balanced",
    )
    first, second = [], []
    for size in (0.08, 0.04, 0.02):
        cost = np.ones(economy.trade_share.shape)
        cost[2, [0, 1], 0] = np.exp(size)
        found = so.orders(economy, cost)
        first.append(abs(found["first"] - found["exact"])[2])
        second.append(abs(found["second"] - found["exact"])[2])
    assert 3.5 < first[1] / first[2] < 4.5
    assert CUBE[0] < second[1] / second[2] < CUBE[1]
    assert second[0] < first[0]
