"""Foreign capital and lost customers, year by year, by hand."""

import numpy as np
import pytest

from detente.customers import LEAST, lasting
from detente.errors import InputError
from detente.ownership import Holdings, Treatment, owned

EXACT = 1e-14  # products of a few numbers
CLAIMS = np.array([[0.0, 0.04], [0.0, 0.0]])
STOCK = np.array([[0.0, 0.1], [0.0, 0.0]])
HELD = Holdings(CLAIMS, STOCK, np.array([2.0, 0.5]), np.array([0.05, 0.1]))


def test_nothing_happens_to_owners_left_alone():
    for year in owned(HELD, [Treatment()] * 3):
        assert (year.left == 1).all()
        np.testing.assert_array_equal(year.claims, CLAIMS)
        for flow in (year.transfer, year.inflow, year.scrapped):
            assert (flow == 0).all()


def test_a_ban_lets_it_decay_and_the_owner_invests_at_home():
    found = owned(HELD, [Treatment(banned=True)] * 3)
    np.testing.assert_allclose([year.left[0, 1] for year in found], [1, 0.9, 0.81], rtol=EXACT)
    np.testing.assert_allclose(found[1].inflow, [0.1 * 0.1 * 0.9, -0.1 * 0.1 * 0.9], rtol=EXACT)
    np.testing.assert_allclose(found[2].claims[0, 1], 0.04 * 0.81, rtol=EXACT)
    assert (found[2].transfer == 0).all()


def test_forced_exit_by_hand():
    """A fifth is sold at 45 % of its value; a half of what is sold is lost to the host, before the next year."""
    out = Treatment(banned=True, sold=0.2, proceeds=0.45, stranded=0.5)
    found = owned(HELD, [out, out])
    np.testing.assert_allclose(found[0].transfer, [0.45 * 0.2 * 0.1, -0.45 * 0.2 * 0.1], rtol=EXACT)
    np.testing.assert_allclose(found[0].inflow, [0.1 * 0.8 * 0.1, -0.1 * 0.8 * 0.1], rtol=EXACT)
    assert found[1].left[0, 1] == pytest.approx(0.8 * 0.9, rel=EXACT)
    np.testing.assert_allclose(found[1].scrapped, [0, 0.5 * 0.2 * 0.1 / 0.5], rtol=EXACT)
    assert (found[0].scrapped == 0).all()


def test_blocked_dividends_stay_with_the_host():
    found = owned(HELD, [Treatment(blocked=0.7), Treatment()])
    np.testing.assert_allclose(found[0].claims, 0.3 * CLAIMS, rtol=EXACT)
    np.testing.assert_array_equal(found[1].claims, CLAIMS)


@pytest.mark.parametrize("bought_back", [False, True])
def test_the_way_back(bought_back):
    """Of what was lost a share returns, half of it within the half-life; built anew or bought back."""
    back = Treatment(returning=0.6, half_life=1.0, proceeds=0.5, bought_back=bought_back)
    found = owned(HELD, [Treatment(banned=True)] * 5 + [back] * 40)
    low = 0.9**5
    goal = low + 0.6 * (1 - low)
    left = np.array([year.left[0, 1] for year in found[5:]])
    np.testing.assert_allclose(left, goal - (goal - low) * 0.5 ** np.arange(40), rtol=1e-12)
    moved = 0.1 * (left[1] - left[0])
    flows = found[5].transfer, found[5].inflow
    wanted = (0.5 * moved, 0.0) if bought_back else (0.0, moved)
    for flow, amount in zip(flows, wanted, strict=True):
        np.testing.assert_allclose(flow, [-amount, amount], rtol=1e-12, atol=EXACT)
    assert found[-1].left[0, 1] == pytest.approx(goal, rel=1e-10)


def test_nobody_returns_while_others_are_forced_out():
    found = owned(HELD, [Treatment(sold=0.5, proceeds=0.0)] * 2 + [Treatment(returning=0.0)] * 2)
    np.testing.assert_allclose([year.left[0, 1] for year in found], [1, 0.5, 0.25, 0.25], rtol=EXACT)


def test_flows_sum_to_zero():
    draw = np.random.default_rng(1)
    stock = draw.uniform(0, 0.05, (4, 4)) * (1 - np.eye(4))
    held = Holdings(stock / 2, stock, np.full(4, 1.0), np.full(4, 0.05))
    mixed = Treatment(banned=draw.random((4, 4)) > 0.5, sold=draw.random((4, 4)) / 3, proceeds=0.4)
    for year in owned(held, [mixed, mixed, Treatment(), Treatment(bought_back=True)]):
        assert abs(year.transfer.sum()) < EXACT
        assert abs(year.inflow.sum()) < EXACT


def test_owners_of_more_than_there_is():
    with pytest.raises(InputError, match="300%"):
        Holdings(CLAIMS, STOCK * 15, np.array([2.0, 0.5]), np.array([0.05, 0.1]))
    with pytest.raises(InputError, match=r"`sold` holds 1\.5"):
        owned(HELD, [Treatment(sold=1.5)])


def weights(*values: float) -> list[np.ndarray]:
    """A weight on the flow from country 1 to country 0 by year, in two sectors."""
    found = []
    for value in values:
        one = np.ones((2, 2, 2))
        one[0, 1] = value
        found.append(one)
    return found


def test_no_memory_without_persistence():
    assert lasting(weights(0.3, 0.0, 1.0), 0.0) == [None] * 3
    assert lasting(weights(1.0, 1.0), 0.8) == [None] * 2


def test_what_is_still_lost_after_lifting():
    """ρ^k (1 − ρ^T) log w in the k-th year after T years of a cut; a cut itself bites at once."""
    rho, cut, long = np.array([0.8, 0.5]), 0.3, 3
    found = lasting(weights(*[cut] * long, 1.0, 1.0), rho)
    assert found[:long] == [None] * long
    for k in (1, 2):
        factor = found[long + k - 1]
        np.testing.assert_allclose(np.log(factor[0, 1]), rho**k * (1 - rho**long) * np.log(cut), rtol=1e-12)
        assert (np.delete(factor.reshape(4, 2), 1, axis=0) == 1).all()


def test_deeper_cuts_bite_at_once_and_milder_ones_slowly():
    found = lasting(weights(0.5, 0.2, 0.4), 0.5)
    assert found[:2] == [None, None]
    stock = 0.5 * (0.5 * (0.5 * np.log(0.5)) + 0.5 * np.log(0.2)) + 0.5 * np.log(0.4)
    np.testing.assert_allclose(0.4 * found[2][0, 1], min(0.4, np.exp(stock)) if stock < np.log(0.4) else 0.4)


def test_relief_beyond_the_baseline_comes_slowly_too():
    found = lasting(weights(2.0, 2.0), 0.5)
    np.testing.assert_allclose(2.0 * found[0][0, 1], 2**0.5, rtol=EXACT)
    np.testing.assert_allclose(2.0 * found[1][0, 1], 2**0.75, rtol=EXACT)


def test_customers_of_banned_goods_leave_in_time():
    found = lasting(weights(*[0.0] * 50, 1.0), 0.8)
    assert found[:50] == [None] * 50
    assert np.log(found[50][0, 1, 0]) == pytest.approx(0.8 * np.log(LEAST), rel=1e-4)


def test_persistence_out_of_its_domain():
    with pytest.raises(InputError, match=r"1\.2"):
        lasting(weights(0.5), 1.2)
