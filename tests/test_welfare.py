"""The welfare split: it adds up, its parts are what their names say, and it tends to the published first-order formula."""

import dataclasses

import numpy as np
import pytest

import detente as dt
from detente import outcome as outcomes
from detente.calibration import calibrate
from detente.economy import Economy
from detente.equilibrium import balance, solve
from detente.errors import InputError
from detente.instruments import PriceCap
from detente.nests import Substitution
from detente.outcome import Outcome
from detente.shock import Shock
from detente.welfare import PARTS, lobatto, split
from detente.world import World
from tests import economies

SHAPE = (economies.COUNTRIES, economies.COUNTRIES, economies.SECTORS)
ROUNDING = 1e-9  # equilibria are solved to 1e-10
COMPLEMENTS = Substitution.of(value_added=0.5, inputs=0.2, consumption=0.7)
BEHAVIOURS = {
    "plain": {},
    "nests": {"substitution": COMPLEMENTS},
    "stuck": {"factor_mobility": 1.0},
    "all": {
        "substitution": Substitution.of(
            value_added=0.4, inputs=0.2, energy=0.3, consumption=0.7, energy_goods=(0,)
        ),
        "factor_mobility": 1.5,
        "resource_share": np.full((economies.COUNTRIES, economies.SECTORS), 0.3),
    },
}


def parts(economy: Economy, after: Shock, before: Shock | None = None, points: int = 5) -> dict:
    """The split in percent of spending, and `total`, the exact change."""
    before = before or Shock()
    ends = solve(economy, before), solve(economy, after)
    found = split(economy, before, after, *ends, points=points)
    assert tuple(found) == PARTS
    income = np.asarray(ends[0].income)
    growth = np.asarray(ends[1].real_income_change) / np.asarray(ends[0].real_income_change)
    return {name: 100 * value / income for name, value in found.items()} | {"total": 100 * (growth - 1)}


def plain(seed: int, behaviour: str = "plain") -> Economy:
    """Balanced, without duties."""
    given = economies.shares(seed) | {"tariff": None, "export_tax": None}
    return balance(Economy.from_shares(**given, closure="fixed")).with_behaviour(**BEHAVIOURS[behaviour])


def pair(importer: int, exporter: int, value: float, otherwise: float) -> np.ndarray:
    found = np.full(SHAPE, otherwise)
    found[importer, exporter] = value
    return found


@pytest.mark.parametrize(
    "closure",
    ["share-of-world", *(pytest.param(each, marks=pytest.mark.slow) for each in ("share-of-own", "fixed"))],
)
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_parts_add_up_for_a_large_shock_of_everything_at_once(behaviour: str, closure: str):
    """Costs × 3, duties, cuts, a ban and an entry together; losses of up to a third of income."""
    economy = economies.economy(3, closure).with_behaviour(**BEHAVIOURS[behaviour])
    misses = []
    for points in (3, 5, 9):
        found = parts(economy, economies.shock(3), points=points)
        np.testing.assert_allclose(sum(found[name] for name in PARTS), found["total"], atol=1e-12)
        misses.append(np.abs(found["residual"]).max())
    assert misses[0] > 100 * misses[1] > 100 * 5 * misses[2]
    assert misses[1] < 0.03  # percent of spending, of changes of up to 35
    assert misses[2] < 3e-4
    assert np.abs(found["total"]).max() > 20


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_small_shock_leaves_under_a_thousandth(behaviour: str):
    draw = np.random.default_rng(5)
    home = np.eye(economies.COUNTRIES, dtype=bool)[:, :, None]
    economy = economies.economy(5).with_behaviour(**BEHAVIOURS[behaviour])
    rate = np.asarray(economy.tariff) + np.where(home, 0, draw.uniform(0, 0.01, SHAPE))
    small = Shock(trade_cost_change=np.where(home, 1, draw.uniform(1, 1.01, SHAPE)), tariff_new=rate)
    found = parts(economy, small, points=3)
    assert (np.abs(found["residual"]) < 1e-3 * np.abs(found["total"])).all()


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_reallocation_is_nil_where_factors_sort_themselves(behaviour: str):
    found = parts(economies.economy(2).with_behaviour(**BEHAVIOURS[behaviour]), economies.shock(2), points=9)
    assert np.abs(found["reallocation"]).max() < 1e-5 * np.abs(found["total"]).max()


