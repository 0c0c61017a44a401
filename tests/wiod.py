"""A `World` from the World Input–Output Database, 2013 release (Timmer et al. 2015), for tests only.

How the table becomes a world, in the order done:

1. Final use is the sum over the five uses of the file, each cell's negative values first set to zero: 6
   cells of fixed investment and 346 of inventory change in 2011, −170 065 USD million of 69 trillion.
   Clipping after the sum over uses moves Lithuania's loss by 0.24 points, and leaving inventories out
   Russia's by 0.4; only this order reproduces the published-style table of the project's parameters.
2. Output is summed again over all sales. It differs from the file's X by the clipped inventories and by
   rounding (cells are whole USD million).
3. Value added is output less intermediate inputs, so taxes less subsidies on products and international
   margins are in it.
4. One seller, LUX water transport (32 USD million), then has inputs above its output: its final sales at
   home are raised until value added is 2 % of output, 5 USD million.
"""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detente.world import World

LEAST_VALUE_ADDED = 0.02
WEST = tuple(
    code
    for row in (
        "AUT BEL BGR CYP CZE DEU DNK ESP EST FIN FRA GBR GRC HUN IRL ITA LTU LUX LVA MLT NLD POL PRT ROM SVK",
        "SVN SWE USA JPN CAN AUS KOR TWN",
    )
    for code in row.split()
)
"""The EU of 2011 (27 members; WIOD writes Romania ROM; HRV is in the rest of the world) and six others."""


def shared_data() -> Path:
    """The folder with data that tests may use: `DETENTE_SHARED`, or `shared/data` beside the repository."""
    given = os.environ.get("DETENTE_SHARED")
    return Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"


def path(year: int = 2011) -> Path:
    """The file of one year, present or not."""
    return shared_data() / f"wiod13_{year}.npz"


def arrays(year: int = 2011) -> tuple[list[str], list[str], NDArray, NDArray, NDArray]:
    """Countries, sectors, intermediate and final trade, input use; axes as `World.from_arrays` has them."""
    with np.load(path(year), allow_pickle=False) as file:
        countries, sectors = file["countries"].tolist(), file["sectors"].tolist()
        n, s = len(countries), len(sectors)
        flows = file["Z"].astype(float).reshape(n, s, n, s)  # exporter, good, importer, user
        final = np.maximum(file["F"].astype(float), 0.0).sum(axis=2).reshape(n, s, n)
    intermediate = flows.sum(axis=3)
    inputs = flows.sum(axis=0).transpose(1, 0, 2)
    cost = inputs.sum(axis=1)
    output = intermediate.sum(axis=2) + final.sum(axis=2)
    short = np.maximum(cost / (1 - LEAST_VALUE_ADDED) - output, 0.0)
    final[np.arange(n), :, np.arange(n)] += short
    return countries, sectors, intermediate, final, inputs


def world(year: int = 2011) -> World:
    """The table of `year` as a `World`: 41 regions × 35 sectors, USD million."""
    countries, sectors, intermediate, final, inputs = arrays(year)
    return World.from_arrays(
        countries,
        sectors,
        intermediate,
        final,
        inputs,
        year=year,
        source="World Input–Output Database, release 2013",
        limits=["negative final use set to zero before summing", "value added is the residual"],
    )
