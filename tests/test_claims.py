"""Capital owned abroad: its return lands with its owner, and the accounts of the world close."""

import dataclasses

import numpy as np
import pytest

from detente.batch import COUNTRY, solve_many
from detente.equilibrium import solve
from detente.errors import InputError
from detente.shock import Shock
from detente.welfare import split as welfare_split
from tests import economies

TOLERANCE = 1e-12  # of the solver
CLOSED = 1e-12  # of world factor income: rounding of sums over four countries
AGREEMENT = 1e-9  # two solves, each to 1e-11
CLAIMS = np.array([[0, 0.05, 0.01, 0], [0.02, 0, 0, 0.1], [0, 0.03, 0, 0], [0.01, 0, 0.02, 0]])


def owned(closure: str = "share-of-world"):
    return economies.economy(3, closure).with_claims(CLAIMS)


@pytest.mark.parametrize("closure", ["share-of-world", "share-of-own", "fixed"])
def test_a_baseline_with_owners_abroad_is_at_rest(closure):
    found = solve(owned(closure), Shock(), tolerance=TOLERANCE)
    np.testing.assert_allclose(found.real_income_change, 1.0, rtol=0, atol=1e-11)
    plain = np.asarray(economies.economy(3).value_added)
    np.testing.assert_allclose(found.foreign_income, CLAIMS @ plain - CLAIMS.sum(axis=0) * plain, atol=CLOSED)


@pytest.mark.parametrize("closure", ["share-of-world", "share-of-own", "fixed"])
def test_what_is_paid_is_received(closure):
    found = solve(owned(closure), economies.shock(1), tolerance=TOLERANCE)
    income = np.asarray(found.wage_change * owned().value_added)
    np.testing.assert_allclose(
        found.foreign_income, CLAIMS @ income - CLAIMS.sum(axis=0) * income, atol=CLOSED
    )
    assert abs(float(found.foreign_income.sum())) < CLOSED
    assert abs(float(found.deficit.sum())) < CLOSED
    revenue = found.tariff_revenue + found.export_tax_revenue
    np.testing.assert_allclose(found.income, income + revenue + found.deficit, atol=CLOSED)


def test_trade_finances_what_owners_and_others_send():
    """Imports less exports at the border are the deficit, which the flows of goods alone tell."""
    found = solve(owned(), economies.shock(1), tolerance=TOLERANCE)
    bought = np.asarray(found.spending).sum(axis=1) - np.asarray(found.tariff_revenue)
    sold = found.trade().sum(axis=(0, 2)) + np.asarray(found.export_tax_revenue)
    np.testing.assert_allclose(bought - sold, found.deficit, atol=1e-11)


def test_owners_share_the_fate_of_the_host():
    """With D fixed apart from claims, an owner's income from abroad moves with the host's factor income alone."""
    dear = np.ones((4, 4, 3))
    dear[:, 1] = dear[1, :] = 2.0
    dear[1, 1] = 1.0
    bad = Shock(trade_cost_change=dear)
    found = solve(owned("fixed"), bad, tolerance=TOLERANCE)
    alone = solve(economies.economy(3, "fixed"), bad, tolerance=TOLERANCE)
    assert found.wage_change[1] < 1
    assert found.real_income_change[0] < alone.real_income_change[0]  # it owns a part of country 1
    assert found.real_income_change[1] > alone.real_income_change[1]


def test_claims_may_change_and_all_but_them_stays():
    """New claims are the same as a gift of what they earn."""
    new = CLAIMS.copy()
    new[:, 1] = 0.0
    found = solve(owned(), Shock(claims=new), tolerance=TOLERANCE)
    income = np.asarray(found.wage_change * owned().value_added)
    back = (new - CLAIMS) @ income - (new - CLAIMS).sum(axis=0) * income
    assert back[1] > 0
    given = solve(owned(), Shock(transfer=back), tolerance=TOLERANCE)
    np.testing.assert_allclose(given.wage_change, found.wage_change, rtol=AGREEMENT)
    np.testing.assert_allclose(given.income, found.income, rtol=AGREEMENT)


def test_a_gift_is_spent():
    economy = economies.economy(3, "fixed")
    gift = np.array([0.01, -0.01, 0.0, 0.0])
    found = solve(economy, Shock(transfer=gift), tolerance=TOLERANCE)
    np.testing.assert_allclose(found.deficit, np.asarray(economy.deficit) + gift, atol=CLOSED)
    assert found.real_income_change[0] > 1 > found.real_income_change[1]


def test_side_by_side_as_one_by_one():
    economy, names = economies.economy(3), COUNTRY
    gift = np.array([0.01, -0.01, 0.0, 0.0])
    shocks = [
        Shock(),
        economies.shock(1),
        Shock(claims=CLAIMS / 2),
        Shock(transfer=gift, claims=CLAIMS * 0),
        dataclasses.replace(economies.shock(2), endowment_change=[1.0, 0.9, 1.0, 1.1], transfer=gift),
    ]
    found = solve_many(economy, shocks, names=names, tolerance=1e-11)
    assert found.converged.all()
    assert not found.alone.any()
    for k, shock in enumerate(shocks):
        alone = solve(economy, shock, tolerance=1e-11)
        for name in names:
            np.testing.assert_allclose(
                found.values[name][..., k], getattr(alone, name), rtol=AGREEMENT, atol=AGREEMENT, err_msg=name
            )


@pytest.mark.parametrize(
    ("claims", "match"),
    [
        (np.eye(4) * 0.1, "owner N0, host N0"),
        (np.zeros((3, 3)), "shape"),
        (np.where(np.eye(4), 0, 0.4), "less than 1"),
        (np.where(np.eye(4), 0, np.nan), "owner N0, host N1"),
    ],
)
def test_claims_that_cannot_be(claims, match):
    with pytest.raises(InputError, match=match):
        economies.economy(3).with_claims(claims)
    with pytest.raises(InputError, match=match):
        solve(economies.economy(3), Shock(claims=claims))


@pytest.mark.parametrize(
    ("transfer", "match"),
    [([0.1, 0, 0, 0], "sums to 0.1"), ([0.0, 0.0], "shape"), ([np.nan, 0, 0, 0], "N0")],
)
def test_transfers_that_cannot_be(transfer, match):
    with pytest.raises(InputError, match=match):
        solve(economies.economy(3), Shock(transfer=transfer))


def test_the_welfare_split_says_that_it_has_no_part_for_them():
    economy = economies.economy(3)
    given = Shock(transfer=[0.01, -0.01, 0, 0])
    ends = solve(economy, Shock()), solve(economy, given)
    with pytest.raises(InputError, match="transfer"):
        welfare_split(economy, Shock(), given, *ends)
