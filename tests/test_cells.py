"""Only what measures touch is worked out: the weights and paths of whole arrays; the rest is left to the slow way."""

from dataclasses import replace

import numpy as np
import pytest

import detente as dt
from detente import cells, customers
from detente.batch import COUNTRY, solve_many
from detente.dynamics import Growth, Year, follow
from detente.errors import InputError
from detente.scenario import Scenario
from detente.shock import Shock
from detente.situation import direct_weight, situation
from detente.stack import WEIGHTS, Shape
from tests import economies

ROUNDED = 1e-12  # relative: the same products in another order
SOLVED = 1e-9  # of ratios: both ways are solved to 1e-10


@pytest.fixture(scope="module")
def tiny():
    return dt.calibrate(dt.World.load("tiny"))


def at_cells(economy, shock: Shock, cell: np.ndarray) -> dict[str, np.ndarray]:
    """Weights by name [cell] out of the whole arrays."""
    n, s = len(economy.countries), len(economy.sectors)
    importer, exporter, sector = cell // (n * s), cell // s % n, cell % s
    whole = situation(economy, shock)
    found = {name: getattr(whole, name) for name in WEIGHTS}
    return {
        name: np.asarray(each)[sector, importer, exporter] for name, each in found.items() if each is not None
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("taxed", [True, False])
def test_weights_are_those_of_the_whole_arrays(seed: int, taxed: bool):
    given = economies.shares(seed)
    given |= {} if taxed else {"tariff": None, "export_tax": None}
    economy = dt.Economy.from_shares(**given)
    for shock in (
        economies.shock(seed),
        replace(economies.shock(seed), tariff_new=None, export_tax_new=None),
    ):
        found = cells.sheet(economy, [shock])
        assert found is not None
        wanted = at_cells(economy, shock, found.cell)
        assert set(wanted) == set(found.weights)
        for name, each in wanted.items():
            np.testing.assert_allclose(found.weights[name][0, 0], each, rtol=ROUNDED, atol=0)
        direct = direct_weight(shock, economy).reshape(-1)
        touched = cells.touched(economy, shock)
        np.testing.assert_allclose(touched.direct, direct[touched.cell], rtol=ROUNDED)
        assert (np.delete(direct, touched.cell) == 1).all()


def test_memory_is_that_of_the_whole_arrays():
    economy, given = economies.economy(1), economies.shock(1)
    shocks = [Shock(), given, given, Shock(weight_change=given.weight_change), Shock()]
    rho = np.array([0.8, 0.0, 0.5])
    found = cells.remembering(economy, shocks, rho)
    factors = customers.lasting([direct_weight(shock, economy) for shock in shocks], rho)
    for shock, before, factor in zip(found, shocks, factors, strict=True):
        wanted = 1.0 if before.weight_change is None else np.asarray(before.weight_change)
        wanted = wanted if factor is None else wanted * factor
        now = 1.0 if shock.weight_change is None else np.asarray(shock.weight_change)
        np.testing.assert_allclose(now, wanted, rtol=ROUNDED)
    with pytest.raises(InputError, match="Persistence is 1"):
        cells.remembering(economy, shocks, 1.0)


def test_years_from_cells_are_the_equilibria_of_whole_shocks():
    """Duties in some years only, bans, entry, memory; each path with trade elasticities of its own."""
    plain, given = economies.economy(2), economies.shock(2)
    ways = [plain, plain.with_behaviour(trade_elasticity=1.5 * np.asarray(plain.trade_elasticity))]
    years = [Shock(), given, given, Shock(weight_change=given.weight_change), Shock()]
    paths = [[Year(shock) for shock in cells.remembering(each, years, 0.7)] for each in ways]
    found = follow(plain, paths, None, economies=ways)
    for p, (each, path) in enumerate(zip(ways, paths, strict=True)):
        for t, year in enumerate(path):
            wanted = dt.solve(each, year.shock)
            for name in COUNTRY:
                np.testing.assert_allclose(
                    found.values[name][t][:, p], getattr(wanted, name), rtol=SOLVED, atol=SOLVED
                )


def test_growth_may_differ_between_paths():
    economy, given = economies.economy(3), economies.shock(3)
    paths = [[Year(given)] * 4] * 2
    shares, wear = np.array([0.3, 0.5]), np.array([0.05, 0.1])
    found = follow(economy, paths, Growth(np.tile(shares, (4, 1)), np.tile(wear, (4, 1)), 0.2))
    for p in range(2):
        alone = follow(economy, paths, Growth(shares[p], wear[p], 0.2))
        np.testing.assert_allclose(
            found.values["capital"][..., p], alone.values["capital"][..., p], rtol=SOLVED
        )


def test_what_does_not_fit_is_left_to_the_slow_way():
    economy = economies.economy(0)
    home, shut = np.ones((4, 4, 3)), np.zeros((4, 4, 3), bool)
    home[1, 1, 0] = 0.9
    shut[0, 1:, :] = True
    refused = [Shock(weight_change=home), Shock(blocked=shut)]
    for shock in refused:
        assert cells.frame([economy], [cells.sheet(economy, [shock])], Shape()) is None
    assert cells.sheet(economy, [Shock(evasion=dt.Evasion(hubs=("N2",)))]) is None
    path = [[Year(Shock(weight_change=home))]]
    wanted = solve_many(economy, [Shock(weight_change=home)])
    np.testing.assert_array_equal(follow(economy, path, None).values["income"][0], wanted.values["income"])


def test_a_user_without_supplier_is_told_as_ever():
    """Who has no supplier is counted, and the refusal names the cell."""
    economy = economies.economy(0)
    none = np.zeros((4, 4, 3), bool)
    none[:, 1, 0] = True
    none[1, 1, 0] = False
    cut = np.ones((4, 4, 3))
    cut[0, :, 1] = 0.0
    cut[0, 0, 1] = 1.0
    assert cells.frame([economy], [cells.sheet(economy, [Shock(blocked=none)])], Shape()) is not None
    assert cells.frame([economy], [cells.sheet(economy, [Shock(weight_change=cut)])], Shape()) is not None


def test_senders_are_those_with_measures_in_force(tiny):
    for name in ("status-quo-2025", "us-relief", "all-lift"):
        stage = Scenario.load(name).staged(tiny)
        assert stage.law is not None
        grid = stage.law.grid
        on = stage.law.active & np.isin(grid.target, grid.places(["RUS"]))
        acting = np.unique(grid.sender[on])
        wanted = {c for c in tiny.countries if c != "RUS" and np.isin(grid.places([c]), acting).any()}
        assert stage.senders("RUS") == wanted


def test_compact_shocks_are_the_same_arrays():
    """And stay shared between the years that share them."""
    economy, given = economies.economy(2), economies.shock(2)
    shape = economy.trade_share.shape
    path = cells.remembering(economy, [given, given, Shock(blocked=given.blocked), Shock()], 0.7)
    small = cells.compact(path, shape)
    assert small[0].blocked is small[2].blocked
    for before, after in zip(path, small, strict=True):
        for name in (*cells.FIELDS, "weight_change"):
            one, other = getattr(before, name), getattr(after, name)
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
                assert np.asarray(one).dtype == np.asarray(other).dtype