def test_from_one_shock_to_another_and_back():
    """The path is the same both ways; a dollar is worth what it buys at the start, which is the only difference."""
    economy, one = economies.economy(4), economies.shock(4)
    two = Shock(blocked=pair(1, 0, 1, 0) > 0)
    there, back = parts(economy, two, one, points=9), parts(economy, one, two, points=9)
    assert np.abs(there["residual"]).max() < 1e-3
    for name in PARTS[:4]:
        np.testing.assert_allclose(there[name], -back[name] * (1 + there["total"] / 100), atol=2e-3)


# What the parts mean ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_tariff_moves_terms_of_trade_and_distorts(behaviour: str):
    found = parts(plain(1, behaviour), Shock(tariff_new=pair(0, 1, 0.3, 0.0)))
    assert (found["trade_cost"] == 0).all()
    assert found["volume_of_trade"][0] < 0
    np.testing.assert_allclose(found["volume_of_trade"][1:], 0, atol=ROUNDING)
    assert found["terms_of_trade"][0] > 0 > found["terms_of_trade"][1]
    np.testing.assert_allclose(found["transfers"], 0, atol=ROUNDING)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("kind", ["iceberg", "ban"])
def test_friction_costs_the_buyer_and_reaches_others_by_prices_alone(behaviour: str, kind: str):
    ban = Shock(blocked=pair(0, 1, 1, 0) > 0)
    shock = ban if kind == "ban" else Shock(trade_cost_change=pair(0, 1, 1.3, 1.0))
    found = parts(plain(1, behaviour), shock)
    assert found["trade_cost"][0] < 0
    assert (found["trade_cost"][1:] == 0).all()
    assert found["terms_of_trade"][1] < 0
    np.testing.assert_array_equal(found["volume_of_trade"], 0)
    foreign = found["total"] - found["residual"] - found["reallocation"]
    np.testing.assert_allclose(foreign[1:], found["terms_of_trade"][1:], atol=ROUNDING)
    assert np.abs(found["residual"]).max() < 1e-2 * np.abs(found["total"]).max()


def test_a_ban_is_the_limit_of_ever_deeper_cuts():
    economy = economies.economy(6)
    ban = parts(economy, Shock(blocked=pair(0, 1, 1, 0) > 0), points=9)
    deep = parts(economy, Shock(weight_change=pair(0, 1, 1e-12, 1.0)), points=9)
    for name in PARTS[:4]:
        np.testing.assert_allclose(deep[name], ban[name], atol=2e-4)


def test_the_loss_of_variety_of_a_buyer_whose_market_alone_changes():
    """One sector, an importer too small to move prices: −1/θ log(1 − π), by the consumer price index (Feenstra 1994)."""
    share = np.array([[[0.7], [0.3]], [[1e-7], [1 - 1e-7]]])
    size = np.array([1e-7 / 0.3, 1.0])
    economy = Economy.from_shares(
        countries=["small", "large"],
        sectors=["all"],
        trade_share=share,
        input_share=np.zeros((2, 1, 1)),
        value_added_share=np.ones((2, 1)),
        consumption_share=np.ones((2, 1)),
        value_added=size / size.sum(),
        deficit=np.zeros(2),
        trade_elasticity=4.0,
    )
    both = np.zeros((2, 2, 1), bool)
    both[0, 1] = both[1, 0] = True
    found = parts(economy, Shock(blocked=both), points=9)
    assert found["total"][0] == pytest.approx(
        100 * (0.7**0.25 - 1), rel=1e-5
    )  # Arkolakis, Costinot & R.-Clare
    assert found["trade_cost"][0] + found["terms_of_trade"][0] == pytest.approx(found["total"][0], rel=1e-6)


# Against the first-order formula ----------------------------------------------------------------------------


def test_a_tiny_shock_is_the_first_order_split():
    economy = balance(Economy.from_shares(**economies.shares(7), closure="fixed"))
    economy = dataclasses.replace(economy, export_tax=None)
    economy = balance(economy)
    home = np.eye(economies.COUNTRIES)[:, :, None]
    tiny = Shock(
        trade_cost_change=np.where(home, 1, 1 + 1e-5),
        tariff_new=np.asarray(economy.tariff) + 1e-5 * (1 - home),
    )
    found = parts(economy, tiny)
    first = outcomes.simulate(economy, tiny).first_order()
    for name in ("terms_of_trade", "trade_cost"):
        np.testing.assert_allclose(found[name], first[name].values, rtol=1e-3, atol=1e-8)
    both = found["terms_of_trade"] + found["trade_cost"] + found["volume_of_trade"]
    np.testing.assert_allclose(both, found["total"], rtol=1e-4, atol=1e-8)


