"""What the theory of sanctions says of small ones (Sturm; Becko 2024): the sender's gain and its cheapest direction.

A small duty from free trade costs the world nothing to first order and turns the terms of trade: the sender gains what
others lose. The published statement, that the cheapest direction of a small sanction does not depend on the target's own
trade elasticities, needs elasticities by country, and θ is one for all of them. Tested is the closest statement that the
model can make: whatever the target's home share, which is what sets its elasticity of import demand here, each small duty
or export tax buys harm at the same price, one for one.
"""

import numpy as np
import pytest

from detente.economy import Economy
from detente.equilibrium import solve
from detente.shock import Shock

SENDER, TARGET, OTHER = 0, 1, 2
SMALL = 1e-4


def world(target_home: float) -> Economy:
    """Three countries in free trade, one sector; the target spends `target_home` of its income on its own good."""
    share = np.array(
        [[0.7, 0.15, 0.15], [(1 - target_home) / 2, target_home, (1 - target_home) / 2], [0.15, 0.15, 0.7]]
    )
    return Economy.from_shares(
        countries=["SENDER", "TARGET", "OTHER"],
        sectors=["good"],
        trade_share=share[:, :, None],
        input_share=np.zeros((3, 1, 1)),
        value_added_share=np.ones((3, 1)),
        consumption_share=np.ones((3, 1)),
        value_added=np.ones(3),
        deficit=np.zeros(3),
        trade_elasticity=4.0,
    )


def effect(economy: Economy, tariff: float = 0.0, tax: float = 0.0) -> np.ndarray:
    """Log change of real incomes [country] when the sender taxes imports from and exports to the target."""
    duties, taxes = np.zeros((3, 3, 1)), np.zeros((3, 3, 1))
    duties[SENDER, TARGET], taxes[TARGET, SENDER] = tariff, tax
    found = solve(economy, Shock(tariff_new=duties, export_tax_new=taxes), tolerance=1e-13)
    return np.log(np.asarray(found.real_income_change))


@pytest.mark.parametrize("instrument", ["tariff", "tax"])
@pytest.mark.parametrize("home", [0.5, 0.9])
def test_a_small_sanction_pays_its_sender_and_a_large_one_costs_it(instrument: str, home: float):
    economy = world(home)
    small, large = (effect(economy, **{instrument: size}) for size in (0.01, 5.0))
    assert small[SENDER] > 0 > small[TARGET]
    assert large[TARGET] < small[TARGET]
    assert large[SENDER] < small[SENDER]


@pytest.mark.parametrize("home", [0.5, 0.7, 0.9])
def test_friction_costs_both_sides_from_the_first_step(home: float):
    """An iceberg raises no revenue: where trade costs rise nobody collects them, and the sender loses at once."""
    cost = np.ones((3, 3, 1))
    cost[SENDER, TARGET] = cost[TARGET, SENDER] = 1 + SMALL
    found = np.log(
        np.asarray(solve(world(home), Shock(trade_cost_change=cost), tolerance=1e-13).real_income_change)
    )
    assert found[SENDER] < 0
    assert found[TARGET] < 0


@pytest.mark.parametrize("home", [0.5, 0.7, 0.9])
def test_small_duties_only_move_income_between_countries_whatever_the_targets_elasticity(home: float):
    """From free trade no duty has a cost of the first order to the world: what the sender gains, others lose.

    So every small duty buys its harm at the same price, one for one, however elastic the target is: incomes' changes add up
    to nil at each home share, to an error of the second order in the duty.
    """
    for tools in ({"tariff": SMALL}, {"tax": SMALL}, {"tariff": SMALL, "tax": SMALL}):
        economy = world(home)
        change = effect(economy, **tools) * np.asarray(economy.income)
        assert abs(change.sum()) < 100 * SMALL**2
        assert abs(change[TARGET]) > 0.005 * SMALL
