"""The entry rule under the risk of reversal: the textbook's numbers, its conditions, and brute force."""

import numpy as np
import pytest

from detente.entry import (
    Terms,
    inverse_root,
    multiple,
    option_value,
    returned,
    share_entering,
    threshold,
    value_in,
    value_of_waiting,
)
from detente.errors import InputError

DIGITS = 1e-12  # a dozen operations on doubles
SLOPE = 1e-6  # central differences of a smooth function, step 1e-5 relative
GRID = 1e-3  # the tree's step; three digits
DRAWS = 3e-3  # three standard errors of 400 000 draws, relative
RISKY = Terms(discount=0.06, decay=0.05, hazard=0.15, recovery=0.05, drift=0.01, volatility=0.25)
COST = 2.0


def test_the_example_of_the_book():
    """Dixit & Pindyck (1994), chapter 5: σ = 0.2, ρ = δ = 0.04, so μ = 0: V* is twice the cost."""
    terms = Terms(discount=0.04, volatility=0.2)
    assert 1 / inverse_root(terms) == pytest.approx(2, abs=DIGITS)
    assert multiple(terms) == pytest.approx(2, abs=DIGITS)


def test_the_root_is_that_of_the_formula_and_keeps_its_digits():
    s2 = 0.25**2
    x = 0.01 / s2 - 0.5
    assert 1 / inverse_root(RISKY) == pytest.approx(-x + np.sqrt(x**2 + 2 * 0.21 / s2), rel=DIGITS)
    small = [inverse_root(Terms(0.04, drift=mu, volatility=[0.0, 1e-9])) for mu in (-0.02, 0.0, 0.01)]
    np.testing.assert_allclose([pair[1] - pair[0] for pair in small], 0, atol=1e-8)
    assert [pair[0] for pair in small] == [0, 0, pytest.approx(0.25)]


def test_limits():
    calm = Terms(discount=0.08, decay=0.05)
    assert (
        threshold(calm) == threshold(calm, "now-or-never") == pytest.approx(0.13)
    )  # Marshall: interest and wear
    hazards = np.array([0, 0.1, 1, 10, 1e6])
    terms = Terms(0.08, 0.05, hazards, recovery=0.5, volatility=0.2)
    assert (np.diff(threshold(terms)) > 0).all()
    shares = share_entering(terms, median=0.5, dispersion=0.7)
    assert (np.diff(shares) < 0).all()
    assert shares[-1] < 1e-80
    still = Terms(0.08, 0.05, 0.2, recovery=[0.0, 0.4, 1.0])
    np.testing.assert_allclose(threshold(still), 0.13 + 0.2 * (1 - np.array([0, 0.4, 1])), rtol=DIGITS)


def test_value_matching_smooth_pasting_and_the_equation():
    border = threshold(RISKY) * COST
    assert option_value(RISKY, border, COST) == pytest.approx(
        value_in(RISKY, border, COST) - COST, rel=DIGITS
    )
    h = 1e-5 * border
    left = (option_value(RISKY, border, COST) - option_value(RISKY, border - h, COST)) / h
    right = (option_value(RISKY, border + h, COST) - option_value(RISKY, border, COST)) / h
    assert left == pytest.approx(right, rel=1e-4)  # one-sided differences: an error of the size of the step
    for profit in (0.2 * border, 0.7 * border):
        h = 1e-4 * profit
        down, here, up = (option_value(RISKY, profit + k * h, COST) for k in (-1, 0, 1))
        drift = 0.01 * profit * (up - down) / (2 * h)
        spread = 0.5 * (0.25 * profit) ** 2 * (up - 2 * here + down) / h**2
        assert drift + spread == pytest.approx((0.06 + 0.15) * here, rel=SLOPE)


def tree(terms: Terms, profits: np.ndarray, cost: float, dt: float) -> np.ndarray:
    """The option by dynamic programming on a grid of log profits, unending: wait a step, or go in."""
    sigma, mu = float(terms.volatility), float(terms.drift)
    step = sigma * np.sqrt(dt)
    up = (np.exp(mu * dt) - np.exp(-step)) / (np.exp(step) - np.exp(-step))
    discount = np.exp(-float(terms.patience) * dt)
    grid = np.exp(np.arange(np.log(profits.min() / 30), np.log(profits.max() * 3), step))
    now = grid / float(terms.yield_needed) + cost * float(terms.recovered) - cost
    worth = np.maximum(now, 0)
    for _ in range(int(25 / (float(terms.patience) * dt))):
        waited = discount * (up * worth[2:] + (1 - up) * worth[:-2])
        worth[1:-1] = np.maximum(now[1:-1], waited)
    return np.interp(profits, grid, worth)