def test_steps_of_the_first_order_split_tend_to_it():
    """The formula of the paper, applied along the same path in 32 and 64 steps and extrapolated, is a second program."""
    economy = balance(Economy.from_shares(**(economies.shares(8) | {"export_tax": None}), closure="fixed"))
    start = np.asarray(economy.tariff)
    end = np.random.default_rng(8).uniform(0, 0.4, SHAPE) * (start > 0)

    def stepped(steps: int) -> dict[str, np.ndarray]:
        logs = [np.log1p(start) + (np.log1p(end) - np.log1p(start)) * k / steps for k in range(steps + 1)]
        shocks = [Shock(tariff_new=np.expm1(each)) for each in logs]
        solved = [solve(economy, shock) for shock in shocks]
        total = {name: np.zeros(economies.COUNTRIES) for name in PARTS[:2]}
        for k in range(steps):
            ends = solved[k], solved[k + 1]
            step = Outcome(
                economy, shocks[k], shocks[k + 1], shocks[k], shocks[k + 1], *ends, 1e-10
            ).first_order()
            for name, sum_ in total.items():
                sum_ += step[name].values * np.asarray(ends[0].real_income_change)
        return total

    coarse, fine = stepped(32), stepped(64)
    found = parts(economy, Shock(tariff_new=end), points=7)
    for name in coarse:
        np.testing.assert_allclose(found[name], 2 * fine[name] - coarse[name], rtol=2e-3, atol=2e-4)


# The rule and the labels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("points", [2, 3, 5, 8])
def test_the_rule_is_exact_for_polynomials_and_obeys_the_product_rule(points: int):
    at, rule = lobatto(points)
    assert at[0] == 0
    assert at[-1] == 1
    for a in range(points):
        b = points - 1
        assert at**a @ rule @ at**b == pytest.approx(b / (a + b), abs=1e-13)
    f, g = np.random.default_rng(points).normal(size=(2, points))
    assert f @ rule @ g + g @ rule @ f == pytest.approx(f[-1] * g[-1] - f[0] * g[0], abs=1e-12)


def test_fewer_than_two_points_are_refused():
    economy = economies.economy(1)
    ends = solve(economy, Shock()), solve(economy, Shock())
    with pytest.raises(InputError, match="`points` is 1"):
        split(economy, Shock(), Shock(), *ends, points=1)


def test_instruments_are_refused_since_their_rents_have_no_part():
    economy = economies.economy(1)
    ends = solve(economy, Shock()), solve(economy, Shock())
    cap = Shock(instruments=[PriceCap((0,), (1,), (2,), "the cap", cap=0.9)])
    with pytest.raises(InputError, match="the rents of `the cap`"):
        split(economy, Shock(), cap, *ends)


@pytest.fixture(scope="module")
def embedded() -> Economy:
    return calibrate(World.load())


@pytest.mark.parametrize("scenario", ["us-relief", "embargo", "status-quo-2025"])
def test_every_country_of_the_embedded_world_adds_up(embedded: Economy, scenario: str):
    found = dt.simulate(embedded, scenario)
    parts = found.welfare_split()
    for name in ("real_income", "equivalent_variation"):
        np.testing.assert_allclose(parts[name].sum("part"), found.data[name], atol=1e-9)
        assert parts[name].attrs["units"] == found.data[name].attrs["units"]
    worth = parts["equivalent_variation"]
    assert (abs(worth.sel(part="residual")) < 0.01 * abs(found.equivalent_variation)).all()
    sizes = abs(worth.sel(part="residual")).max() / abs(found.equivalent_variation).max()
    assert float(sizes) < 5e-4


def test_an_expectation_is_split_by_its_mean():
    economy = calibrate(World.load("tiny"))
    found = dt.simulate(economy, "us-relief-at-risk")
    parts = found.welfare_split()
    np.testing.assert_allclose(parts["real_income"].sum("part"), found.real_income, atol=1e-9)
    assert parts.attrs["scenario"] == "us-relief-at-risk"
