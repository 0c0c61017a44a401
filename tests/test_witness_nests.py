"""Nests, stuck factors and resources against brute force: the same economies solved in levels by a general root-finder.

Tolerances as in `tests.test_witness`: both sides stop at relative gaps near 1e-11, and 8 digits leave a margin.
"""

from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest

from detente.economy import Economy
from detente.equilibrium import Equilibrium, solve
from detente.nests import Substitution
from tests import brute_nests as brute
from tests.test_witness import EIGHT_DIGITS, ENGINE_TOLERANCE, RULES, _change

ONE = dict.fromkeys(brute.NESTS, 1.0)
COMPLEMENTS = {
    "value_added": 0.5,
    "energy": 0.1,
    "inputs": 0.2,
    "energy_mix": 0.6,
    "gas_mix": 4.0,
    "consumption": 0.9,
    "consumption_energy": 0.3,
}
LEONTIEF = dict.fromkeys(brute.NESTS, 0.0)
SUBSTITUTES = dict(zip(brute.NESTS, (1.7, 1.3, 1.0, 2.0, 3.0, 1.4, 1.1), strict=True))
BY_SECTOR = COMPLEMENTS | {
    "value_added": (0.05, 0.0, 1.0, 0.7),
    "energy": (0.1, 0.0, 0.5, 1.0),
    "energy_mix": (0.6, 0.0, 1.0, 1.4),
    "consumption_mix": 0.8,
}
SETTINGS = {
    "stuck": (ONE, 1.0, False),
    "partly stuck": (ONE, 1.5, False),
    "resources": (ONE, np.inf, True),
    "complements": (COMPLEMENTS, np.inf, False),
    "Leontief": (LEONTIEF, np.inf, False),
    "substitutes": (SUBSTITUTES, np.inf, False),
    "complements, stuck": (COMPLEMENTS, 1.0, False),
    "complements, partly stuck, resources": (COMPLEMENTS, 1.5, True),
    "Leontief, partly stuck, resources": (LEONTIEF, 3.0, True),
    "substitutes, stuck, resources": (SUBSTITUTES, 1.0, True),
    "complements, one gas": (COMPLEMENTS, np.inf, False, True),
    "complements, one gas, partly stuck, resources": (COMPLEMENTS, 1.5, True, True),
    "by sector": (BY_SECTOR, np.inf, False),
    "by sector, partly stuck, resources": (BY_SECTOR, 1.5, True),
    "by sector, one gas, partly stuck": (BY_SECTOR, 1.5, False, True),
}


def economy_of(given: brute.Primitives, levels: brute.Levels, closure: str) -> Economy:
    n, s = given.talent.shape
    return Economy.from_shares(
        countries=[f"N{k}" for k in range(n)],
        sectors=[f"S{k}" for k in range(s)],
        trade_share=levels.trade_share,
        input_share=levels.input_share,
        value_added_share=levels.value_added_share,
        consumption_share=levels.consumption_share,
        value_added=levels.factor_income,
        deficit=levels.transfer,
        trade_elasticity=given.trade.theta,
        tariff=given.trade.tariff,
        export_tax=given.trade.export_tax,
        substitution=Substitution.of(
            **given.elasticity, energy_goods=given.energy_goods, gas_goods=given.gas_goods
        ),
        factor_mobility=given.mobility,
        resource_share=given.resource_share,
        closure=closure,
    )


def distances(found: Equilibrium, before: brute.Levels, after: brute.Levels) -> dict[str, float]:
    """Relative distance of every result from brute force (levels relative to the largest cell)."""
    pairs = {
        "wage_change": after.average_wage / before.average_wage,
        "factor_price_change": after.factor_price / before.factor_price,
        "price_change": after.price / before.price,
        "cost_change": after.cost / before.cost,
        "consumer_price_change": after.consumer_price / before.consumer_price,
        "real_income_change": after.income / before.income * before.consumer_price / after.consumer_price,
        "value_added": after.value_added,
        "output": after.output,
        "spending": after.spending,
        "income": after.income,
        "deficit": after.transfer,
    }
    apart = {
        name: float(np.abs(np.asarray(getattr(found, name)) - true).max() / max(np.abs(true).max(), 1e-3))
        for name, true in pairs.items()
    }
    return apart | {"trade_share": float(np.abs(found.trade_share() - after.trade_share).max())}


CASES = list(zip(SETTINGS, cycle(RULES), strict=False))
LONG = ("complements", "Leontief", "by sector", "complements, one gas")  # each is within another that stays


@pytest.mark.parametrize(
    ("setting", "rule"),
    [pytest.param(*case, marks=pytest.mark.slow) if case[0] in LONG else case for case in CASES],
)
def test_engine_equals_brute_force(setting: str, rule: str):
    """Icebergs, duties, export taxes and a ban between two countries, all at once."""
    given = brute.random_primitives(11, *SETTINGS[setting])
    before = brute.solve(given)
    given = brute.with_rule(given, rule, before)
    case = _change(given.trade, "all", 11)
    after = brute.solve(replace(given, trade=case.primitives), start=before)
    found = solve(economy_of(given, before, rule), case.shock, tolerance=ENGINE_TOLERANCE)
    apart = distances(found, before, after)
    assert max(apart.values()) < EIGHT_DIGITS, apart


@pytest.mark.parametrize(("kind", "seed"), [("iceberg", 12), ("tariff", 13), ("export-tax", 14), ("ban", 15)])
def test_each_instrument_equals_brute_force(kind: str, seed: int):
    """One instrument at a time where everything is switched on."""
    given = brute.random_primitives(seed, *SETTINGS["complements, partly stuck, resources"])
    before = brute.solve(given)
    case = _change(given.trade, kind, seed)
    after = brute.solve(replace(given, trade=case.primitives), start=before)
    found = solve(economy_of(given, before, "fixed"), case.shock, tolerance=ENGINE_TOLERANCE)
    apart = distances(found, before, after)
    assert max(apart.values()) < EIGHT_DIGITS, apart


def test_the_witness_closes_the_market_it_leaves_out():
    """Walras' law in the witness itself: the labour market dropped for the numéraire clears, and incomes add up."""
    given = brute.random_primitives(14, *SETTINGS["complements, partly stuck, resources"])
    levels = brute.solve(given)
    labour = (1 - given.resource_share) * levels.value_added
    gap = brute._labour_market(labour, levels.wage, given)[0]
    assert np.abs(gap).max() < EIGHT_DIGITS
    assert abs(levels.income.sum() - 1 - levels.revenue.sum()) < EIGHT_DIGITS
