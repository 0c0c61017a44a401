"""Paths: equilibria year by year, many paths side by side, each year's capital built in the year before.

A year is an equilibrium of `detente.batch` in which mobile factors are Cobb–Douglas in labour, which stays, and capital:
L̂_n = K̂_n^η. Final spending I' is for consumption and investment. With T the capital that comes from abroad for
investment (within I'), s the share of investment in other spending and φ̂ what moves that share,

    investment    X' = φ̂ s (I' − T) + T,  in real terms Ω̂ = X'/(s I P̂ᴵ),  P̂ᴵ = Π_j P̂_j^mix_j
    capital       K̂_{t+1} = K̂_t^(1−δ) Ω̂_t^δ  (Anderson, Larch & Yotov 2020), or the linear law
    consumption   Ĉ = (I' − X')/((1−s) I P̂ᶜᵒ),  P̂ᶜᵒ = (P̂ᶜ/(P̂ᴵ)^s)^(1/(1−s))

Saving is income less consumption, I' − D' − (I' − X'), and what a country saves above its investment it lends: −D'. Changes
are relative to a baseline in which capital stays, so that without shocks nothing moves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detente.accumulation import Law, log_linear
from detente.batch import BLOCK, COUNTRY, Equilibria
from detente.economy import Economy
from detente.equilibrium import TOLERANCE, Result
from detente.errors import ConvergenceError, InputError
from detente.lane import lane_of, solve_year
from detente.response import Preconditioner
from detente.search import baseline_preconditioner
from detente.shock import Shock

BUILT = ("capital", "investment", "investment_price_change", "consumption_change")
Solver = Callable[..., Equilibria]  # (place of the year, shocks, names=names of fields)
SETTLED = 1e-8  # of log capital, to which the long run is found
ROUNDS = 40
NEGATIVE = "More capital leaves than the country invests in this year: nothing would be built."


@dataclass(frozen=True)
class Growth:
    """How capital is built up; each a number, [country] or, where paths differ, [country, path].

    capital_share: η of value added, in [0, 1); depreciation: δ a year, in (0, 1]; investment_share: s of final spending, in
    (0, 1); mix: parts of goods in investment [country, sector] or [country, sector, path], or None for those of all final
    spending; law: of motion,
    `accumulation.log_linear` or `linear`. Raises `InputError` on use for a value out of its domain.
    """

    capital_share: ArrayLike
    depreciation: ArrayLike
    investment_share: ArrayLike = 0.25
    mix: ArrayLike | None = None
    law: Law = log_linear


class Year(NamedTuple):
    """What holds in one year of a path.

    shock: trade, claims and transfers. inflow [country]: T, capital that comes for investment, negative where it leaves;
    sums to zero; world factor income. thrift [country]: φ̂, change of the investment share. scrapped [country]: part of the
    capital that is lost before the year begins.
    """

    shock: Shock
    inflow: NDArray | None = None
    thrift: NDArray | None = None
    scrapped: NDArray | None = None


@dataclass(frozen=True)
class Paths:
    """Solved paths. values: by name, [year, country, path]: fields of `Equilibrium` (`batch.COUNTRY`) and

    capital (K̂ at the beginning of the year), investment (Ω̂), investment_price_change, consumption_change (ratios).
    next_capital [country, path]: K̂ after the last year. result, residual [year, path]; message [path]: why there is none,
    or "". Where there is no solution, and after that, values are NaN.
    """

    values: dict[str, NDArray]
    next_capital: NDArray
    result: NDArray[np.int64]
    residual: NDArray
    message: tuple[str, ...]

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether every year of a path was solved to the tolerance [path]."""
        return (self.result == Result.SOLVED).all(axis=0)


class _Rules(NamedTuple):
    """Growth as columns [country, 1 or path]; mix [country, sector, 1 or path] or None."""

    eta: NDArray
    delta: NDArray
    share: NDArray
    mix: NDArray | None
    law: Law


