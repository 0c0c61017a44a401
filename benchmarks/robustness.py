"""Random hard shocks, each solved or refused in words: `python -m benchmarks.robustness`.

One draw in ten is on the embedded world (or as many as `--embedded` says), the others on random small economies, over
all deficit closures. A draw has bans over many pairs, trade costs up to × 10, tariffs up to 300 %, export taxes up to
100 %, cuts and lifted cuts, and trade elasticities from 1.5 to 15 by sector. How the economy behaves is drawn as well:
Cobb–Douglas or nested CES with elasticities from 0 to 2 and some energy goods, factors mobile, stuck or in between,
natural resources in some sectors. "Solved" means that the equilibrium conditions, written out in
`benchmarks.conditions` once more in NumPy from the economy and the shock alone, hold to 1e-9 at the returned prices and
spending (sales, which follow prices with the trade elasticity, to 1e-9 times the largest of these); the solver's own
figure is not used. "Refused" means an exception of détente's own kind. Anything else is a silent failure and makes the
exit code 1.
"""

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.conditions import gaps, rate
from detente.calibration import calibrate
from detente.economy import CLOSURES, Economy
from detente.equilibrium import balance, solve
from detente.errors import DetenteError
from detente.nests import Substitution
from detente.shock import Shock
from detente.world import World

VERIFIED = 1e-9
ELASTICITY = (1.5, 15.0)
LARGEST_COST, LARGEST_TARIFF, LARGEST_EXPORT_TAX = 10.0, 3.0, 1.0
MOBILITY = (1.0, 1.3, 3.0, np.inf)
SHAPES = ((2, 1, False), (3, 2, True), (5, 4, True), (10, 6, False))  # countries, sectors, duties at rest
NESTS = ("value_added", "energy", "inputs", "energy_mix", "consumption", "consumption_energy")
BY_USER = {
    "value_added": 2,
    "energy": 1,
    "energy_mix": 1,
}  # nests that may differ by sector, and by country (2)
FOLLOW_PRICES = {
    "reported output",
    "reported value added",
    "factor price",
    "factor market",
}  # with the elasticity
KEPT = 40  # cases after which compiled programs are dropped: nearly each has its own, and memory maps are few
FAILURES = ("UNVERIFIED", "NOT FINITE", "UNTYPED EXCEPTION")


@dataclass(frozen=True)
class Draw:
    """One random case: where it came from, how it ended, and what to read when it went wrong."""

    number: int
    place: str
    closure: str
    behaviour: str
    outcome: str
    gap: float
    seconds: float
    message: str


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
    """A random economy of one of a few shapes (programs compile once for each), with empty trade cells and deficits."""
    n, s, duties = SHAPES[int(draw.integers(len(SHAPES)))]
    pull = draw.lognormal(0, 1.5, (n, n, s)) * (draw.random((n, n, s)) < draw.uniform(0.5, 1))
    home = np.eye(n)[:, :, None]
    pull = pull + home * n * draw.uniform(0.3, 3)
    v = draw.uniform(0.2, 0.8, (n, s))
    inputs = draw.dirichlet(np.full(s, 0.7), (n, s)).transpose(0, 2, 1) * (1 - v)[:, None, :]
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


def behaving(draw: Generator, economy: Economy) -> Economy:
    """The economy with nests in two draws of three, factors that move as drawn, resources in half of the draws.

    Elasticities are from 0 to 2, and often just 0, 1 or 2, or within 1e-9 of 1; in a third of the nested draws those of
    value added differ by country and sector and those of energy by sector, some of them near nil. Resources take up to
    90 % of the value added of some sectors, energy goods among them. In small economies with three sectors or more the
    first is energy.
    """
    n, s = economy.output.shape
    energy = [c for c in ("B05", "B06", "C19", "D") if c in economy.sectors] or (["S0"] if s > 2 else [])
    goods = tuple(economy.sectors.index(good) for good in energy)
    sharp = draw.choice([0.0, 1 - 1e-9, 1.0, 1 + 1e-9, 2.0], len(NESTS))
    elasticities = np.where(draw.random(len(NESTS)) < 0.3, sharp, draw.uniform(0, 2, len(NESTS)))
    given: dict[str, Any] = dict(zip(NESTS, map(float, elasticities), strict=True))
    nested = draw.random() < 2 / 3
    if draw.random() < 1 / 3:
        for name, axes in BY_USER.items():
            spread = draw.uniform(0, 2, (n, s)[-axes:])
            given[name] = np.where(draw.random(spread.shape) < 0.3, draw.choice([0.0, 0.01, 1.0]), spread)
    share = draw.uniform(0, 0.9, (n, s)) * (draw.random(s) < 0.4)
    resources = draw.random() < 0.5 and share.any()
    return economy.with_behaviour(
        substitution=Substitution.of(
            **given, consumption_mix=float(elasticities[NESTS.index("energy_mix")]), energy_goods=goods
        )
        if nested
        else None,
        factor_mobility=float(draw.choice(MOBILITY)),
        resource_share=share if resources else None,
    )