@pytest.mark.parametrize("terms", [RISKY, Terms(discount=0.1, decay=0.02, volatility=0.3)])
def test_the_option_is_that_of_a_tree(terms: Terms):
    border = float(threshold(terms)) * COST
    profits = border * np.array([0.3, 0.6, 0.9, 1.2])
    np.testing.assert_allclose(
        option_value(terms, profits, COST), tree(terms, profits, COST, 0.004), rtol=GRID
    )


def test_the_value_of_being_in_is_the_mean_over_reversals():
    terms = Terms(discount=0.06, decay=0.05, hazard=0.15, recovery=0.4)
    times = np.random.default_rng(7).exponential(1 / 0.15, 400_000)
    earned = 0.5 * (1 - np.exp(-0.11 * times)) / 0.11 + COST * 0.4 * np.exp(-0.11 * times)
    assert value_in(terms, 0.5, COST) == pytest.approx(earned.mean(), rel=DRAWS)


def test_entering_at_the_threshold_is_the_best_of_all_rules():
    """Without uncertainty of profits but growth: wait until the threshold, no sooner and no later (a closed sum)."""
    terms = Terms(discount=0.06, hazard=0.05, drift=0.03)
    start = 0.05
    waits = np.linspace(0, 60, 60_001)
    gain = np.exp(-0.11 * waits) * (start * np.exp(0.03 * waits) / float(terms.yield_needed) - 1)
    best = start * np.exp(0.03 * waits[gain.argmax()])
    assert threshold(terms) == pytest.approx(best, rel=1e-4)  # the grid of dates
    assert option_value(terms, start, 1.0) == pytest.approx(gain.max(), rel=1e-6)


def test_waiting_is_worth_something_below_the_threshold_only():
    border = threshold(RISKY) * COST
    profits = border * np.array([0.0, 0.5, 0.8, 0.99, 1.0, 1.5])
    worth = value_of_waiting(RISKY, profits, COST)
    assert worth[0] == 0
    assert (worth[1:4] > 0).all()
    np.testing.assert_allclose(worth[4:], 0, atol=DIGITS)
    assert (value_of_waiting(Terms(0.05), profits, COST) == 0).all()


def test_shares_are_those_of_a_sample():
    sample = 0.3 * np.exp(0.8 * np.random.default_rng(3).standard_normal(400_000))
    for rule in ("wait", "now-or-never"):
        share = share_entering(RISKY, 0.3, 0.8, rule)
        assert share == pytest.approx((sample >= threshold(RISKY, rule)).mean(), abs=DRAWS)
    np.testing.assert_array_equal(share_entering(Terms(0.1), [0.09, 0.11], 0.0), [0, 1])


def test_the_return_takes_its_half_life():
    np.testing.assert_allclose(returned([0, 3, 6], 3.0, 0.8), [0, 0.4, 0.6], rtol=DIGITS)
    assert returned(1.0, 0.0, 0.8) == 0.8


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: Terms(0.0), "`discount` is 0"),
        (lambda: Terms(0.05, drift=0.06), "waiting is always better"),
        (lambda: Terms(0.05, hazard=[0.1, -0.1]), r"`hazard` is -0.1 at \[1\]"),
        (lambda: Terms(0.05, recovery=1.5), "at most 1"),
        (lambda: Terms(0.05, volatility="high"), "expected numbers"),
        (lambda: threshold(RISKY, "never"), "`wait` or `now-or-never`"),  # pyright: ignore[reportArgumentType]
        (lambda: share_entering(RISKY, 0.0, 0.5), "`median` is 0"),
        (lambda: returned(-1, 3), "`years` is -1"),
    ],
)
def test_what_cannot_be_is_refused(call, told: str):
    with pytest.raises(InputError, match=told):
        call()
