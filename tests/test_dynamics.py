"""Paths against closed forms and examples by hand; the accounts of the world close in every year."""

import dataclasses

import numpy as np
import pytest

from detente.accumulation import linear, log_linear, long_run_income, one_sector
from detente.dynamics import Growth, Year, accounts, follow, investment_mix, settle
from detente.economy import Economy
from detente.errors import InputError
from detente.shock import Shock
from tests import economies

STILL = 1e-10  # what is promised of a path without shocks
CLOSED = 1e-10  # what is promised of the world's accounts, in world factor income
CLOSE = 1e-9  # equilibria are solved to 1e-12; a few years and powers 1/(1−η) magnify what is left
TOLERANCE = 1e-12
GROWTH = Growth(capital_share=[0.4, 0.35, 0.5, 0.3], depreciation=0.06, investment_share=0.25)


def twins() -> Economy:
    """Two countries alike, one sector: what hits both alike moves no terms of trade."""
    return Economy.from_shares(
        countries=["N0", "N1"],
        sectors=["S0"],
        trade_share=np.array([[0.7, 0.3], [0.3, 0.7]])[:, :, None],
        input_share=np.full((2, 1, 1), 0.4),
        value_added_share=np.full((2, 1), 0.6),
        consumption_share=np.ones((2, 1)),
        value_added=[0.5, 0.5],
        deficit=[0.0, 0.0],
        trade_elasticity=5.0,
    )


def dear(cost: float) -> Shock:
    """Trade between the twins at `cost` times what it took."""
    return Shock(trade_cost_change=np.array([[1.0, cost], [cost, 1.0]])[:, :, None])


@pytest.mark.parametrize("law", [log_linear, linear])
def test_no_shock_no_path(law):
    growth = Growth(0.4, 0.06, law=law)
    found = follow(economies.economy(3), [[Year(Shock())] * 4], growth, tolerance=TOLERANCE)
    for name in ("capital", "investment", "real_income_change", "consumption_change"):
        np.testing.assert_allclose(found.values[name], 1.0, rtol=0, atol=STILL)
    np.testing.assert_allclose(found.next_capital, 1.0, rtol=0, atol=STILL)


@pytest.mark.parametrize("law", [log_linear, linear])
def test_one_sector_is_the_closed_path(law):
    growth = Growth(0.4, 0.06, law=law)
    found = follow(twins(), [[Year(dear(1.5))] * 5], growth, tolerance=TOLERANCE)
    static = found.values["real_income_change"][0, 0, 0]
    assert static < 0.99
    wanted = one_sector(np.full(5, static), 0.4, 0.06, law=law)
    np.testing.assert_allclose(found.values["real_income_change"][:, 0, 0], wanted.income, rtol=CLOSE)
    np.testing.assert_allclose(found.values["capital"][:, 1, 0], wanted.capital, rtol=CLOSE)


def test_the_long_run_of_one_sector_is_its_multiplier():
    growth = Growth(0.4, 0.06)
    static = follow(twins(), [[Year(dear(1.5))]], None, tolerance=TOLERANCE).values["real_income_change"][
        0, :, 0
    ]
    found = settle(twins(), [Year(dear(1.5)), Year(Shock())], growth, tolerance=TOLERANCE)
    np.testing.assert_allclose(
        found.values["real_income_change"][0, :, 0], long_run_income(static, 0.4), rtol=1e-8
    )
    np.testing.assert_allclose(found.values["capital"][0, :, 1], 1.0, rtol=0, atol=STILL)


def test_two_years_by_hand():
    """Sanctions in the first year only: K̂₁ = K̂₀^(1−δ) Ω̂₀^δ with Ω̂₀ = Ŷ₀, and Ŷ₁ = K̂₁^η."""
    found = follow(twins(), [[Year(dear(2.0)), Year(Shock())]], Growth(0.4, 0.06), tolerance=TOLERANCE)
    first = found.values["real_income_change"][0, 0, 0]
    by_hand = first**0.06
    assert found.values["capital"][1, 0, 0] == pytest.approx(by_hand, rel=CLOSE)
    assert found.values["real_income_change"][1, 0, 0] == pytest.approx(by_hand**0.4, rel=CLOSE)


def test_impose_then_lift_comes_back():
    """With capital held the year after is the baseline; with capital the way back is slow and ends there."""
    economy, shock = economies.economy(3), economies.shock(1)
    held = follow(economy, [[Year(shock), Year(Shock())]], None, tolerance=TOLERANCE)
    np.testing.assert_allclose(held.values["real_income_change"][1], 1.0, rtol=0, atol=STILL)
    grown = follow(economy, [[Year(shock), Year(Shock())]], GROWTH, tolerance=TOLERANCE)
    assert (abs(grown.values["real_income_change"][1] - 1) > 1e-4).any()
    later = settle(economy, [Year(Shock())], GROWTH, tolerance=TOLERANCE)
    np.testing.assert_allclose(later.values["real_income_change"][0], 1.0, rtol=0, atol=STILL)


def paths() -> list[list[Year]]:
    """Two paths with claims, transfers, capital flows, thrift and scrapping; the second changes in its second year."""
    claims = np.zeros((4, 4))
    claims[0, 1], claims[2, 3] = 0.05, 0.02
    flow = np.array([0.004, -0.004, 0.0, 0.0])
    first = Year(dataclasses.replace(economies.shock(1), claims=claims))
    other = Year(
        Shock(claims=claims / 2, transfer=-flow),
        inflow=-flow,
        thrift=np.array([1.0, 0.9, 1.0, 1.0]),
        scrapped=np.array([0.0, 0.03, 0.0, 0.0]),
    )
    return [[first, first, first], [first, other, other]]


