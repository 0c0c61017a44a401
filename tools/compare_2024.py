"""The sanctions of early 2025 against what trade did: change in goods trade with Russia, 2022 to 2024, by partner.

    python -m tools.compare_2024                    # data where the tests look for them
    python -m tools.compare_2024 --data DIR         # folder with russia_trade_imf_2016_2024.csv
    python -m tools.compare_2024 --scenario NAME --elasticities uniform-4

The model's side: `status-quo-2025` compared with the data year 2022 as it is, goods only. The observed side:
goods trade of Russia as its partners report it (IMF, International Trade in Goods by partner country), USD
million; a partner without a figure for either year, or a zero in 2024 after trade in 2022, did not report.
The partners are the ten that traded most with Russia in 2022, both directions together, among those in the
table of the model that have all four figures. Nothing is tuned to this comparison.

Three differences in kind are part of what the errors hold: observed changes are in dollars of each year, and
oil and gas cost far less in 2024 than in 2022, while the model's prices are relative to world income;
observed trade also moves with growth, the war economy and firms that left on their own; and goods sent
through third countries are counted where they were last sent from.
"""

import argparse
import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detente import labels
from detente.calibration import calibrate
from detente.outcome import Outcome, simulate
from detente.world import World
from tests import wiod

FILE = "russia_trade_imf_2016_2024.csv"
RUSSIA = "RUS"
SCENARIO = "status-quo-2025"
FIRST, LAST = 2022, 2024
DIRECTIONS = {"XG": "exports", "MG": "imports"}
MOST = 10

Observed = Mapping[tuple[str, str, int], float]  # (partner, direction, year): USD million


@dataclass(frozen=True)
class Row:
    """One flow: observed level in 2022 (USD billion), changes in percent, whether the partner sanctions Russia."""

    partner: str
    direction: str
    coalition: bool
    level: float
    observed: float
    model: float

    @property
    def error(self) -> float:
        """Model less observed, percentage points."""
        return self.model - self.observed


