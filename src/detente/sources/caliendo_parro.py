"""Caliendo & Parro's own data for 1993 (31 countries × 40 sectors, NAFTA tariffs), as in their replication files.

One `.npz` file with the arrays under the names of their text files. Axes as they have them: blocks of sectors, in each the
importer in rows and the exporter in columns; values of trade in thousand USD, gross output in USD, tariffs in percent.
"""

import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detente.errors import InputError

FILE = "nafta_cp2015_raw.npz"
# order of the columns of the replication files (alphabetical, "ROW" last)
COUNTRIES = (
    "ARG AUS AUT BRA CAN CHL CHN DNK FIN FRA DEU GRC HUN IND IDN IRL ITA JPN KOR MEX NLD NZL NOR PRT ZAF ESP SWE TUR "
    "GBR USA ROW"
).split()
SECTORS = (
    "agriculture mining food textile wood paper petroleum chemicals plastic minerals basic-metals metal-products "
    "machinery office electrical communication medical auto other-transport other electricity construction retail hotels "
    "land-transport water-transport air-transport auxiliary-transport post finance real-estate renting computer rnd "
    "business public education health other-services private"
).split()
SERVICE_ELASTICITY = 8.22  # the value their programs give to sectors without trade; it affects nothing
SHAPES = {
    "B": (40, 31),
    "GO": (40, 31),
    "IO": (1240, 40),
    "T": (20,),
    "tariffs1993": (620, 31),
    "tariffs2005": (620, 31),
    "xbilat1993": (620, 31),
}


class Nafta1993(NamedTuple):
    """Arrays in détente's axes: flows, tariffs [importer, exporter, sector]; others [country, …]; θ [sector]."""

    flow: NDArray
    tariff_1993: NDArray
    tariff_2005: NDArray
    output: NDArray
    value_added_share: NDArray
    input_share: NDArray
    trade_elasticity: NDArray


def read(folder: str | os.PathLike[str]) -> Nafta1993:
    """The data in `folder`/nafta_cp2015_raw.npz, or in that file itself. Raises `InputError` naming what is missing."""
    path = Path(folder)
    path = path / FILE if path.is_dir() else path
    if not path.is_file():
        raise InputError(
            f"There is no `{FILE}` in `{folder}`. Give the folder that holds Caliendo & Parro's 1993 data."
        )
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            missing = [name for name in SHAPES if name not in file]
            raw = {name: np.asarray(file[name], float) for name in SHAPES if name in file}
    except (OSError, ValueError, zipfile.BadZipFile) as problem:
        raise InputError(f"`{path.name}` is not an npz file of plain arrays: {problem}.") from None
    if missing:
        raise InputError(f"`{path.name}` lacks {', '.join(missing)}; expected {', '.join(SHAPES)}.")
    for name, shape in SHAPES.items():
        if raw[name].shape != shape or not np.isfinite(raw[name]).all():
            raise InputError(
                f"`{path.name}`: `{name}` must be finite numbers of shape {shape}, is {raw[name].shape}."
            )
    n, s = len(COUNTRIES), len(SECTORS)

    def blocks(values: NDArray) -> NDArray:
        """Rows of (sector, importer) to [importer, exporter, sector]; sectors without trade are zero."""
        goods = values.reshape(20, n, n).transpose(1, 2, 0)
        return np.concatenate([goods, np.zeros((n, n, s - 20))], axis=2)

    share = raw["B"].T
    inputs = np.maximum(raw["IO"].reshape(n, s, s), 0.0)  # one cell is negative by rounding: −0.0008
    whole = inputs.sum(axis=1, keepdims=True)  # zero where a sector uses no inputs (value-added share 1)
    inputs = np.divide(inputs, whole, out=np.zeros_like(inputs), where=whole > 0)
    return Nafta1993(
        flow=1000.0 * blocks(raw["xbilat1993"]),
        tariff_1993=blocks(raw["tariffs1993"]) / 100,
        tariff_2005=blocks(raw["tariffs2005"]) / 100,
        output=raw["GO"].T,
        value_added_share=share,
        input_share=inputs * (1 - share)[:, None, :],
        trade_elasticity=np.concatenate([raw["T"], np.full(s - 20, SERVICE_ELASTICITY)]),
    )