def owned() -> Economy:
    claims = np.zeros((4, 4))
    claims[0, 1], claims[2, 3] = 0.06, 0.02
    return economies.economy(3).with_claims(claims)


def test_world_accounts_close_every_year():
    economy, given = owned(), paths()
    found = follow(economy, given, GROWTH, tolerance=TOLERANCE)
    assert found.converged.all(), found.message
    values = found.values
    told = accounts(economy, found, given, GROWTH)
    grown = values["capital"] ** np.array(GROWTH.capital_share)[None, :, None]
    factors = values["wage_change"] * grown * np.asarray(economy.value_added)[None, :, None]
    revenue = values["tariff_revenue"] + values["export_tax_revenue"]
    np.testing.assert_allclose(told["earned"], factors + revenue + values["foreign_income"], atol=CLOSED)
    saved = told["earned"] - told["consumed"]
    np.testing.assert_allclose(saved, told["invested"] + told["lent"], atol=CLOSED)
    np.testing.assert_allclose(told["lent"].sum(axis=1), 0.0, atol=CLOSED)
    np.testing.assert_allclose(saved.sum(axis=1), told["invested"].sum(axis=1), atol=CLOSED)
    np.testing.assert_allclose(values["foreign_income"].sum(axis=1), 0.0, atol=CLOSED)
    np.testing.assert_allclose(
        values["foreign_income"][0, 0], 0.05 * factors[0, 1], atol=CLOSED
    )  # the return lands with its owner
    np.testing.assert_allclose(factors.sum(axis=1), 1.0, atol=CLOSED)  # the numéraire


def test_paths_side_by_side_are_paths_alone():
    economy, given = owned(), paths()
    both = follow(economy, given, GROWTH, tolerance=TOLERANCE)
    alone = follow(economy, given[1:], GROWTH, tolerance=TOLERANCE)
    for name in ("capital", "real_income_change", "consumption_change"):
        np.testing.assert_allclose(both.values[name][..., 1], alone.values[name][..., 0], rtol=CLOSE)
    assert both.values["capital"][2, 1, 1] < 0.99  # scrapped


def test_a_mix_of_its_own():
    """Where only investment goods get dearer, capital falls and the basket of consumers follows from the two."""
    economy = economies.economy(3)
    alpha = np.asarray(economy.consumption_share)
    mix = investment_mix(alpha, [1.0, 0.0, 0.0], 0.25)
    np.testing.assert_allclose(mix.sum(axis=1), 1.0)
    assert (0.25 * mix <= alpha + 1e-12).all()
    assert (np.isclose(mix[:, 0], 1.0) | np.isclose(0.25 * mix[:, 0], alpha[:, 0])).all()
    growth = Growth(0.4, 0.06, 0.25, mix=mix)
    found = follow(economy, [[Year(economies.shock(1))] * 2], growth, tolerance=TOLERANCE)
    plain = follow(economy, [[Year(economies.shock(1))] * 2], Growth(0.4, 0.06, 0.25), tolerance=TOLERANCE)
    values = found.values
    dear, price = values["investment_price_change"][0], values["consumer_price_change"][0]
    np.testing.assert_allclose(
        values["investment"][0], values["real_income_change"][0] * price / dear, rtol=CLOSE
    )
    parts = (1 - 0.25) * np.log(values["real_income_change"][0] / values["consumption_change"][0])
    np.testing.assert_allclose(parts, 0.25 * np.log(price / dear), atol=CLOSE)
    assert abs(values["capital"][1] - plain.values["capital"][1]).max() > 1e-4


def test_what_fails_is_told_and_poisons_nobody():
    bad = np.ones((4, 4, 3))
    bad[0, 1, 0] = np.nan
    out = np.array([-0.3, 0.3, 0.0, 0.0])
    good = [Year(economies.shock(1))] * 2
    found = follow(
        economies.economy(3),
        [good, [Year(Shock(weight_change=bad))] * 2, [Year(Shock(), inflow=out)] * 2],
        GROWTH,
        tolerance=TOLERANCE,
    )
    assert list(found.converged) == [True, False, False]
    assert "exporter N1" in found.message[1]
    assert found.message[2]
    alone = follow(economies.economy(3), [good], GROWTH, tolerance=TOLERANCE)
    np.testing.assert_allclose(found.values["capital"][..., 0], alone.values["capital"][..., 0], rtol=CLOSE)


@pytest.mark.parametrize(
    ("growth", "match"),
    [
        (Growth([0.4, 0.4], 0.05), "`capital_share` has shape"),
        (Growth(1.2, 0.05), "capital_share` is 1.2 for N0"),
        (Growth(0.4, [0.05, 0.05, 0.0, 0.05]), "`depreciation` is 0 for N2"),
        (Growth(0.4, 0.05, 0.25, mix=np.ones((4, 3))), "sum to one"),
    ],
)
def test_growth_that_cannot_be(growth, match):
    with pytest.raises(InputError, match=match):
        follow(economies.economy(3), [[Year(Shock())]], growth)


def test_paths_of_two_lengths():
    with pytest.raises(InputError, match="one length"):
        follow(economies.economy(3), [[Year(Shock())], [Year(Shock())] * 2], GROWTH)
