"""Random hard shocks, each solved or refused in words: `python -m benchmarks.robustness`.

Half of the draws are on the embedded world, half on random small economies, over all deficit closures. A
draw has bans over many pairs, trade costs up to × 10, tariffs up to 300 %, export taxes up to 100 %, cuts
and lifted cuts, and trade elasticities from 1.5 to 15 by sector. "Solved" means that the equilibrium
conditions, written out here once more in NumPy from the economy and the shock alone, hold to 1e-9 at the
returned wages, prices and spending; the solver's own figure is not used. "Refused" means an exception of
détente's own kind. Anything else is a silent failure and makes the exit code 1.
"""

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from detente.calibration import calibrate
from detente.economy import CLOSURES, Economy
from detente.equilibrium import Equilibrium, balance, solve
from detente.errors import DetenteError
from detente.shock import Shock
from detente.world import World

VERIFIED = 1e-9
ELASTICITY = (1.5, 15.0)
LARGEST_COST, LARGEST_TARIFF, LARGEST_EXPORT_TAX = 10.0, 3.0, 1.0
FAILURES = ("UNVERIFIED", "NOT FINITE", "UNTYPED EXCEPTION")


@dataclass(frozen=True)
class Draw:
    """One random case: where it came from, how it ended, and what to read when it went wrong."""

    number: int
    place: str
    closure: str
    outcome: str
    gap: float
    seconds: float
    message: str


def gaps(economy: Economy, shock: Shock, found: Equilibrium) -> dict[str, float]:
    """Largest relative gap of each equilibrium condition at the solver's wages, prices and spending.

    Written out on full [importer, exporter, sector] arrays, sharing no code with the engine.
    """
    share, theta = np.asarray(economy.trade_share), np.asarray(economy.trade_elasticity)
    gamma, v = np.asarray(economy.input_share), np.asarray(economy.value_added_share)
    alpha, value_added = np.asarray(economy.consumption_share), np.asarray(economy.value_added)
    old_tariff, old_tax = _rate(economy.tariff, share), _rate(economy.export_tax, share)
    tariff = old_tariff if shock.tariff_new is None else _rate(shock.tariff_new, share)
    tax = old_tax if shock.export_tax_new is None else _rate(shock.export_tax_new, share)
    kappa = (1 + tariff) / (1 + old_tariff) * (1 + tax) / (1 + old_tax)
    if shock.trade_cost_change is not None:
        kappa = kappa * np.asarray(shock.trade_cost_change)
    weight = kappa**-theta
    if shock.weight_change is not None:
        weight = weight * np.asarray(shock.weight_change)
    banned = np.zeros(share.shape, bool) if shock.blocked is None else np.asarray(shock.blocked)
    weight = np.where(banned, 0.0, weight)

    wage, price = np.asarray(found.wage_change), np.asarray(found.price_change)
    spending = np.asarray(found.spending)
    cost = wage[:, None] ** v * np.exp(np.einsum("njk,nj->nk", gamma, np.log(price)))
    if shock.entry is not None:
        share = share + np.asarray(shock.entry)
    pull = share * weight * (cost**-theta)[None, :, :]
    index = pull.sum(axis=1) ** (-1 / theta)
    flow = pull * (price**theta * spending)[:, None, :]
    border = flow / (1 + tariff)
    received = border / (1 + tax)
    output = received.sum(axis=0)
    revenue = (flow - border).sum(axis=(1, 2)) + (border - received).sum(axis=(0, 2))
    factor = wage * value_added
    deficit = _deficit(economy, share, old_tariff, old_tax, factor, revenue)
    income = factor + revenue + deficit
    bought = np.einsum("njk,nk->nj", gamma, output) + alpha * income[:, None]
    real = income / np.asarray(economy.income) / np.exp((alpha * np.log(price)).sum(axis=1))
    return {
        "price index": float(np.abs(index / price - 1).max()),
        "spending": _relative(bought, spending),
        "factor market": float(np.abs((v * output).sum(axis=1) / factor - 1).max()),
        "numéraire": abs(float(factor.sum()) - float(value_added.sum())),
        "deficits sum to zero": abs(float(deficit.sum())),
        "income is positive": 0.0 if income.min() > 0 else 1.0,
        "reported real income": float(np.abs(np.asarray(found.real_income_change) / real - 1).max()),
        "reported output": _relative(np.asarray(found.output), output),
        "banned flows are exactly zero": float(np.abs(found.trade_share()[banned]).max(initial=0.0)),
    }


