"""Capital that is built up year by year, in changes relative to a baseline, and sums over the years.

Arrays are [year, …], years first; whatever stands behind (countries, sectors, cases) is carried along. A change is new ÷
baseline, 1 where nothing changes, and a baseline without shocks stays at 1 exactly.

Two laws of motion (K capital, δ the yearly rate of depreciation, Ω real investment: nominal investment over the price of
investment goods):

    log-linear   K' = K^(1−δ) Ω^δ      Anderson, Larch & Yotov (2020, Economic Journal 130), after Lucas & Prescott (1971)
                                       and Hercowitz & Sampson (1991)
    linear       K' = (1−δ) K + I      perpetual inventory

In changes the first holds against *any* baseline that obeys the same law, the second against one in which capital stays put
(I = δK). Both have the fixed point K̂ = Ω̂ and the same speed near it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detente.errors import InputError

Array = NDArray[np.float64]
Law = Callable[[ArrayLike, ArrayLike, ArrayLike], Array]


def log_linear(capital: ArrayLike, investment: ArrayLike, depreciation: ArrayLike) -> Array:
    """Next year's capital, K̂' = K̂^(1−δ) Ω̂^δ (Anderson, Larch & Yotov 2020).

    capital, investment: changes of capital and of real investment, in shapes that fit; depreciation: δ a year, in (0, 1].
    """
    delta = np.asarray(depreciation, float)
    return np.asarray(capital, float) ** (1 - delta) * np.asarray(investment, float) ** delta


def linear(capital: ArrayLike, investment: ArrayLike, depreciation: ArrayLike) -> Array:
    """Next year's capital, K̂' = (1−δ) K̂ + δ Î: perpetual inventory against a baseline with I = δK. As `log_linear`."""
    delta = np.asarray(depreciation, float)
    return (1 - delta) * np.asarray(capital, float) + delta * np.asarray(investment, float)


def capital_path(
    investment: ArrayLike, depreciation: ArrayLike, start: ArrayLike = 1.0, law: Law = log_linear
) -> Array:
    """Capital in each year for a given path of real investment, in changes: [year + 1, …], `start` first.

    investment: Ω̂ [year, …]; depreciation: δ [… or none]; start: K̂ at the beginning of the first year. For a model in which
    investment answers to capital, step `law` yourself. Raises `InputError` for a value out of its domain.
    """
    omega = _positive("investment", investment, years=True)
    delta = _rate("depreciation", depreciation)
    path = [np.broadcast_to(_positive("start", start), np.broadcast(omega[0], start, delta).shape)]
    for year in omega:
        path.append(law(path[-1], year, delta))
    return np.stack(path)


# One sector: closed forms ------------------------------------------------------------------------------------


def multiplier(capital_share: ArrayLike) -> Array:
    """The power to which accumulation raises a static effect in the long run, 1/(1−η), η the capital share in value added.

    Output is Y = A L^(1−η) K^η, labour given, and investment a constant share of real income, in goods that move in price
    with consumption. So Ŷ = Â K̂^η and in the long run K̂ = Ω̂ = Ŷ, hence Ŷ = Â^(1/(1−η)). Â is the static effect: real
    income with capital held. In an economy that trades, Ŷ = Â K̂^η is exact only if the terms of trade do not move with
    capital, as when capital changes alike everywhere; else it is an approximation for a country small in its own markets.
    Raises `InputError` outside 0 ≤ η < 1.
    """
    return 1 / (1 - _share("capital_share", capital_share))


def long_run_income(static: ArrayLike, capital_share: ArrayLike, investment_price: ArrayLike = 1.0) -> Array:
    """Real income in the long run, Ŷ = (Â q̂^(−η))^(1/(1−η)), in changes.

    static: Â, real income with capital held; investment_price: q̂, change of the price of investment goods relative to
    that of consumption, as from a ban on machinery. From Ŷ = Â K̂^η and K̂ = Ŷ/q̂ (`multiplier` has the assumptions).
    """
    eta = _share("capital_share", capital_share)
    start, price = _positive("static", static), _positive("investment_price", investment_price)
    return (start * price**-eta) ** multiplier(eta)


def long_run_capital(static: ArrayLike, capital_share: ArrayLike, investment_price: ArrayLike = 1.0) -> Array:
    """Capital in the long run, K̂ = (Â/q̂)^(1/(1−η)), in changes. Arguments as in `long_run_income`."""
    start, price = _positive("static", static), _positive("investment_price", investment_price)
    return (start / price) ** multiplier(capital_share)


def convergence(capital_share: ArrayLike, depreciation: ArrayLike) -> Array:
    """The part of a gap to the long run that is left after a year, λ = 1 − δ(1−η): exact for the log-linear law in logs.

    ln 2 / −ln λ is the half-life in years: some 23 for δ = 0.05 and η = 0.4. The linear law has it near the long run.
    """
    return 1 - _rate("depreciation", depreciation) * (1 - _share("capital_share", capital_share))


class OneSector(NamedTuple):
    """Paths of the one-sector case, in changes: income and capital [year, …]; capital is that at the year's beginning."""

    income: Array
    capital: Array