def follow(
    economy: Economy,
    paths: Sequence[Sequence[Year]],
    growth: Growth | None,
    *,
    capital: ArrayLike = 1.0,
    tolerance: float = TOLERANCE,
    block: int = BLOCK,
    apart: tuple[int, ...] = (),
    solver: Solver | None = None,
    progress: Callable[[int], None] | None = None,
    economies: Sequence[Economy] | None = None,
    made: Preconditioner | None = None,
) -> Paths:
    """The equilibria of paths of the same length, year by year, side by side.

    growth: None holds capital at the baseline (inflows are then spent like transfers, nothing is scrapped). capital: K̂ at
    the beginning, a number or [country] or [country, path]. apart: indices of countries whose trade differs between paths
    in some year, so that all years are alike to the compiler. solver: what solves a year's shocks, given the year's place,
    in the place of what is used otherwise. progress: called with the number of years done. economies: one a path where
    behaviour differs, of the baseline of `economy`; made: the linear response that steers the search, left out, that at
    `economy`'s baseline. A year begins where the last one ended, and only what measures touch is worked out.
    Failures are data (`Paths.result`). Raises `InputError` for paths of several lengths or values out of their domain.
    """
    lengths = {len(path) for path in paths}
    if len(lengths) != 1 or 0 in lengths:
        raise InputError(
            f"Paths have {sorted(lengths) or 'no'} years; expected paths of one length, a year or more."
        )
    rules = None if growth is None else _rules(growth, economy)
    each = [economy] * len(paths) if economies is None else list(economies)
    if len(each) != len(paths):
        raise InputError(f"There are {len(each)} economies for {len(paths)} paths; expected one a path.")
    if solver is None:
        shocks = [[year.shock for year in path] for path in paths]
        lane = lane_of(each, shocks, apart, made or baseline_preconditioner(economy))
        solver = partial(solve_year, (each, lane), (tolerance, block, apart))
    stock = _stock(capital, len(economy.countries), len(paths))
    return _followed(each[0], paths, stock, rules, solver, progress)


def _followed(
    economy: Economy,
    paths: Sequence[Sequence[Year]],
    stock: NDArray,
    rules: _Rules | None,
    solver: Solver,
    progress: Callable[[int], None] | None = None,
) -> Paths:
    years: list[dict[str, NDArray]] = []
    facts: list[Equilibria] = []
    for t, now in enumerate(zip(*paths, strict=True)):
        if rules is not None:
            stock = stock * (1 - _columns([year.scrapped for year in now], len(stock)))
        found, values, stock = _year(economy, now, stock, rules, partial(solver, t))
        years.append(values)
        facts.append(replace(found, values={}))
        if progress is not None:
            progress(t + 1)
    return Paths(
        values={name: np.stack([each[name] for each in years]) for name in years[0]},
        next_capital=stock,
        result=np.stack([each.result for each in facts]),
        residual=np.stack([each.residual for each in facts]),
        message=tuple(next(filter(None, each), "") for each in zip(*(f.message for f in facts), strict=True)),
    )


def _year(
    economy: Economy,
    now: Sequence[Year],
    stock: NDArray,
    rules: _Rules | None,
    solved: Callable[..., Equilibria],
) -> tuple[Equilibria, dict[str, NDArray], NDArray]:
    """One year of all paths: results, values by name [country, path], and the capital left for the next."""
    names = (*COUNTRY, "price_change") if rules is not None and rules.mix is not None else COUNTRY
    grown = None if rules is None else stock**rules.eta
    shocks = [_shock(year, None if grown is None else grown[:, p]) for p, year in enumerate(now)]
    found = solved(shocks, names=names)
    values = {name: found.values[name] for name in COUNTRY}
    if rules is None:
        one = np.where(found.converged[None, :], 1.0, np.nan) * np.ones_like(stock)
        built = {
            "capital": one,
            "investment": one,
            "investment_price_change": values["consumer_price_change"],
        }
        return found, values | built | {"consumption_change": values["real_income_change"]}, stock
    built = invested(economy, now, found, rules)
    stopped = found.converged & ~(built["investment"] > 0).all(axis=0)
    if stopped.any():
        found = _marked(found, stopped)
    omega = np.where(found.converged[None, :], built["investment"], np.nan)
    return found, values | {"capital": stock} | built, rules.law(stock, omega, rules.delta)