def _rate(rate: object, like: NDArray) -> NDArray:
    return (
        np.zeros(like.shape) if rate is None else np.broadcast_to(np.asarray(rate, dtype=float), like.shape)
    )


def _relative(new: NDArray, old: NDArray) -> float:
    gap = np.abs(new - old)
    return float((gap / np.where(gap > 0, np.maximum(np.abs(old), 1e-300), 1.0)).max())


def _deficit(
    economy: Economy, share: NDArray, tariff: NDArray, tax: NDArray, factor: NDArray, revenue: NDArray
) -> NDArray:
    """D' under the economy's closure."""
    given, value_added = np.asarray(economy.deficit), np.asarray(economy.value_added)
    if economy.closure == "share-of-world":
        paid = share * np.asarray(economy.spending)[:, None, :]
        duties = paid - paid / ((1 + tariff) * (1 + tax))
        return given * (factor.sum() + revenue.sum()) / (value_added.sum() + duties.sum())
    if economy.closure == "share-of-own":
        own = given / value_added * factor
        return own - own.sum() * factor / factor.sum()
    return given


@cache
def embedded_world() -> World:
    """The world that ships with the package, read once."""
    return World.load()


def embedded(draw: Generator, closure: str) -> Economy:
    """The embedded world under elasticities drawn by sector, or, once in four, its default ones."""
    world = embedded_world()
    theta = draw.uniform(*ELASTICITY, len(world.sectors))
    if draw.random() < 0.25:
        return calibrate(world, deficits=closure)
    return calibrate(
        world, elasticities=dict(zip(world.sectors, map(float, theta), strict=True)), deficits=closure
    )


def small(draw: Generator, closure: str) -> Economy:
    """A random economy of 2–10 countries and 1–6 sectors, with empty trade cells, duties and deficits."""
    n, s = int(draw.integers(2, 11)), int(draw.integers(1, 7))
    pull = draw.lognormal(0, 1.5, (n, n, s)) * (draw.random((n, n, s)) < draw.uniform(0.5, 1))
    home = np.eye(n)[:, :, None]
    pull = pull + home * n * draw.uniform(0.3, 3)
    v = draw.uniform(0.2, 0.8, (n, s))
    inputs = draw.dirichlet(np.full(s, 0.7), (n, s)).transpose(0, 2, 1) * (1 - v)[:, None, :]
    duties = draw.random() < 0.5
    abroad = 1 - home
    value_added = draw.lognormal(0, 1, n)
    deficit = value_added * draw.normal(0, 0.03, n)
    economy = Economy.from_shares(
        countries=[f"N{k}" for k in range(n)],
        sectors=[f"S{k}" for k in range(s)],
        trade_share=pull / pull.sum(axis=1, keepdims=True),
        input_share=inputs,
        value_added_share=v,
        consumption_share=draw.dirichlet(np.full(s, 1.0), n),
        value_added=value_added,
        deficit=deficit - deficit.sum() * value_added / value_added.sum(),
        trade_elasticity=draw.uniform(*ELASTICITY, s),
        tariff=abroad * draw.uniform(0, 0.5, (n, n, s)) if duties else None,
        export_tax=abroad * draw.uniform(0, 0.2, (n, n, s)) if duties else None,
        closure="fixed" if closure == "balanced" else closure,
    )
    return balance(economy) if closure == "balanced" else economy


def random_shock(draw: Generator, economy: Economy) -> Shock:
    """Any mix of instruments over any part of the pairs; in one draw of eight a whole country is banned."""
    shape = n, _, _ = economy.trade_share.shape
    abroad = np.broadcast_to(~np.eye(n, dtype=bool)[:, :, None], shape)

    def somewhere() -> NDArray:
        """A random part of the foreign flows: pairs in all sectors, in both directions, or single cells."""
        reach = draw.choice([0.02, 0.1, 0.4, 0.9])
        chosen = draw.random((n, n, 1)) < reach
        if draw.random() < 0.5:
            chosen = chosen | chosen.transpose(1, 0, 2)
        if draw.random() < 0.5:
            chosen = chosen & (draw.random(shape) < 0.5)
        return np.broadcast_to(chosen, shape) & abroad

    use = draw.random(5) < 0.5
    use[draw.integers(5)] = True
    cost = np.where(somewhere(), np.exp(draw.uniform(0, np.log(LARGEST_COST), shape)), 1.0)
    tariff = np.where(somewhere(), draw.uniform(0, LARGEST_TARIFF, shape), _rate(economy.tariff, abroad))
    tax = np.where(somewhere(), draw.uniform(0, LARGEST_EXPORT_TAX, shape), _rate(economy.export_tax, abroad))
    weight = np.where(somewhere(), np.exp(draw.uniform(np.log(0.02), np.log(5), shape)), 1.0)
    banned = somewhere()
    if draw.random() < 1 / 8:
        alone = int(draw.integers(n))
        banned = banned.copy()
        banned[alone] = banned[:, alone] = True
        banned[alone, alone] = False
    return Shock(
        trade_cost_change=cost if use[0] else None,
        blocked=banned if use[1] else None,
        tariff_new=tariff if use[2] else None,
        export_tax_new=tax if use[3] else None,
        weight_change=weight if use[4] else None,
    )