def read(path: Path) -> dict[tuple[str, str, int], float]:
    """The reported flows that are above nil."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [
            (r["p"], DIRECTIONS[r["f"]], int(r["year"]), float(r["v"] or 0)) for r in csv.DictReader(file)
        ]
    return {(partner, way, year): value for partner, way, year, value in rows if value > 0}


def largest(observed: Observed, known: Sequence[str], most: int = MOST) -> tuple[list[str], list[str]]:
    """Partners by two-way trade in 2022: the `most` largest with all figures, and those passed over on the way."""

    def size(code: str) -> float:
        return sum(observed.get((code, way, FIRST), 0.0) for way in DIRECTIONS.values())

    taken: list[str] = []
    passed: list[str] = []
    traders = [code for code in known if code != RUSSIA and size(code) > 0]
    for code in sorted(traders, key=lambda code: (-size(code), code)):
        if len(taken) == most:
            break
        full = all((code, way, year) in observed for way in DIRECTIONS.values() for year in (FIRST, LAST))
        (taken if full else passed).append(code)
    return taken, passed


def model_trade(outcome: Outcome) -> dict[tuple[str, str], tuple[float, float]]:
    """Goods trade of Russia by (partner, direction): before and after, USD billion."""
    goods = labels.resolve_sectors("goods", list(outcome.economy.sectors))
    trade = outcome.trade().sel(sector=goods).sum("sector")
    sides = {"exports": trade.sel(exporter=RUSSIA), "imports": trade.sel(importer=RUSSIA)}
    other = {"exports": "importer", "imports": "exporter"}
    return {
        (code, way): tuple(float(side[when].sel({other[way]: code})) for when in ("before", "after"))
        for way, side in sides.items()
        for code in outcome.economy.countries
        if code != RUSSIA
    }  # type: ignore[return-value]


def change(before: float, after: float) -> float:
    """Percent."""
    return 100 * (after / before - 1)


def compare(observed: Observed, outcome: Outcome) -> tuple[list[Row], list[Row], list[str]]:
    """Rows of the ten partners, rows of the groups (coalition, others), and the partners passed over."""
    modelled, countries = model_trade(outcome), outcome.economy.countries
    taken, passed = largest(observed, countries)
    coalition = set(labels.country_groups()["coalition"])

    def row(name: str, codes: Sequence[str], way: str) -> Row:
        whole = [c for c in codes if all((c, way, year) in observed for year in (FIRST, LAST))]
        first, last = (sum(observed[c, way, year] for c in whole) for year in (FIRST, LAST))
        before, after = (sum(modelled[c, way][k] for c in whole) for k in (0, 1))
        return Row(
            name, way, set(codes) <= coalition, first / 1e3, change(first, last), change(before, after)
        )

    rows = [row(code, [code], way) for code in taken for way in DIRECTIONS.values()]
    groups = {
        "coalition": [c for c in countries if c in coalition],
        "others": [c for c in countries if c not in coalition | {RUSSIA}],
    }
    reported = {code for code, _, year in observed if year == LAST}
    groups = {name: codes for name, codes in groups.items() if reported & set(codes)}
    together = [row(name, codes, way) for name, codes in groups.items() for way in DIRECTIONS.values()]
    return rows, together, passed


@dataclass(frozen=True)
class Fit:
    """How well the model did on some rows; the mean error and mean absolute error in percentage points."""

    rows: int
    correlation: float
    mean_error: float
    mean_absolute_error: float
    weighted_absolute_error: float
    signs: int


def fit(rows: Sequence[Row]) -> Fit:
    """`Fit` of the rows; weights are observed trade in 2022."""
    model, observed, level = (
        np.array([getattr(row, name) for row in rows], float) for name in ("model", "observed", "level")
    )
    varied = len(rows) > 1 and model.std() > 0 and observed.std() > 0
    error = model - observed
    return Fit(
        len(rows),
        float(np.corrcoef(model, observed)[0, 1]) if varied else math.nan,
        float(error.mean()),
        float(np.abs(error).mean()),
        float(level @ np.abs(error) / level.sum()),
        int((np.sign(model) == np.sign(observed)).sum()),
    )


def line(row: Row) -> str:
    """A row of the table."""
    name = labels.country_name(row.partner) if len(row.partner) == 3 else row.partner
    mark = "*" if row.coalition else " "
    changes = f"{row.observed:>+12.0f}{row.model:>+10.0f}{row.error:>+10.0f}"
    return f"{name + mark:<18}{row.direction:<9}{row.level:>10.1f}{changes}"


def heading(outcome: Outcome) -> Iterator[str]:
    """What is compared, and the head of the columns."""
    used = outcome.provenance["elasticities"]["name"]
    yield f"Russia's trade in goods, {FIRST} to {LAST}; model: {outcome.scenario} against {outcome.against}, {used}"
    yield "* sanctions Russia; exports are Russia's; error = model − observed, percentage points"
    yield ""
    yield f"{'':<27}{'observed':>10}{'observed':>12}{'model':>10}{'error':>10}"
    yield f"{'partner':<18}{'':<9}{'2022, bn $':>10}{'change %':>12}{'change %':>10}{'points':>10}"


def report(rows: Sequence[Row], together: Sequence[Row], passed: Sequence[str]) -> Iterator[str]:
    """The table, the groups, and the fit, line by line."""
    yield from map(line, rows)
    if passed:
        names = ", ".join(map(labels.country_name, passed))
        yield f"Passed over, larger but without figures for {LAST}: {names}."
    yield from summary(rows, together)


def summary(rows: Sequence[Row], together: Sequence[Row]) -> Iterator[str]:
    """The groups and the fit."""
    yield ""
    yield "All partners in the table with figures for both years (counted by direction):"
    yield from map(line, together)
    yield ""
    yield f"{'fit':<27}{'rows':>5}{'correlation':>13}{'mean error':>12}{'MAE':>6}{'MAE, by trade':>15}{'same sign':>11}"
    parts = {
        "all rows": rows,
        "coalition": [row for row in rows if row.coalition],
        "others": [row for row in rows if not row.coalition],
        "exports": [row for row in rows if row.direction == "exports"],
        "imports": [row for row in rows if row.direction == "imports"],
    }
    for name, part in parts.items():
        found = fit(part)
        yield (
            f"{name:<27}{found.rows:>5}{found.correlation:>13.2f}{found.mean_error:>+12.0f}"
            f"{found.mean_absolute_error:>6.0f}{found.weighted_absolute_error:>15.0f}{found.signs:>8} of {found.rows}"
        )


def main(arguments: list[str] | None = None) -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description="Model against observed trade with Russia, 2022 to 2024.")
    parser.add_argument("--data", type=Path, help=f"folder with {FILE}")
    parser.add_argument("--scenario", default=SCENARIO, help="name or file of the scenario for early 2025")
    parser.add_argument("--elasticities", default="caliendo-parro-2015", help="set of trade elasticities")
    parser.add_argument("--brief", action="store_true", help="without the rows of single partners")
    options = parser.parse_args(arguments)
    path = (options.data or wiod.shared_data()) / FILE
    if not path.is_file():
        parser.exit(2, f"There is no {path}. Name its folder with --data.\n")
    outcome = simulate(calibrate(World.load(), options.elasticities), options.scenario, "baseline")
    rows, together, passed = compare(read(path), outcome)
    lines = summary(rows, together) if options.brief else report(rows, together, passed)
    print(*heading(outcome), *lines, sep="\n")


if __name__ == "__main__":
    main()