def _shock(year: Year, grown: NDArray | None) -> Shock:
    """The year's shock with capital's part of endowments, and capital from abroad among the transfers."""
    shock = year.shock
    if grown is not None:
        own = 1.0 if shock.endowment_change is None else np.asarray(shock.endowment_change, float)
        shock = replace(shock, endowment_change=own * grown)
    if year.inflow is not None:
        given = 0.0 if shock.transfer is None else np.asarray(shock.transfer, float)
        shock = replace(shock, transfer=given + year.inflow)
    return shock


def invested(economy: Economy, now: Sequence[Year], found: Equilibria, rules: _Rules) -> dict[str, NDArray]:
    """Real investment and consumption of a year, and the price of investment goods [country, path]."""
    countries, share = len(economy.countries), rules.share
    before = np.asarray(economy.income)[:, None]
    income, price = found.values["income"], found.values["consumer_price_change"]
    inflow = _columns([year.inflow for year in now], countries)
    thrift = _columns([year.thrift for year in now], countries, 1.0)
    dear = price
    if rules.mix is not None:
        dear = np.exp((rules.mix * np.log(found.values["price_change"])).sum(axis=1))
    spent = thrift * share * (income - inflow) + inflow
    eaten = (price / dear**share) ** (1 / (1 - share))
    return {
        "investment": spent / (share * before * dear),
        "investment_price_change": dear,
        "consumption_change": (income - spent) / ((1 - share) * before * eaten),
    }


def settle(
    economy: Economy,
    years: Sequence[Year],
    growth: Growth,
    *,
    capital: ArrayLike = 1.0,
    tolerance: float = TOLERANCE,
    block: int = BLOCK,
    apart: tuple[int, ...] = (),
) -> Paths:
    """The long run of situations that last: K̂ = Ω̂, whatever the law; as paths of one year, one a situation.

    capital: where to begin, as in `follow`. Found by log K̂ ← log K̂ + ω (log Ω̂ − log K̂)/(1−η), which with ω = 1 is Newton's
    step in one sector, and ω of each situation by Aitken's rule. What scraps capital is over in the long run
    and left out. Raises `ConvergenceError` where some situation that has an equilibrium does not settle.
    """
    rules = _rules(growth, economy)
    stock = _stock(capital, len(economy.countries), len(years))
    pull, last = np.ones(len(years)), np.zeros_like(stock)
    paths = [[year._replace(scrapped=None)] for year in years]
    same = [economy] * len(years)
    shocks = [[year.shock] for year in years]
    lane = lane_of(same, shocks, apart, baseline_preconditioner(economy))
    solver = partial(solve_year, (same, lane), (tolerance, block, apart))
    for _ in range(ROUNDS):
        found = _followed(economy, paths, stock, rules, solver)
        gap = np.log(found.values["investment"][0]) - np.log(stock)
        if not (abs(gap[:, found.converged]) > SETTLED).any():
            return found
        step = np.where(found.converged[None, :], gap, 0.0) / (1 - rules.eta)
        turn = ((step - last) ** 2).sum(axis=0)
        aitken = -pull * (last * (step - last)).sum(axis=0) / np.where(turn > 0, turn, 1.0)
        pull, last = np.where((turn > 0) & last.any(axis=0), np.clip(aitken, 0.3, 3.0), 1.0), step
        stock = stock * np.exp(pull * step)
    raise ConvergenceError(
        f"Capital does not settle: after {ROUNDS} rounds investment and capital differ by {np.nanmax(abs(gap)):.1e}. "
        "Look at the last years of the path: a transfer or an outflow of capital that lasts may use up what is earned."
    )