def attempt(number: int, seed: int) -> Draw:
    """Case `number` of the series `seed`, start to verdict; the same two numbers give the same case."""
    draw = np.random.default_rng([seed, number])
    place = "embedded" if number % 2 == 0 else "small"
    closure = CLOSURES[number // 2 % len(CLOSURES)]
    start = time.perf_counter()
    outcome, gap, message = _verdict(draw, place, closure)
    return Draw(number, place, closure, outcome, gap, time.perf_counter() - start, message)


def _verdict(draw: Generator, place: str, closure: str) -> tuple[str, float, str]:
    try:
        economy = embedded(draw, closure) if place == "embedded" else small(draw, closure)
        shock = random_shock(draw, economy)
        found = solve(economy, shock, tolerance=VERIFIED / 10)
    except DetenteError as refusal:
        return type(refusal).__name__, np.nan, str(refusal)
    except Exception as failure:  # noqa: BLE001 - any other kind is what this program looks for
        return "UNTYPED EXCEPTION", np.nan, f"{type(failure).__name__}: {failure}"
    with np.errstate(all="ignore"):
        left = gaps(economy, shock, found)
    name, worst = max(left.items(), key=lambda item: np.nan_to_num(item[1], nan=np.inf))
    if not np.isfinite(list(left.values())).all():
        return "NOT FINITE", np.nan, f"{name} is {worst}"
    if worst > VERIFIED:
        return "UNVERIFIED", worst, f"{name} misses by {worst:.1e}; the solver says {found.residual:.1e}"
    return "solved", worst, ""


def table(draws: list[Draw]) -> str:
    """Counts by closure and outcome."""
    kinds = [*dict.fromkeys(["solved", "InputError", "InfeasibleError", "ConvergenceError"]), *FAILURES]
    kinds += sorted({draw.outcome for draw in draws} - set(kinds))
    rows = [f"{'':<26}" + "".join(f"{kind:>19}" for kind in kinds)]
    for place in ("embedded", "small"):
        for closure in CLOSURES:
            count = Counter(d.outcome for d in draws if (d.place, d.closure) == (place, closure))
            rows.append(f"{place + ', ' + closure:<26}" + "".join(f"{count[kind]:>19}" for kind in kinds))
    count = Counter(draw.outcome for draw in draws)
    rows.append(f"{'all':<26}" + "".join(f"{count[kind]:>19}" for kind in kinds))
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> int:
    """Run the draws, print the counts; 1 if any case failed silently, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.robustness", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--n", type=int, default=200, help="number of random cases (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="which series of cases (default 0)")
    parser.add_argument("--only", type=int, help="run this case of the series alone")
    parser.add_argument("--verbose", action="store_true", help="print each refusal's message")
    options = parser.parse_args(arguments)
    numbers = range(options.n) if options.only is None else [options.only]
    draws = []
    for number in numbers:
        draws.append(attempt(number, options.seed))
        print(f"\r  case {number + 1} of {options.n} ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(table(draws))
    solved = [draw for draw in draws if draw.outcome == "solved"]
    failed = [draw for draw in draws if draw.outcome in FAILURES]
    if solved:
        slowest = max(solved, key=lambda draw: draw.seconds)
        print(f"\nlargest verified residual of the {len(solved)} solved: {max(d.gap for d in solved):.1e}")
        print(f"slowest solved case, set-up included: {slowest.seconds:.1f} s (case {slowest.number})")
    for draw in draws:
        if draw in failed or draw.outcome == "ConvergenceError" or (options.verbose and draw.message):
            print(f"case {draw.number} ({draw.place}, {draw.closure}): {draw.outcome}: {draw.message}")
    print(f"\n{len(failed)} silent failures in {len(draws)} cases; seed {options.seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
