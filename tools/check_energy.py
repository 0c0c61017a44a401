"""Russia's exports of crude oil, pipeline gas and LNG in the world `energy`, beside customs data of their buyers.

`python -m tools.check_energy --data FOLDER` reads monthly imports from Russia (country, date, commodity, unit, value in
EUR) for the months of 2022 that each buyer has reported, and prints by buyer the share of each fuel by value: at customs,
as the public figures have it, and in the table after supply and use have met. Then it prints, for each measure with sizes
by part, the mean of these over the flows of 2022 beside the size that holds for oil and gas as one; without `--data` this
alone.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from detente import energy, labels
from detente.catalogue import load_catalogue
from detente.sources import energy_figures
from detente.sources.energy_figures import FUELS
from detente.world import World

FILE = "imports_from_russia_fossil_monthly_2016_2022.parquet"
COMMODITIES = {"oil": "B06O", "natural_gas": "B06P", "lng": "B06L"}
NAMES = {
    "Czech Rep.": "CZE",
    "Rep. of Korea": "KOR",
    "Turkey": "TUR",
    "United States of America": "USA",
    "Viet Nam": "VNM",
}
SELLER = "RUS"
SMALL = 100.0  # EUR million in the year: less says nothing about the make-up


def customs(folder: Path, countries: Sequence[str]) -> pd.DataFrame:
    """EUR million by buyer (code) and fuel in 2022, where all fuels together are at least `SMALL`; negative is nothing."""
    names = {labels.country_name(code): code for code in countries} | NAMES
    fields = ("country", "date", "commodity", "unit", "value")
    table = pd.read_parquet(folder / FILE)
    money: dict[str, dict[str, float]] = {}
    for country, date, commodity, unit, value in zip(
        *(table[field].tolist() for field in fields), strict=True
    ):
        if date.year == 2022 and unit == "eur" and country in names and commodity in COMMODITIES:
            of_buyer = money.setdefault(names[country], dict.fromkeys(FUELS, 0.0))
            of_buyer[COMMODITIES[commodity]] += max(value, 0.0) / 1e6
    large = {code: list(fuels.values()) for code, fuels in money.items() if sum(fuels.values()) >= SMALL}
    return pd.DataFrame.from_dict(large, orient="index", columns=list(FUELS))


def compare(folder: Path) -> pd.DataFrame:
    """Shares by value: rows buyers, columns (customs, figures or table; fuel); and the money at customs, EUR million."""
    world = World.load("energy")
    seen = customs(folder, world.countries)
    seller = world.countries.index(SELLER)
    buyers = [world.countries.index(code) for code in seen.index]
    given = energy.supply_share(world.countries, energy_figures.read())[seller, buyers]
    trade = world.data["intermediate_trade"] + world.data["final_trade"]
    flows = (
        trade.sel(exporter=SELLER, importer=list(seen.index), sector=list(FUELS))
        .transpose("importer", "sector")
        .values
    )
    shares = {
        "customs": seen.to_numpy() / seen.sum(axis=1).to_numpy()[:, None],
        "figures": given,
        "table": flows / flows.sum(axis=1, keepdims=True),
    }
    columns = {(kind, fuel): value[:, f] for kind, value in shares.items() for f, fuel in enumerate(FUELS)}
    columns["customs", "money"] = seen.sum(axis=1).to_numpy()
    return pd.DataFrame(columns, index=seen.index)


def make_up(found: pd.DataFrame, kind: str) -> NDArray[np.float64]:
    """Shares [buyer, fuel] of one kind."""
    return np.stack([np.asarray(found[(kind, fuel)], float) for fuel in FUELS], axis=1)


def distance(found: pd.DataFrame, kind: str) -> float:
    """Share of the value at customs that is of another fuel than `kind` says: 0 for the same make-up everywhere."""
    gaps = np.abs(make_up(found, kind) - make_up(found, "customs")).sum(axis=1) / 2
    money = found[("customs", "money")].to_numpy()
    return float((gaps * money).sum() / money.sum())


class ByPart(NamedTuple):
    """A reading split by part: its size for the whole and range, the mean of its sizes by part, flow in USD billion."""

    id: str
    size: float
    low: float
    high: float
    mean: float
    flow: float

    @property
    def inside(self) -> bool:
        """Whether the mean lies in the range of the size for the whole."""
        return self.low - 1e-9 <= self.mean <= self.high + 1e-9


def by_part() -> list[ByPart]:
    """All readings split by part, by date of adoption; means are over the flows of 2022.

    A size is cumulative in its sector, so of all readings of a sender adopted so far the largest counts, part by part.
    """
    world, so_far, found = World.load("energy"), {}, []
    trade = world.data["intermediate_trade"] + world.data["final_trade"]
    split = [(m, r) for m in load_catalogue() for r in m.reading if r.split]
    for measure, reading in sorted(split, key=lambda pair: pair[0].adopted):
        senders = labels.resolve_countries(measure.sender, world.countries)
        targets = labels.resolve_countries(list(measure.targets), world.countries)
        buyers, sellers = (senders, targets) if reading.direction == "imports" else (targets, senders)
        flows = (
            trade.sel(importer=buyers, exporter=sellers, sector=list(FUELS))
            .sum(["importer", "exporter"])
            .values
        )
        side = measure.sender, reading.direction
        so_far[side] = np.maximum(so_far.get(side, 0.0), reading.sizes(FUELS))
        size = reading.size or 0.0
        span = reading.range or (size, size)
        total = float(flows.sum())
        found.append(
            ByPart(measure.id, size, *span, float((flows * so_far[side]).sum()) / total, total / 1e3)
        )
    return found


def print_by_part() -> None:
    """Print `by_part`, with a mark where the mean lies outside the range of the size."""
    print(f"{'':24}{'size':>6}{'range':>14}{'by part':>9}{'USD bn':>8}")
    for row in by_part():
        span, mark = f"{row.low:g} to {row.high:g}", "" if row.inside else "  outside"
        print(f"{row.id:24}{row.size:6.2f}{span:>14}{row.mean:9.2f}{row.flow:8.1f}{mark}")


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help=f"folder with {FILE}")
    data = parser.parse_args().data
    if data is not None:
        print_customs(compare(data).sort_values(("customs", "money"), ascending=False))
        print()
    print_by_part()


def print_customs(found: pd.DataFrame) -> None:
    """Print `compare`."""
    kinds = ("customs", "figures", "table")
    print(f"{'':6}{'EUR bn':>8}" + "".join(f"{kind + ': oil, pipe, LNG':>26}" for kind in kinds))
    for code in found.index:
        row = found.loc[code]
        cells = "".join(f"{'  '.join(f'{row[kind, fuel]:4.0%}' for fuel in FUELS):>26}" for kind in kinds)
        print(f"{code:6}{row['customs', 'money'] / 1e3:8.1f}{cells}")
    for kind in kinds[1:]:
        print(f"{distance(found, kind):.0%} of the value at customs is of another fuel in the {kind}")


if __name__ == "__main__":
    main()
