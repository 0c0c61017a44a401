"""Trade of the data year between countries, in USD billion: what measures of trade policy can touch at all."""

import numpy as np
import xarray as xr

from detente.calibration import UNITS_IN_USD
from detente.world import World


def trade(world: World) -> xr.DataArray:
    """Sales abroad, USD billion, net of duties [exporter, importer, sector]; sales at home are 0."""
    data = world.data
    total = (data["intermediate_trade"] + data["final_trade"]).transpose("exporter", "importer", "sector")
    scale = UNITS_IN_USD.get(str(data.attrs.get("unit", "USD million")), 1e9) / 1e9
    abroad = ~np.eye(total.sizes["exporter"], dtype=bool)
    return total * scale * abroad[:, :, None]