def one_sector(
    static: ArrayLike,
    capital_share: ArrayLike,
    depreciation: ArrayLike,
    investment_price: ArrayLike = 1.0,
    law: Law = log_linear,
) -> OneSector:
    """Income Ŷ_t = Â_t K̂_t^η and capital K̂_{t+1} = law(K̂_t, Ŷ_t/q̂_t, δ) from K̂_0 = 1.

    static: Â [year, …], the static effect of the measures in force in each year; investment_price: q̂, one or by year;
    the rest as in `long_run_income` and `log_linear`. With a constant Â and the log-linear law
    K̂_t = K̂_∞^(1−λ^t), λ as in `convergence`.
    """
    effect = _positive("static", static, years=True)
    price = np.broadcast_to(_positive("investment_price", investment_price), effect.shape)
    eta, delta = _share("capital_share", capital_share), _rate("depreciation", depreciation)
    capital, stocks, incomes = np.ones(np.broadcast(effect[0], eta, delta).shape), [], []
    for now, cost in zip(effect, price, strict=True):
        stocks.append(capital)
        incomes.append(now * capital**eta)
        capital = law(capital, incomes[-1] / cost, delta)
    return OneSector(np.stack(incomes), np.stack(stocks))


# Sums over years ---------------------------------------------------------------------------------------------


class Present(NamedTuple):
    """A present value in two parts: `transition`, the years given, and `terminal`, all years after the last, [… ]."""

    transition: Array
    terminal: Array

    @property
    def total(self) -> Array:
        """Both parts."""
        return self.transition + self.terminal


def present_value(flow: ArrayLike, rate: ArrayLike, growth: ArrayLike = 0.0) -> Present:
    """Σ_t ((1+g)/(1+r))^t x_t, the first year undiscounted, and the last year's flow for ever after.

    flow: x [year, …], such as yearly equivalent variations in the money of the baseline; rate: r a year, above growth, g,
    the yearly growth of the baseline. Drop `terminal` for an effect that ends with the years given. Raises `InputError`
    for r ≤ g, which has no finite value.
    """
    x = _finite("flow", flow, years=True)
    factor = _discount(rate, growth)
    weight = factor ** np.arange(len(x)).reshape(-1, *[1] * (x.ndim - 1))
    return Present((weight * x).sum(axis=0), factor ** len(x) / (1 - factor) * x[-1])


def consumption_equivalent(
    consumption: ArrayLike, rate: ArrayLike, growth: ArrayLike = 0.0, aversion: float = 1.0
) -> Array:
    """The constant change of consumption worth as much as a path of changes, the last one held for ever (Lucas 1987).

    consumption: Ĉ [year, …]; aversion: of relative risk γ > 0, 1 for logarithms, with which the result is
    exp Σ_t w_t ln Ĉ_t, w_t = (1−f) f^t, as Anderson, Larch & Yotov (2020) use it; else (Σ_t w_t Ĉ_t^(1−γ))^(1/(1−γ)).
    With γ = 1, f = 1/(1+r) for r the rate of time preference, whatever growth; a growth g changes it only for γ ≠ 1, where
    f = (1+g)^(1−γ)/(1+r). Raises `InputError` if the sum is infinite.
    """
    change = _positive("consumption", consumption, years=True)
    if not (np.isfinite(aversion) and aversion > 0):
        raise InputError(
            f"`aversion` is {aversion!r}; expected a finite number above 0, as 1 for logarithms."
        )
    power = 1 - aversion
    yearly = _within("growth", _finite("growth", growth), lambda x: x > -1, "a yearly rate above −1, as 0.02")
    grown = (1 + yearly) ** power
    factor = _discount(rate, grown - 1)
    years = np.arange(len(change)).reshape(-1, *[1] * (change.ndim - 1))
    weight = (1 - factor) * factor**years
    worth = np.log(change) if power == 0 else change**power
    mean = (weight * worth).sum(axis=0) + factor ** len(change) * worth[-1]
    return np.exp(mean) if power == 0 else mean ** (1 / power)


def _discount(rate: ArrayLike, growth: ArrayLike) -> Array:
    r, g = _finite("rate", rate), _finite("growth", growth)
    if (r <= g).any() or (g <= -1).any():
        raise InputError(
            f"`rate` is {r} and growth {g} a year; expected a rate above growth, as 0.04 above 0, or the sum is infinite."
        )
    return (1 + g) / (1 + r)


def _finite(name: str, given: ArrayLike, years: bool = False) -> Array:
    try:
        values = np.asarray(given, float)
    except (TypeError, ValueError):
        raise InputError(f"`{name}` is {given!r}; expected numbers.") from None
    if years and (values.ndim == 0 or not len(values)):
        raise InputError(f"`{name}` has the shape {values.shape}; expected years first: [year, …].")
    if not np.isfinite(values).all():
        cell = tuple(int(k) for k in np.argwhere(~np.isfinite(values))[0])
        raise InputError(f"`{name}` is {values[cell]} at {list(cell)}; expected finite numbers.")
    return values


def _positive(name: str, given: ArrayLike, years: bool = False) -> Array:
    return _within(name, _finite(name, given, years), lambda x: x > 0, "changes above 0 (1 is unchanged)")


def _rate(name: str, given: ArrayLike) -> Array:
    return _within(
        name, _finite(name, given), lambda x: (x > 0) & (x <= 1), "a yearly rate in (0, 1], as 0.05"
    )


def _share(name: str, given: ArrayLike) -> Array:
    return _within(name, _finite(name, given), lambda x: (x >= 0) & (x < 1), "a share in [0, 1), as 0.4")


def _within(name: str, values: Array, fits: Callable[[Array], NDArray[np.bool_]], expected: str) -> Array:
    good = fits(values)
    if not good.all():
        cell = tuple(int(k) for k in np.argwhere(~good)[0])
        raise InputError(f"`{name}` is {values[cell]:g} at {list(cell)}; expected {expected}.")
    return values
