"""Détente's own world file: NetCDF-4 with the variables and axes of `AXES`; nothing in it is executable."""

import os
import tempfile
from pathlib import Path

import xarray as xr

from ..errors import InputError

TRADE = ("exporter", "sector", "importer")
USE = ("country", "input", "sector")
NODE = ("country", "sector")
TARIFF = ("importer", "exporter", "sector")
AXES = {
    "intermediate_trade": TRADE,
    "final_trade": TRADE,
    "input_use": USE,
    "value_added": NODE,
    "output": NODE,
    "tariff": TARIFF,
}
REQUIRED = ("intermediate_trade", "final_trade", "input_use")
COORDINATES = ("exporter", "importer", "country", "sector", "input")
FORMAT = "detente-world 1"


def write(data: xr.Dataset, path: Path) -> None:
    """Write a world's Dataset, compressed without loss; the file appears under `path` whole or not at all."""
    how = {name: {"zlib": True, "complevel": 6, "shuffle": True} for name in data.data_vars}
    handle, temporary = tempfile.mkstemp(suffix=".part", prefix=path.stem, dir=path.parent)
    os.close(handle)
    try:
        data.assign_attrs(format=FORMAT).to_netcdf(temporary, engine="h5netcdf", encoding=how)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def read(path: Path) -> xr.Dataset:
    """The Dataset in a world file, in memory; InputError if it is missing, damaged, or lacks something."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(
            f"`{path}` {what}. A world is a `.nc` file written by `World.save`; `tiny` and `energy` are built in."
        )
    try:
        with xr.open_dataset(path, engine="h5netcdf", phony_dims="access") as file:
            data = file.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"`{path}` cannot be read as NetCDF-4 ({error}). It is damaged or of another kind; "
            "a world is written by `World.save`, and a table of your own enters by `World.from_arrays`."
        ) from error
    _check_layout(data, path)
    del data.attrs["format"]
    return data


def _check_layout(data: xr.Dataset, path: Path) -> None:
    """InputError naming the variable, coordinate, mark or axis in which the file differs from a world."""
    missing = [f"`{name}`" for name in (*REQUIRED, *COORDINATES) if name not in data.variables]
    if data.attrs.get("format") != FORMAT:
        missing.append(f"the mark `format = {FORMAT}`")
    if missing:
        raise InputError(
            f"`{path}` is not a world: it lacks {', '.join(missing)}. "
            "Make one with `World.from_arrays(…).save(…)`."
        )
    for name in (name for name in AXES if name in data):
        axes = tuple(map(str, data[name].dims))
        if axes != AXES[name]:
            raise InputError(f"`{path}`: `{name}` has axes {list(axes)}; expected {list(AXES[name])}.")
    same = (("country", "exporter"), ("country", "importer"), ("sector", "input"))
    for first, second in same:
        if data[first].values.tolist() != data[second].values.tolist():
            raise InputError(f"`{path}`: `{first}` and `{second}` must carry the same codes, in one order.")
