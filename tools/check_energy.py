"""Russia's exports of crude oil, pipeline gas and LNG in the world `energy`, beside customs data of their buyers.

`python -m tools.check_energy --data FOLDER` reads monthly imports from Russia (country, date, commodity, unit, value in
EUR) for the months of 2022 that each buyer has reported, and prints by buyer the share of each fuel by value: at customs,
as the public figures have it, and in the table after supply and use have met.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from detente import energy, labels
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


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help=f"folder with {FILE}")
    found = compare(parser.parse_args().data).sort_values(("customs", "money"), ascending=False)
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