def accounts(
    economy: Economy, found: Paths, paths: Sequence[Sequence[Year]], growth: Growth
) -> dict[str, NDArray]:
    """National accounts of every year [year, country, path], world factor income.

    earned (factor income, revenue and income from abroad), consumed, invested, lent (what is saved above investment).
    """
    rules = _rules(growth, economy)
    countries = len(economy.countries)
    inflow = np.stack(
        [_columns([year.inflow for year in now], countries) for now in zip(*paths, strict=True)]
    )
    thrift = np.stack(
        [_columns([year.thrift for year in now], countries, 1.0) for now in zip(*paths, strict=True)]
    )
    values = found.values
    spent = thrift * rules.share[None] * (values["income"] - inflow) + inflow
    borrowed = values["deficit"] - values["foreign_income"]
    return {
        "earned": values["income"] - borrowed,
        "consumed": values["income"] - spent,
        "invested": spent,
        "lent": -borrowed,
    }


def investment_mix(final: ArrayLike, wanted: ArrayLike, share: ArrayLike) -> NDArray:
    """What investment is made of [country, sector]: `wanted`, as far as final demand has it.

    final: α, parts of goods in final spending [country, sector]; wanted [sector] or [country, sector], any scale; share: s,
    of investment in final spending. No good can go into investment more than all of its final use: s mix ≤ α. What that
    cuts off goes to the other goods in proportion to what is left of them.
    """
    alpha, s = (
        np.asarray(final, float),
        np.broadcast_to(np.asarray(share, float), len(np.asarray(final)))[:, None],
    )
    pull = np.broadcast_to(np.asarray(wanted, float), alpha.shape) * (alpha > 0)
    bare = pull.sum(axis=1, keepdims=True) <= 0
    pull = np.where(bare, alpha, pull)
    mix = np.minimum(pull / pull.sum(axis=1, keepdims=True), alpha / s)
    room = alpha / s - mix
    missing = 1 - mix.sum(axis=1, keepdims=True)
    return mix + missing * room / np.maximum(room.sum(axis=1, keepdims=True), np.finfo(float).tiny)


def _rules(growth: Growth, economy: Economy) -> _Rules:
    n = len(economy.countries)

    def column(name: str, low: float, high: float) -> NDArray:
        values = np.asarray(getattr(growth, name), float)
        if values.ndim > 2 or (values.ndim and len(values) != n):
            raise InputError(
                f"`{name}` has shape {values.shape}; expected a number, ({n},), one for each country, or ({n}, paths)."
            )
        spread = values if values.ndim == 2 else np.broadcast_to(values, n)[:, None]
        bad = ~((spread >= low) & (spread <= high))
        if bad.any():
            k, p = np.argwhere(bad)[0]
            raise InputError(
                f"`{name}` is {spread[k, p]:g} for {economy.countries[k]}; expected between {low:g} and {high:g}."
            )
        return spread

    mix = growth.mix
    if mix is not None:
        mix = np.asarray(mix, float)
        mix = mix[..., None] if mix.ndim == 2 else mix
        right = mix.ndim == 3 and mix.shape[:2] == economy.spending.shape
        if not right or not np.allclose(mix.sum(axis=1), 1) or (mix < 0).any():
            raise InputError(
                f"`mix` must hold parts of goods in investment {economy.spending.shape} [country, sector] that sum to one."
            )
    eta, delta = column("capital_share", 0.0, 0.99), column("depreciation", 1e-9, 1.0)
    return _Rules(eta, delta, column("investment_share", 1e-9, 0.99), mix, growth.law)


def _stock(capital: ArrayLike, countries: int, paths: int) -> NDArray:
    given = np.asarray(capital, float)
    return np.array(np.broadcast_to(given[:, None] if given.ndim == 1 else given, (countries, paths)))


def _columns(given: Sequence[NDArray | None], countries: int, none: float = 0.0) -> NDArray:
    """Arrays [country] of each path side by side [country, path]."""
    return np.stack(
        [np.full(countries, none) if each is None else np.asarray(each, float) for each in given], axis=1
    )


def _marked(found: Equilibria, stopped: NDArray[np.bool_]) -> Equilibria:
    result = np.where(stopped, int(Result.INFEASIBLE), found.result)
    told = tuple(NEGATIVE if stop else text for stop, text in zip(stopped, found.message, strict=True))
    return replace(found, result=result, message=told)
