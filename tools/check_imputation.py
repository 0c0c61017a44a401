"""What imputing final demand costs: the answer with true and with imputed final sales, where both are known.

    python -m tools.check_imputation                # data where the tests look for them
    python -m tools.check_imputation --data DIR     # folder with wiod13_2000.npz and wiod13_2011.npz

The embedded world's final sales by destination are made by `build_world`. Here the same functions make
those of the World Input–Output Database (release 2013), whose true ones are published: the true table
gives sellers' totals and net exports, all else about final sales is forgotten. Both worlds then meet the
same shock: an embargo of the West on Russia, an iceberg factor of 30 on every flow between them in both
directions, deficits solved out. Printed: how far imputed sales are off, Russia's and the senders' change
in real income, true and imputed, and the border odds used and true. The last paragraph is what users of
the embedded world are told (`world_notes.LIMITS`), with the figures found.

Two things make this the kinder case: net exports are exact here, and the rest of the world is a region of
the table. And `BORDER_ODDS` were set by hand after these two tables, so the figures for odds of 1, printed
beside, are the ones free of hindsight.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detente.calibration import calibrate, read_elasticities
from detente.equilibrium import solve
from detente.shock import Shock
from detente.world import World
from tests import wiod
from tools.build_world import absorption, border_odds, final_kernel, fit_margins

YEARS = (2000, 2011)
ICEBERG = 30.0

NEAREST = [
    code
    for row in (
        "A01 B06 C10T12 C13T15 C13T15 C16 C17_18 C19 C20 C22 C23 C24A C28 C26 C29 C31T33 D F G G G I H49 H50",
        "H51 H52 J61 K L M O P Q R T",
    )
    for code in row.split()
]
"""For each WIOD sector, c1 to c35, the one of the embedded world whose odds and elasticity it takes."""

SENTENCE = (
    "Final demand by destination is imputed, not observed: final sales by seller and absorption by country "
    "are met exactly, the pattern in between follows intermediate trade. Where the truth is known (WIOD 2000 "
    "and 2011, whose averages the odds of crossing a border were set after) the imputed cross-border final "
    "sales are {abroad} of the true total, and their absolute misses add up to {cells} % of it by seller, "
    "good and buyer, to {pairs} % by seller and buyer; simulated losses from a Western embargo on Russia are "
    "off by {russia} % of the true loss for Russia and by {senders} % for the senders together (with odds of "
    "1, which owe nothing to those tables, by {plain_russia} % and {plain_senders} %)."
)


@dataclass(frozen=True)
class Sales:
    """Imputed cross-border final sales against the true ones, as ratios to the true total."""

    year: int
    odds: str
    total: float
    by_cell: float  # absolute misses by seller, good and buyer
    by_pair: float  # absolute misses by seller and buyer


@dataclass(frozen=True)
class Loss:
    """Change in real income, percent, from the embargo: with true and with imputed final sales."""

    year: int
    odds: str
    elasticities: str
    who: str
    true: float
    imputed: float

    @property
    def error(self) -> float:
        """Relative to the true change."""
        return self.imputed / self.true - 1


def impute(world: World, odds: NDArray) -> World:
    """`world` with final sales by destination forgotten and made again as in `build_world`; odds [sector]."""
    data = world.data
    intermediate, final = data["intermediate_trade"].values, data["final_trade"].values
    trade = intermediate + final  # exporter, sector, importer
    net_exports = trade.sum(axis=(1, 2)) - trade.sum(axis=(0, 1))
    sales = final.sum(axis=2)
    spending = absorption(data["value_added"].values.sum(axis=1), net_exports)
    fit = fit_margins(final_kernel(intermediate, sales, spending, odds), sales, spending)
    arrays = (intermediate, fit.final_trade, data["input_use"].values)
    return World.from_arrays(
        world.countries, world.sectors, *arrays, year=data.attrs["year"], source=data.attrs["source"]
    )


def compare_sales(true: World, imputed: World, odds: str) -> Sales:
    """How far the imputed cross-border final sales are off."""
    abroad = ~np.eye(len(true.countries), dtype=bool)[:, None, :]
    known = true.data["final_trade"].values * abroad
    made = imputed.data["final_trade"].values * abroad
    return Sales(
        int(true.data.attrs["year"]),
        odds,
        float(made.sum() / known.sum()),
        float(np.abs(made - known).sum() / known.sum()),
        float(np.abs((made - known).sum(axis=1)).sum() / known.sum()),
    )


def embargo(world: World, elasticities: dict[str, float]) -> dict[str, float]:
    """Real income, percent, of Russia and of the senders as one (weighted by spending), after the embargo."""
    economy = calibrate(world, elasticities, deficits="balanced")
    russia = economy.countries.index("RUS")
    senders = [economy.countries.index(code) for code in wiod.WEST]
    cost = np.ones(economy.trade_share.shape)
    cost[russia, senders] = cost[senders, russia] = ICEBERG
    percent = 100 * (np.asarray(solve(economy, Shock(trade_cost_change=cost)).real_income_change) - 1)
    spending = np.asarray(economy.income)[senders]
    return {"Russia": float(percent[russia]), "senders": float(spending @ percent[senders] / spending.sum())}


def elasticity_columns(sectors: list[str]) -> dict[str, dict[str, float]]:
    """Trade elasticities of the WIOD sectors by set: 4 everywhere, and those of Caliendo & Parro."""
    columns = {}
    for name in ("uniform-4", "caliendo-parro-2015"):
        # a set covers each sector of the world once, so a sector met twice is asked for once
        unique = list(dict.fromkeys(NEAREST))
        theta = dict(zip(unique, read_elasticities(name, unique)[2].tolist(), strict=True))
        columns[name] = {sector: theta[near] for sector, near in zip(sectors, NEAREST, strict=True)}
    return columns


def true_odds(world: World) -> NDArray:
    """Odds that a final sale crosses a border, relative to an intermediate sale of the same good [sector]."""
    abroad = ~np.eye(len(world.countries), dtype=bool)[:, None, :]
    odds = []
    for name in ("final_trade", "intermediate_trade"):
        sales = world.data[name].values
        away = (sales * abroad).sum(axis=(0, 2))
        odds.append(away / (sales.sum(axis=(0, 2)) - away))
    return odds[0] / odds[1]


def compare(year: int) -> Iterator[Sales | Loss]:
    """All comparisons of one year."""
    true = wiod.world(year)
    columns = elasticity_columns(true.sectors)
    known = {name: embargo(true, theta) for name, theta in columns.items()}
    for label, odds in (("as built", border_odds(NEAREST)), ("1", np.ones(len(NEAREST)))):
        imputed = impute(true, odds)
        yield compare_sales(true, imputed, label)
        for name, theta in columns.items():
            found = embargo(imputed, theta)
            for who, change in known[name].items():
                yield Loss(year, label, name, who, change, found[who])


def sentence(rows: list[Sales | Loss]) -> str:
    """What users are told: `SENTENCE` with the ranges over years and elasticities."""
    sales = [row for row in rows if isinstance(row, Sales) and row.odds == "as built"]

    def span(values: list[float], form: str) -> str:
        low, high = (format(edge, form).replace("-", "−") for edge in (min(values), max(values)))
        return low if low == high else f"{low} to {high}"

    def error(who: str, odds: str) -> str:
        losses = [row for row in rows if isinstance(row, Loss) and (row.who, row.odds) == (who, odds)]
        return span([100 * row.error for row in losses], "+.0f")

    return SENTENCE.format(
        abroad=span([row.total for row in sales], ".2f"),
        cells=span([100 * row.by_cell for row in sales], ".0f"),
        pairs=span([100 * row.by_pair for row in sales], ".0f"),
        russia=error("Russia", "as built"),
        senders=error("senders", "as built"),
        plain_russia=error("Russia", "1"),
        plain_senders=error("senders", "1"),
    )


def report(rows: list[Sales | Loss]) -> Iterator[str]:
    """The three tables and the sentence, line by line."""
    yield "Cross-border final sales, imputed ÷ true; absolute misses in percent of the true total:"
    yield f"{'year':6}{'border odds':13}{'total':>7}{'by cell':>9}{'by pair':>9}"
    for row in rows:
        if isinstance(row, Sales):
            misses = f"{100 * row.by_cell:>9.1f}{100 * row.by_pair:>9.1f}"
            yield f"{row.year:<6}{row.odds:13}{row.total:>7.3f}{misses}"
    yield "\nReal income after a Western embargo on Russia, percent:"
    yield f"{'year':6}{'border odds':13}{'elasticities':21}{'who':9}{'true':>9}{'imputed':>9}{'error':>9}"
    for row in rows:
        if isinstance(row, Loss):
            change = f"{row.true:>9.4f}{row.imputed:>9.4f}{100 * row.error:>+7.1f} %"
            yield f"{row.year:<6}{row.odds:13}{row.elasticities:21}{row.who:9}{change}"
    yield "\nOdds that a final sale crosses a border, relative to an intermediate sale of the same good:"
    yield f"{'as sector':10}{'used':>8}" + "".join(f"{year:>8}" for year in YEARS)
    truth = zip(NEAREST, border_odds(NEAREST), *(true_odds(wiod.world(year)) for year in YEARS), strict=True)
    for sector, *values in truth:
        yield f"{sector:10}" + "".join(f"{value:>8.2f}" for value in values)
    yield f"\n{sentence(rows)}"


def main(arguments: list[str] | None = None) -> None:
    """Print the comparison and the sentence for `world_notes.LIMITS`."""
    parser = argparse.ArgumentParser(description="What imputing final demand costs, where it is known.")
    parser.add_argument("--data", type=Path, help="folder with wiod13_2000.npz and wiod13_2011.npz")
    options = parser.parse_args(arguments)
    if options.data is not None:
        os.environ["DETENTE_SHARED"] = str(options.data)
    missing = [str(wiod.path(year)) for year in YEARS if not wiod.path(year).is_file()]
    if missing:
        parser.exit(2, f"There is no {' and no '.join(missing)}. Name their folder with --data.\n")
    print(*report([row for year in YEARS for row in compare(year)]), sep="\n")


if __name__ == "__main__":
    main()
