"""Many equilibria at once: the same as one by one, and none of them poisons its neighbours."""

import dataclasses

import jax
import numpy as np
import pytest

from detente import batch
from detente.batch import COUNTRY, SECTOR, solve_many
from detente.economy import Economy
from detente.equilibrium import Result, solve
from detente.evasion import Evasion
from detente.instruments import Quota
from detente.nests import Substitution
from detente.shock import Shock
from detente.stack import cover
from tests import economies

AGREEMENT = 1e-9  # both are solved to 1e-11; small shares of trade magnify what is left
TOLERANCE = 1e-11
NESTS = Substitution.of(value_added=0.6, inputs=0.3, consumption=0.8, energy=0.2, energy_goods=(1,))


@pytest.fixture(autouse=True)
def _side_by_side(monkeypatch):
    """However few they are."""
    monkeypatch.setattr(batch, "FEW", 0)


def behaviour(name: str, closure: str = "share-of-world") -> Economy:
    plain = economies.economy(3, closure)
    given = {
        "plain": {},
        "nests": {"substitution": NESTS},
        "stuck": {"factor_mobility": 1.5},
        "both, resources": {"substitution": NESTS, "factor_mobility": 2.0, "resource_share": 0.2},
    }[name]
    return plain.with_behaviour(**given)


def by_use() -> Economy:
    given = economies.shares(5)
    given["use_share"] = np.stack([given["trade_share"], economies.shares(6)["trade_share"]])
    given["trade_share"] = None
    return Economy.from_shares(**given)


def same_as_one_by_one(economy: Economy, shocks: list[Shock], block: int = 4) -> None:
    found = solve_many(economy, shocks, names=COUNTRY + SECTOR, tolerance=TOLERANCE, block=block)
    assert found.converged.all(), found.message
    for k, shock in enumerate(shocks):
        alone = solve(economy, shock, tolerance=TOLERANCE)
        for name in COUNTRY + SECTOR:
            wanted, got = np.asarray(getattr(alone, name)), found.values[name][..., k]
            np.testing.assert_allclose(got, wanted, rtol=AGREEMENT, atol=AGREEMENT, err_msg=name)


@pytest.mark.parametrize(
    "name", ["plain", pytest.param("nests", marks=pytest.mark.slow), "stuck", "both, resources"]
)
def test_dense_shocks_of_every_behaviour(name):
    same_as_one_by_one(behaviour(name), [economies.shock(seed) for seed in range(6)])


def test_one_after_the_other_is_the_same(monkeypatch):
    economy, shocks = behaviour("plain"), [economies.shock(seed) for seed in range(3)]
    together = solve_many(economy, shocks, tolerance=TOLERANCE)
    jax.clear_caches()
    monkeypatch.setattr(batch, "FEW", 3)
    apart = solve_many(economy, shocks, tolerance=TOLERANCE)
    assert (apart.sweeps == together.sweeps).all()
    for name in COUNTRY:
        np.testing.assert_allclose(
            apart.values[name], together.values[name], rtol=1e-13, atol=1e-15, err_msg=name
        )
    jax.clear_caches()


@pytest.mark.parametrize("closure", ["share-of-own", "fixed"])
def test_closures(closure):
    same_as_one_by_one(behaviour("plain", closure), [economies.shock(seed) for seed in range(3)])


def sanctions(seed: int, duties: bool) -> Shock:
    """Cuts both ways with country 1, drawn anew for each seed."""
    draw = np.random.default_rng(seed)
    shape = (economies.COUNTRIES, economies.COUNTRIES, economies.SECTORS)
    weight, tariff = np.ones(shape), np.asarray(economies.economy(3).tariff).copy()
    for other in (0, 2, 3):
        weight[1, other], weight[other, 1] = draw.uniform(0.1, 1, (2, economies.SECTORS))
        tariff[other, 1] = draw.uniform(0, 0.5, economies.SECTORS)
    return Shock(weight_change=weight, tariff_new=tariff if duties else None)


def few_countries_apart(monkeypatch) -> list[int]:
    """Make sure that weights are held apart, whatever the number of countries; counts the calls."""
    from detente import stack

    monkeypatch.setattr(stack, "WIDEST", 2)
    seen = []
    real = stack.crossed
    monkeypatch.setattr(stack, "crossed", lambda *a: seen.append(1) or real(*a))
    return seen


@pytest.mark.parametrize("duties", [False, True])
def test_a_target_of_its_own_rows_and_columns(monkeypatch, duties):
    seen = few_countries_apart(monkeypatch)
    same_as_one_by_one(behaviour("plain"), [sanctions(seed, duties) for seed in range(5)])
    assert seen


def test_rows_and_columns_by_use(monkeypatch):
    seen = few_countries_apart(monkeypatch)
    same_as_one_by_one(by_use(), [sanctions(seed, False) for seed in range(3)])
    assert seen


def test_a_ban_is_exact_where_a_row_is_held_apart(monkeypatch):
    few_countries_apart(monkeypatch)
    blocked = np.zeros((4, 4, 3), bool)
    blocked[1, :], blocked[1, 1] = True, False
    economy = behaviour("plain", "share-of-world")
    same_as_one_by_one(
        economy, [Shock(), sanctions(1, False), Shock(weight_change=np.where(blocked, 1e-6, 1.0))]
    )