def behaviour(economy: Economy) -> str:
    """The economy's switches in a few words."""
    mobility = np.inf if economy.factor_mobility is None else float(economy.factor_mobility)
    nest = economy.substitution
    kind = "Cobb–Douglas" if nest is None else "nested by sector" if nest.value_added.ndim else "nested"
    words = [kind, f"μ = {mobility:g}"]
    return ", ".join(words + (["resources"] if economy.resource_share is not None else []))


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
    tariff = np.where(somewhere(), draw.uniform(0, LARGEST_TARIFF, shape), rate(economy.tariff, abroad))
    tax = np.where(somewhere(), draw.uniform(0, LARGEST_EXPORT_TAX, shape), rate(economy.export_tax, abroad))
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


def attempt(number: int, seed: int, embedded_every: int = 10) -> Draw:
    """Case `number` of the series `seed`, start to verdict; the same numbers give the same case."""
    draw = np.random.default_rng([seed, number])
    place = "embedded" if embedded_every and number % embedded_every == 0 else "small"
    closure = CLOSURES[number // 2 % len(CLOSURES)]
    start = time.perf_counter()
    how, outcome, gap, message = _verdict(draw, place, closure)
    return Draw(number, place, closure, how, outcome, gap, time.perf_counter() - start, message)


def _verdict(draw: Generator, place: str, closure: str) -> tuple[str, str, float, str]:
    how = "?"
    try:
        economy = embedded(draw, closure) if place == "embedded" else small(draw, closure)
        economy = behaving(draw, economy)
        how = behaviour(economy)
        shock = random_shock(draw, economy)
        found = solve(economy, shock, tolerance=VERIFIED / 10)
    except DetenteError as refusal:
        return how, type(refusal).__name__, np.nan, str(refusal)
    except Exception as failure:  # noqa: BLE001 - any other kind is what this program looks for
        return how, "UNTYPED EXCEPTION", np.nan, f"{type(failure).__name__}: {failure}"
    with np.errstate(all="ignore"):
        left = gaps(economy, shock, found)
    for what in FOLLOW_PRICES & left.keys():
        left[what] /= ELASTICITY[1]
    name, worst = max(left.items(), key=lambda item: np.nan_to_num(item[1], nan=np.inf))
    if not np.isfinite(list(left.values())).all():
        return how, "NOT FINITE", np.nan, f"{name} is {worst}"
    if worst > VERIFIED:
        return how, "UNVERIFIED", worst, f"{name} misses by {worst:.1e}; the solver says {found.residual:.1e}"
    return how, "solved", worst, ""


def table(draws: list[Draw]) -> str:
    """Counts of outcomes by place and closure, and by behaviour."""
    kinds = ["solved", "InputError", "InfeasibleError", "ConvergenceError", *FAILURES]
    kinds += sorted({draw.outcome for draw in draws} - set(kinds))
    rows = [f"{'':<32}" + "".join(f"{kind:>18}" for kind in kinds)]

    def add(label: str, of: list[Draw]) -> None:
        count = Counter(draw.outcome for draw in of)
        rows.append(f"{label:<32}" + "".join(f"{count[kind]:>18}" for kind in kinds))

    for place in ("embedded", "small"):
        for closure in CLOSURES:
            add(f"{place}, {closure}", [d for d in draws if (d.place, d.closure) == (place, closure)])
    rows.append("")
    for how in sorted({draw.behaviour for draw in draws}):
        add(how, [draw for draw in draws if draw.behaviour == how])
    rows.append("")
    add("all", draws)
    return "\n".join(rows)


def said(draw: Draw) -> str:
    """One line on how a case ended."""
    where = f"{draw.place}, {draw.closure}, {draw.behaviour}"
    return f"case {draw.number} ({where}): {draw.outcome}: {draw.message}"


def main(arguments: list[str] | None = None) -> int:
    """Run the draws, print the counts; 1 if any case failed silently, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.robustness", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--n", type=int, default=500, help="number of random cases (default 500)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case (default 0)")
    parser.add_argument("--seed", type=int, default=0, help="which series of cases (default 0)")
    parser.add_argument(
        "--embedded",
        type=int,
        default=10,
        help="every how many cases one is on the embedded world (default 10)",
    )
    parser.add_argument("--only", type=int, help="run this case of the series alone")
    parser.add_argument("--verbose", action="store_true", help="print each refusal's message")
    options = parser.parse_args(arguments)
    last = options.first + options.n
    numbers = range(options.first, last) if options.only is None else [options.only]
    draws = []
    for number in numbers:
        if number % KEPT == KEPT - 1:
            jax.clear_caches()
        draws.append(attempt(number, options.seed, options.embedded))
        if draws[-1].outcome in (*FAILURES, "ConvergenceError"):
            print(f"\r{said(draws[-1])}", file=sys.stderr, flush=True)
        print(f"\r  case {number + 1} of {last} ", end="", file=sys.stderr, flush=True)
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
            print(
                f"case {draw.number} ({draw.place}, {draw.closure}, {draw.behaviour}): {draw.outcome}: {draw.message}"
            )
    print(f"\n{len(failed)} silent failures in {len(draws)} cases; seed {options.seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
