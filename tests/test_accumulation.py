"""Capital accumulation and sums over years, against closed forms, sums by hand and each other."""

import numpy as np
import pytest

from detente.accumulation import (
    capital_path,
    consumption_equivalent,
    convergence,
    linear,
    log_linear,
    long_run_capital,
    long_run_income,
    multiplier,
    one_sector,
    present_value,
)
from detente.errors import InputError

EXACT = 1e-15  # nothing happens, so nothing may round
DIGITS = 1e-13  # some hundred powers of doubles
SETTLED = 1e-9  # what is left of the gap after 3000 years at 0.7 % a year


def test_without_a_shock_everything_stays():
    ones = np.ones((300, 2, 3))
    for law in (log_linear, linear):
        np.testing.assert_allclose(capital_path(ones, 0.05, law=law), 1, atol=EXACT)
        path = one_sector(ones, 0.4, 0.05, law=law)
        np.testing.assert_allclose([path.income, path.capital], 1, atol=EXACT)
    assert consumption_equivalent(ones[:, 0, 0], 0.04) == 1


def test_two_years_by_hand():
    """Â = 4, η = δ = ½: K₁ = √4 = 2, Y₁ = 4√2, K₂ = √(2·4√2) = 2^(7/4)."""
    path = one_sector([4.0, 4.0, 4.0], 0.5, 0.5)
    np.testing.assert_allclose(path.capital, [1, 2, 2**1.75], rtol=DIGITS)
    np.testing.assert_allclose(path.income, [4, 4 * 2**0.5, 4 * 2**0.875], rtol=DIGITS)
    assert long_run_income(4.0, 0.5) == pytest.approx(16, rel=DIGITS)
    assert linear(1.0, 4.0, 0.5) == 2.5
    np.testing.assert_allclose(capital_path([4.0, 4 * 2**0.5], 0.5), path.capital, rtol=DIGITS)


@pytest.mark.parametrize("law", [log_linear, linear])
def test_the_long_run_is_the_multiplier(law):
    static = np.array([0.9, 1.0, 1.2])
    price = np.array([1.1, 1.05, 0.9])
    path = one_sector(np.tile(static, (3000, 1)), 0.35, 0.05, price, law)
    np.testing.assert_allclose(path.income[-1], long_run_income(static, 0.35, price), rtol=SETTLED)
    np.testing.assert_allclose(path.capital[-1], long_run_capital(static, 0.35, price), rtol=SETTLED)
    np.testing.assert_allclose(long_run_income(static, 0.35), static ** multiplier(0.35), rtol=DIGITS)
    assert multiplier(1 / 3) == pytest.approx(1.5)


def test_the_transition_has_a_closed_form():
    """ln K_t = (1 − λ^t) ln K_∞ under the log-linear law."""
    eta, delta, price = 0.4, 0.05, 1.1
    path = one_sector(np.full(80, 0.95), eta, delta, price)
    left = convergence(eta, delta) ** np.arange(80)
    np.testing.assert_allclose(path.capital, long_run_capital(0.95, eta, price) ** (1 - left), rtol=DIGITS)
    assert np.log(2) / -np.log(convergence(eta, delta)) == pytest.approx(22.8, abs=0.05)


def test_the_laws_differ_by_second_order_only():
    gaps = []
    for size in (0.02, 0.01):
        made = [
            one_sector(np.full(40, 1 + size), 0.4, 0.05, law=law).capital[-1] for law in (log_linear, linear)
        ]
        gaps.append(made[1] - made[0])
    assert 0 < gaps[1] < 1e-4
    assert gaps[0] / gaps[1] == pytest.approx(4, rel=0.05)  # the square of the shock


def test_what_starts_apart_comes_back():
    """A quarter of capital lost and no other shock: half of the log gap is left after the half-life without feedback."""
    path = capital_path(np.ones(60), 0.05, start=0.75)
    np.testing.assert_allclose(np.log(path), 0.95 ** np.arange(61) * np.log(0.75), rtol=DIGITS)


def test_present_value_is_the_long_sum():
    flow, rate, growth = np.array([[1.0, -2.0], [3.0, 0.5], [2.0, 4.0]]), 0.05, 0.02
    long = np.concatenate([flow, np.tile(flow[-1], (2000, 1))])
    brute = (long * ((1 + growth) / (1 + rate)) ** np.arange(len(long))[:, None]).sum(axis=0)
    made = present_value(flow, rate, growth)
    np.testing.assert_allclose(made.total, brute, rtol=1e-12)
    np.testing.assert_allclose(
        made.transition, [1 + 3 / 1.05 * 1.02 + 2 * (1.02 / 1.05) ** 2, brute[1] - made.terminal[1]]
    )
    assert present_value([1.0], 0.04).total == pytest.approx(1.04 / 0.04)


def test_the_consumption_equivalent_is_indifferent():
    path, rate, growth = np.array([0.9, 0.95, 1.1]), 0.04, 0.02
    long = np.concatenate([path, np.full(4000, path[-1])])
    years, beta = np.arange(len(long)), 1 / (1 + rate)
    trend = (1 + growth) ** years
    for aversion in (1.0, 2.0, 0.5):
        made = consumption_equivalent(path, rate, growth, aversion)

        def worth(c, aversion=aversion):
            utility = np.log(c) if aversion == 1 else c ** (1 - aversion) / (1 - aversion)
            return (beta**years * utility).sum()

        assert worth(made * trend) == pytest.approx(worth(long * trend), rel=1e-12)
    assert consumption_equivalent(np.full(3, 0.97), rate, growth, 3.0) == pytest.approx(0.97, rel=DIGITS)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: capital_path([1.0, 0.0], 0.05), r"`investment` is 0 at \[1\]"),
        (lambda: capital_path(1.0, 0.05), "years first"),
        (lambda: capital_path([1.0], 0.0), "`depreciation` is 0"),
        (lambda: capital_path([1.0], 5), "as 0.05"),
        (lambda: multiplier(1.0), r"a share in \[0, 1\)"),
        (lambda: one_sector([[1.0, np.nan]], 0.4, 0.05), r"`static` is nan at \[0, 1\]"),
        (lambda: present_value([1.0], 0.02, 0.02), "above growth"),
        (lambda: present_value(["much"], 0.02), "expected numbers"),
        (lambda: consumption_equivalent([1.0], 0.04, aversion=0), "`aversion`"),
        (lambda: consumption_equivalent([1.0], 0.04, growth=-2, aversion=2), "`growth`"),
    ],
)
def test_what_cannot_be_is_refused(call, told: str):
    with pytest.raises(InputError, match=told):
        call()
