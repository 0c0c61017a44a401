"""When firms come back under relief that may be reversed: sunk costs, hazard and waiting (Dixit & Pindyck 1994).

Relief is in force. It is reversed with hazard p, a Poisson rate a year, for good. A firm that pays a sunk cost K earns a
flow of profit π while relief holds; the flow decays at δ and, where profits are uncertain, follows a geometric Brownian
motion with drift μ and volatility σ. At reversal it loses (1−r) of what is left of K. It discounts at ρ.

    value once in          V(π) = π/(ρ+δ+p−μ) + K p r/(ρ+δ+p)
    go in now or never     π/K ≥ m(1−ω),            m = ρ+δ+p−μ, ω = p r/(ρ+δ+p)
    go in now or later     π/K ≥ β/(β−1) m(1−ω),    β the root above 1 of ½σ²β(β−1) + μβ − (ρ+p) = 0

(chapter 5 of the book has β and the multiple; section 5.5 adds the hazard of a sudden death to the discount rate.) A
firm that waits loses the chance to reversal too, hence ρ+p in β. Here "now or never" with p = 0, μ = 0 is Marshall's rule.
All numbers are a year; arrays of any shapes that fit together are taken.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from detente.errors import InputError

Array = NDArray[np.float64]
Rule = Literal["wait", "now-or-never"]


@dataclass(frozen=True)
class Terms:
    """What a firm reckons with.

    discount: ρ > 0; decay: δ ≥ 0, of profit and of what is left of the sunk cost; hazard: p ≥ 0, of reversal; recovery: r
    in [0, 1], share of what is left of the sunk cost that the firm gets back at reversal, as 0.05 under a forced sale;
    drift: μ and volatility: σ ≥ 0, of profit. Each a number or an array. Raises `InputError` for a value out of its
    domain, and where μ ≥ ρ + p, with which a firm would wait for ever.
    """

    discount: ArrayLike
    decay: ArrayLike = 0.0
    hazard: ArrayLike = 0.0
    recovery: ArrayLike = 0.0
    drift: ArrayLike = 0.0
    volatility: ArrayLike = 0.0

    def __post_init__(self):
        for name in self.__dataclass_fields__:
            least = -np.inf if name == "drift" else 0.0
            values = _numbers(name, getattr(self, name), least, 1.0 if name == "recovery" else np.inf)
            object.__setattr__(self, name, values)
        if (np.asarray(self.discount) == 0).any():
            raise InputError("`discount` is 0; expected a yearly rate above 0, as 0.08.")
        late = np.asarray(self.drift) >= self.patience
        if late.any():
            raise InputError(
                "`drift` is as high as `discount` + `hazard`, so that waiting is always better than going in; "
                "expected a smaller drift, as 0."
            )

    @property
    def patience(self) -> Array:
        """ρ + p, at which the chance to go in is discounted."""
        return np.asarray(self.discount, float) + np.asarray(self.hazard, float)

    @property
    def yield_needed(self) -> Array:
        """m = ρ + δ + p − μ, profit a year per unit of value from profits."""
        return self.patience + np.asarray(self.decay, float) - np.asarray(self.drift, float)

    @property
    def recovered(self) -> Array:
        """ω = p r/(ρ+δ+p), present value of what comes back at reversal, as a share of the sunk cost."""
        hazard, r = np.asarray(self.hazard, float), np.asarray(self.recovery, float)
        return hazard * r / (self.patience + np.asarray(self.decay, float))


def value_in(terms: Terms, profit: ArrayLike, cost: ArrayLike) -> Array:
    """V, the expected present value of being in, the sunk cost not subtracted, in the money of profit and cost."""
    return np.asarray(profit, float) / terms.yield_needed + np.asarray(cost, float) * terms.recovered


def inverse_root(terms: Terms) -> Array:
    """1/β in [0, 1), β = ½ − μ/σ² + √((μ/σ² − ½)² + 2(ρ+p)/σ²) (Dixit & Pindyck 1994, chapter 5); 0 for σ = 0, μ ≤ 0.

    Written without the division by σ², so that small volatilities lose no digits; for σ = 0 and μ > 0 it is μ/(ρ+p).
    """
    drift, variance = np.asarray(terms.drift, float), np.asarray(terms.volatility, float) ** 2
    b = drift - variance / 2
    s = np.sqrt(b**2 + 2 * variance * terms.patience)
    up = (b + s) / (2 * terms.patience)
    down = variance / np.where(s - b > 0, s - b, 1.0)
    return np.where(b > 0, up, down)


def multiple(terms: Terms) -> Array:
    """β/(β−1) ≥ 1: how many times its net sunk cost an entry must be worth before waiting ends."""
    return 1 / (1 - inverse_root(terms))


def threshold(terms: Terms, rule: Rule = "wait") -> Array:
    """The yearly profit per unit of sunk cost, π/K, from which a firm goes in, under either rule.

    With σ = 0 and μ = 0 the rules agree: m(1−ω) = ρ+δ+p(1−r).
    """
    if rule not in ("wait", "now-or-never"):
        raise InputError(f"`rule` is {rule!r}; expected `wait` or `now-or-never`.")
    npv = terms.yield_needed * (1 - terms.recovered)
    return npv * multiple(terms) if rule == "wait" else npv


def option_value(terms: Terms, profit: ArrayLike, cost: ArrayLike) -> Array:
    """F, the value of the chance to go in: A π^β below the threshold, V − K above (chapter 5, value matching).

    profit, cost: π ≥ 0 and K > 0 in the same money. Below the threshold π*, F = (V(π*) − K)(π/π*)^β.
    """
    flow, sunk = _numbers("profit", profit, 0.0), _numbers("cost", cost, 0.0)
    x, border = inverse_root(terms), threshold(terms) * sunk
    ratio = flow / np.where(border > 0, border, 1.0)
    with np.errstate(divide="ignore"):  # β is infinite without uncertainty: the chance is worth nothing below
        power = np.minimum(ratio, 1.0) ** np.where(x > 0, 1 / x, np.inf)
    at_border = border / terms.yield_needed - sunk * (1 - terms.recovered)
    return np.where(ratio < 1, at_border * power, value_in(terms, flow, sunk) - sunk)


def value_of_waiting(terms: Terms, profit: ArrayLike, cost: ArrayLike) -> Array:
    """F − max(V − K, 0) ≥ 0: what a firm would lose by having to decide now; 0 from the threshold on."""
    now = np.maximum(value_in(terms, profit, cost) - np.asarray(cost, float), 0.0)
    return np.maximum(option_value(terms, profit, cost) - now, 0.0)


def share_entering(terms: Terms, median: ArrayLike, dispersion: ArrayLike, rule: Rule = "wait") -> Array:
    """The share of firms that go in, by number or by value as `median` is, in [0, 1].

    Firms differ in π/K, which is taken to be lognormal with the median given (a year) and a standard deviation of logs
    `dispersion` ≥ 0, an assumption, not a finding: 1 − Φ(ln(threshold/median)/dispersion). With dispersion 0 all or none.
    """
    middle, spread = _numbers("median", median, 0.0), _numbers("dispersion", dispersion, 0.0)
    if (middle == 0).any():
        raise InputError("`median` is 0; expected the yearly profit per unit of sunk cost, as 0.15.")
    gap = np.log(middle / threshold(terms, rule))
    score = gap / np.where(spread > 0, spread, 1.0)
    return np.where(spread > 0, ndtr(score), np.where(gap >= 0, 1.0, 0.0))


def returned(years: ArrayLike, half_life: ArrayLike, ceiling: ArrayLike = 1.0) -> Array:
    """What has come back some years after relief, K_t = K*(1 − 2^(−t/h)); all of it at once for a half-life of 0.

    years: t ≥ 0; half_life: h ≥ 0 in years; ceiling: K*, what comes back in the end, as `share_entering` times the stock.
    """
    t, h = _numbers("years", years, 0.0), _numbers("half_life", half_life, 0.0)
    left = np.where(h > 0, 2.0 ** (-t / np.where(h > 0, h, 1.0)), 0.0)
    return np.asarray(ceiling, float) * (1 - left)


def _numbers(name: str, given: ArrayLike, least: float, most: float = np.inf) -> Array:
    try:
        values = np.asarray(given, float)
    except (TypeError, ValueError):
        raise InputError(f"`{name}` is {given!r}; expected numbers.") from None
    wrong = ~np.isfinite(values) | (values < least) | (values > most)
    if wrong.any():
        cell = tuple(int(k) for k in np.argwhere(wrong)[0])
        bounds = "a finite number" + (f" of at least {least:g}" if np.isfinite(least) else "")
        bounds += f" and at most {most:g}" if np.isfinite(most) else ""
        raise InputError(f"`{name}` is {values[cell]:g} at {list(cell)}; expected {bounds}.")
    return values
