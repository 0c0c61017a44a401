"""The engine against brute force: the same small economies solved in levels by a general root-finder.

Both sides stop at relative gaps near 1e-11, which small economies pass on to prices and wages less than
tenfold; 8 digits leave a margin of ten over that.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from detente.economy import Economy
from detente.equilibrium import Equilibrium, balance, solve
from detente.shock import Shock
from tests import brute_force as brute

EIGHT_DIGITS = 1e-8
ENGINE_TOLERANCE = 1e-11
RULES = ("fixed", "share-of-world", "share-of-own")


@dataclass(frozen=True)
class Case:
    """New primitives and the same change as the engine is told of it."""

    primitives: brute.Primitives
    shock: Shock


def _economy(given: brute.Primitives, levels: brute.Levels, closure: str, transfer: np.ndarray) -> Economy:
    countries, sectors = given.productivity.shape
    return Economy.from_shares(
        countries=[f"N{n}" for n in range(countries)],
        sectors=[f"S{j}" for j in range(sectors)],
        trade_share=levels.trade_share,
        input_share=given.input_share,
        value_added_share=given.value_added_share,
        consumption_share=given.consumption_share,
        value_added=levels.factor_income,
        deficit=transfer,
        trade_elasticity=given.theta,
        tariff=given.tariff,
        export_tax=given.export_tax,
        closure=closure,
    )


def _change(given: brute.Primitives, kind: str, seed: int) -> Case:
    """A counterfactual: other shipping costs, new duties, a ban between countries 0 and 1, or all."""
    draw = np.random.default_rng(seed + 1000)
    shape = given.iceberg.shape
    abroad = ~np.eye(shape[0], dtype=bool)[:, :, None] & np.ones(shape, bool)
    cost = np.where(abroad & (kind in ("iceberg", "all")), draw.uniform(0.8, 1.8, shape), 1.0)
    tariff = np.where(abroad & (kind in ("tariff", "all")), draw.uniform(0, 0.8, shape), given.tariff)
    tax = np.where(abroad & (kind in ("export-tax", "all")), draw.uniform(0, 0.5, shape), given.export_tax)
    blocked = np.zeros(shape, bool)
    if kind in ("ban", "all"):
        blocked[0, 1] = blocked[1, 0] = True
    primitives = replace(
        given,
        iceberg=given.iceberg * cost,
        tariff=tariff,
        export_tax=tax,
        taste=np.where(blocked, 0.0, given.taste),
    )
    shock = Shock(trade_cost_change=cost, tariff_new=tariff, export_tax_new=tax, blocked=blocked)
    return Case(primitives, shock)


def _worst(found: Equilibrium, before: brute.Levels, after: brute.Levels) -> dict[str, float]:
    """Relative distance of every result from brute force (levels relative to the largest cell)."""
    pairs = {
        "wage_change": after.wage / before.wage,
        "price_change": after.price / before.price,
        "cost_change": after.cost / before.cost,
        "consumer_price_change": after.consumer_price / before.consumer_price,
        "real_income_change": after.income / before.income * before.consumer_price / after.consumer_price,
        "output": after.output,
        "spending": after.spending,
        "income": after.income,
        "deficit": after.transfer,
    }
    distances = {
        name: float(np.abs(np.asarray(getattr(found, name)) - true).max() / max(np.abs(true).max(), 1e-3))
        for name, true in pairs.items()
    }
    distances["trade_share"] = float(np.abs(found.trade_share() - after.trade_share).max())
    return distances


@pytest.mark.parametrize("kind", ["iceberg", "tariff", "export-tax", "ban", "all"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("seed", "countries", "sectors"), [(1, 4, 3), (2, 3, 2), (3, 4, 2)])
def test_engine_equals_brute_force(kind: str, rule: str, seed: int, countries: int, sectors: int):
    given = brute.random_primitives(seed, countries, sectors)
    before = brute.solve(given)
    given = brute.with_rule(given, rule, before)
    economy = _economy(given, before, rule, before.transfer)
    case = _change(given, kind, seed)
    after = brute.solve(case.primitives, start=before)
    found = solve(economy, case.shock, tolerance=ENGINE_TOLERANCE)
    distances = _worst(found, before, after)
    assert max(distances.values()) < EIGHT_DIGITS, distances


@pytest.mark.parametrize("kind", ["none", "iceberg", "all"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_flow_that_enters_equals_brute_force(kind: str, rule: str, seed: int):
    """Tastes for two flows are nil at first, in levels; then they are not, and other things change besides."""
    final = brute.random_primitives(seed, 4, 3)
    taste = final.taste.copy()
    absent = [(2, 1, 0), (0, 3, 2)]
    for cell in absent:
        taste[cell] = 0.0
    before = brute.solve(replace(final, taste=taste))
    final = brute.with_rule(final, rule, before)
    economy = _economy(final, before, rule, before.transfer)
    entry = np.zeros(taste.shape)
    for n, i, j in absent:  # what the newcomer's price, at costs as they were, makes of the buyer's spending
        paid = before.cost[i, j] * final.iceberg[n, i, j]
        paid *= (1 + final.tariff[n, i, j]) * (1 + final.export_tax[n, i, j])
        entry[n, i, j] = final.taste[n, i, j] * (paid / before.price[n, j]) ** -final.theta[j]
        assert entry[n, i, j] > 0.005
        assert economy.trade_share[n, i, j] == 0
    case = _change(final, kind, seed)
    after = brute.solve(case.primitives, start=before)
    found = solve(economy, replace(case.shock, entry=entry), tolerance=ENGINE_TOLERANCE)
    assert all(found.trade_share()[cell] > 1e-4 for cell in absent)
    distances = _worst(found, before, after)
    assert max(distances.values()) < EIGHT_DIGITS, distances


@pytest.mark.parametrize("kind", ["iceberg", "tariff", "export-tax", "ban", "all"])
@pytest.mark.parametrize("duties", [False, True])
def test_balanced_closure_equals_brute_force_without_transfers(kind: str, duties: bool):
    """`balanced` is the world whose transfers were taken away first, then shocked.

    The engine is given shares of the world with transfers; brute force solves both worlds without.
    """
    given = brute.random_primitives(5, 4, 3)
    if not duties:
        given = replace(given, tariff=0 * given.tariff, export_tax=0 * given.export_tax)
    with_transfers = brute.solve(given)
    economy = balance(_economy(given, with_transfers, "fixed", with_transfers.transfer))
    given = replace(given, transfer=np.zeros(4))
    before = brute.solve(given)
    case = _change(given, kind, 5)
    found = solve(economy, case.shock, tolerance=ENGINE_TOLERANCE)
    distances = _worst(found, before, brute.solve(case.primitives, start=before))
    assert max(distances.values()) < EIGHT_DIGITS, distances


def test_brute_force_closes_the_market_it_leaves_out():
    """Walras' law in the witness itself: the factor market that was dropped for the numéraire clears."""
    given = brute.random_primitives(7)
    levels = brute.solve(given)
    earned = (given.value_added_share * levels.output).sum(axis=1)
    assert np.abs(earned / levels.factor_income - 1).max() < EIGHT_DIGITS
    assert abs(levels.income.sum() - 1 - levels.revenue.sum()) < EIGHT_DIGITS
