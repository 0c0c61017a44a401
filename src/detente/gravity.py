"""Trade that a gravity equation expects between Russia and its sanctioning partners without sanctions.

A fallback for flows that are nil in the data of 2022, where no change in proportion could bring any back; never
in place of a flow that is there. `tools/build_gravity.py` makes the figures, docs/gravity.md says how good
they are. NaN means "no prediction": another pair, or a country or sector that the file does not have.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from detente.errors import InputError
from detente.labels import DATA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detente.economy import Economy
    from detente.world import World

FILE = "gravity_2022.nc"
FORMAT = "detente-gravity 1"
COUNTRY = "RUS"


@cache
def gravity() -> xr.Dataset:
    """The file: exports, imports (USD million, of Russia) and their shares [partner, sector]; the equations by sector.

    Raises `InputError` where the file is missing or of another kind.
    """
    path = DATA / FILE
    try:
        with xr.open_dataset(path, engine="h5netcdf") as file:
            data = file.load()
    except (OSError, ValueError) as error:
        raise InputError(f"`{path}` cannot be read ({error}). Install détente again.") from error
    if data.attrs.get("format") != FORMAT:
        raise InputError(f"`{path}` lacks the mark `format = {FORMAT}`. Install détente again.")
    return data


def predicted_trade(world: World) -> xr.DataArray:
    """Flows of 2022 without sanctions, USD million [exporter, sector, importer], over the codes of `world`.

    Between Russia and each country that sanctions it or that it sanctions; NaN for all others. Nil where one side
    trades the sector's goods with nobody.
    """
    values = _spread("", tuple(world.countries), tuple(world.sectors)).transpose(1, 2, 0)
    coords = {"exporter": world.countries, "sector": world.sectors, "importer": world.countries}
    attributes = {"units": "USD million", "long_name": "Trade predicted without sanctions"}
    return xr.DataArray(values, coords, ("exporter", "sector", "importer"), "predicted_trade", attributes)


def unsanctioned_share(economy: Economy) -> NDArray[np.float64]:
    """The same as shares in what the importer spends on the sector [importer, exporter, sector].

    Spending is that of 2022 with the predicted flow in place of the true one, so a share is below one. NaN where
    there is no prediction. Use it where `economy.trade_share` is nil, and nowhere else.
    """
    return _spread("_share", tuple(economy.countries), tuple(economy.sectors))


def entry_share(economy: Economy) -> NDArray[np.float64]:
    """`unsanctioned_share` where the economy has no such flow, NaN where it has [importer, exporter, sector]."""
    nil = np.asarray(economy.trade_share) == 0
    return np.where(nil, unsanctioned_share(economy), np.nan)


@lru_cache(maxsize=4)  # asked for by every scenario with a regime
def _spread(kind: str, countries: tuple[str, ...], sectors: tuple[str, ...]) -> NDArray[np.float64]:
    """`exports` and `imports` of `kind` on [importer, exporter, sector], NaN elsewhere; not to be written to."""
    values = np.full((len(countries), len(countries), len(sectors)), np.nan)
    if COUNTRY not in countries:
        values.flags.writeable = False
        return values
    data, here = gravity(), list(countries).index(COUNTRY)
    known = {"partner": list(countries), "sector": list(sectors)}
    values[:, here, :] = data[f"exports{kind}"].reindex(known).transpose("partner", "sector").values
    values[here, :, :] = data[f"imports{kind}"].reindex(known).transpose("partner", "sector").values
    values.flags.writeable = False
    return values