def test_goods_that_go_around(monkeypatch):
    few_countries_apart(monkeypatch)
    around = Evasion(hubs=("N2", "N3"), margin=0.3)
    shocks = [dataclasses.replace(sanctions(seed, False), evasion=around) for seed in range(2)]
    same_as_one_by_one(behaviour("plain"), [*shocks, sanctions(7, False)])


def test_more_factors():
    given = [Shock(endowment_change=[1.0, 1.2, 0.9, 1.0]), Shock(), Shock(endowment_change=1.1)]
    for name in ("plain", "both, resources"):
        same_as_one_by_one(behaviour(name), given)


def test_twice_the_factors_everywhere_is_twice_the_income():
    """Constant returns: prices stay, in the unit of world factor income everything is half as dear."""
    found = solve(behaviour("nests"), Shock(endowment_change=2.0), tolerance=TOLERANCE)
    np.testing.assert_allclose(found.real_income_change, 2.0, rtol=1e-10)
    found = solve(behaviour("stuck"), Shock(endowment_change=2.0), tolerance=TOLERANCE)
    np.testing.assert_allclose(found.real_income_change, 2.0, rtol=1e-10)


def test_failures_do_not_poison_their_neighbours():
    economy = behaviour("plain", "fixed")
    shape = economy.trade_share.shape
    cut_off = np.zeros(shape, bool)
    cut_off[1, :] = cut_off[:, 1] = True
    cut_off[1, 1] = False
    bad = np.ones(shape)
    bad[0, 1, 0] = np.nan
    hopeless = Shock(trade_cost_change=np.where(np.eye(4, dtype=bool)[:, :, None], 1.0, 1e6))
    good = [economies.shock(seed) for seed in range(2)]
    quota = Quota((0,), (1,), (1,), "few", ceiling=0.5)
    shocks = [
        good[0],
        Shock(blocked=cut_off),
        Shock(weight_change=bad),
        good[1],
        hopeless,
        Shock(instruments=(quota,)),
    ]
    found = solve_many(economy, shocks, tolerance=TOLERANCE)
    assert list(found.result[[0, 1, 2, 3, 5]]) == [
        Result.SOLVED, Result.INFEASIBLE, Result.REFUSED, Result.SOLVED, Result.SOLVED,
    ]  # fmt: skip
    assert found.result[4] in (Result.NOT_CONVERGED, Result.INFEASIBLE, Result.NOT_FINITE)
    assert list(found.alone[[0, 3]]) == [False, False]
    assert "N1" in found.message[1]
    assert "exporter N1" in found.message[2]
    assert np.isnan(found.values["income"][:, [1, 2, 4]]).all()
    for k, shock in ((0, good[0]), (3, good[1])):
        alone = solve(economy, shock, tolerance=TOLERANCE)
        np.testing.assert_allclose(found.values["income"][:, k], alone.income, rtol=AGREEMENT)


def test_behaviour_may_differ_by_scenario():
    economy = behaviour("nests")
    rng = np.random.default_rng(0)
    others = [
        economy.with_behaviour(
            trade_elasticity=np.asarray(economy.trade_elasticity) * rng.uniform(0.7, 1.4),
            substitution=Substitution.of(
                value_added=rng.uniform(0.3, 1),
                inputs=rng.uniform(0.1, 1),
                energy=rng.uniform(0.1, 1),
                energy_goods=(1,),
            ),
        )
        for _ in range(3)
    ]
    shocks = [economies.shock(seed) for seed in range(3)]
    found = solve_many(economy, zip(others, shocks, strict=True), tolerance=TOLERANCE)
    assert found.converged.all()
    assert not found.alone.any()
    for k, (other, shock) in enumerate(zip(others, shocks, strict=True)):
        np.testing.assert_allclose(
            found.values["real_income_change"][:, k],
            solve(other, shock, tolerance=TOLERANCE).real_income_change,
            rtol=AGREEMENT,
        )


def test_blocks_are_read_as_they_are_needed():
    """A generator of a million shocks would not have to lie in memory."""
    alive, most = [0], [0]

    def shocks():
        for seed in range(9):
            alive[0] += 1
            most[0] = max(most[0], alive[0])
            yield economies.shock(seed)

    def done(count: int) -> None:
        alive[0] = 0

    found = solve_many(behaviour("plain"), shocks(), block=3, progress=done)
    assert len(found) == 9
    assert most[0] == 3


def test_nothing_asked_nothing_found():
    assert len(solve_many(behaviour("plain"), [])) == 0


def test_unknown_names():
    with pytest.raises(ValueError, match="incme"):
        solve_many(behaviour("plain"), [Shock()], names=["incme"])


def test_a_few_countries_cover_all_touched_pairs():
    pairs = np.zeros((5, 5), bool)
    pairs[2, [0, 1, 3]] = pairs[[0, 4], 2] = pairs[4, 3] = True
    assert cover(pairs, 5) in ((2, 3), (2, 4))
    assert cover(np.zeros((5, 5), bool), 5) == ()
    assert batch.BLOCK >= 1
