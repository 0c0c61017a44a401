"""The world as data: who sells what to whom, who uses what, labelled and checked.

A `World` holds one year's inter-country input–output table as an xarray Dataset. The one that ships has 80
countries and 50 sectors in 2022 (`World.load()`); `World.from_arrays` takes a user's own. Nothing here is
dropped, filled or aligned in silence: a missing or negative number is an error that names its cell.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from . import energy, labels
from .errors import InputError
from .sources import world_file
from .sources.world_file import AXES, NODE, REQUIRED, TARIFF, USE

EMBEDDED = {None: "world_2022.nc", "tiny": "world_tiny.nc", "energy": "world_2022.nc"}
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Violation:
    """One cell in which an accounting identity fails: `found` where the identity asks for `expected`."""

    identity: str
    cell: str
    found: float
    expected: float

    def __str__(self) -> str:
        gap = self.found - self.expected
        sizes = f"found {self.found:,.6g}, expected {self.expected:,.6g} (off by {gap:+.3g})"
        return f"{self.identity}, {self.cell}: {sizes}"


@dataclass(frozen=True, repr=False, eq=False)
class World:
    """An inter-country input–output table of one year, in the unit named in its attributes.

    `data` is an xarray Dataset. Dimensions `exporter`, `importer` and `country` carry the same country codes,
    `sector` and `input` the same sector codes. Variables, all float64 and non-negative:

    - `intermediate_trade`, `final_trade` [exporter, sector, importer]: sales to producers, and to final
      users;
    - `input_use` [country, input, sector]: what each sector of a country uses of each good, from everywhere;
    - `value_added`, `output` [country, sector];
    - `tariff` [importer, exporter, sector], optional: ad-valorem rates (0.1 = 10 %).

    Flows and uses are net of duties, so where a tariff is given, value added includes the duties paid on
    inputs. Three identities hold (`check`): output is what is sold; producers use what was traded for them;
    output is inputs plus value added.
    """

    data: xr.Dataset

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> "World":
        """The embedded world (no argument), the tiny one (`"tiny"`), or a file written by `save`.

        `"energy"` is the embedded world with crude oil, pipeline gas and LNG apart (`detente.energy`).

        Raises InputError, saying which, if the file is missing, damaged, not a world, or does not add up.
        """
        if path is None or (isinstance(path, str) and path in EMBEDDED):
            data = _complete(world_file.read(labels.DATA / EMBEDDED[path]))
            return cls(_describe(energy.split(data)) if path == "energy" else data)
        data = world_file.read(Path(path))
        _check_values(data)
        world = cls(_complete(data))
        world.check(raise_on_error=True)
        return world

    @classmethod
    def from_arrays(
        cls,
        countries: Sequence[str],
        sectors: Sequence[str],
        intermediate_trade: Any,
        final_trade: Any,
        input_use: Any,
        value_added: Any = None,
        output: Any = None,
        tariff: Any = None,
        *,
        year: int,
        unit: str = "USD million",
        source: str,
        licence: str = "",
        limits: Iterable[str] = (),
        title: str = "",
        attribution: str = "",
    ) -> "World":
        """A world from arrays with axes as listed on the class; DataArrays may have them in any order.

        `output` and `value_added` are derived where omitted. Raises InputError for a wrong shape, for a
        cell that is not finite or is negative, and for an identity that fails by more than 1e-6 of the
        cell, each with the cell named.
        """
        countries, sectors = _codes("country", countries), _codes("sector", sectors)
        given = {
            "intermediate_trade": intermediate_trade,
            "final_trade": final_trade,
            "input_use": input_use,
            "value_added": value_added,
            "output": output,
            "tariff": tariff,
        }
        coords = _coords(countries, sectors)
        arrays = {name: _array(name, value, coords) for name, value in given.items() if value is not None}
        limits = (limits,) if isinstance(limits, str) else limits
        attrs = {
            "title": title or f"World of {year}: {len(countries)} countries × {len(sectors)} sectors",
            "year": int(year),
            "unit": unit,
            "source": source,
            "licence": licence,
            "limits": "\n".join(limits),
            "attribution": attribution,
        }
        data = xr.Dataset({name: (AXES[name], array) for name, array in arrays.items()}, coords, attrs)
        _check_values(data)
        world = cls(_complete(data))
        world.check(raise_on_error=True)
        return world

    @property
    def countries(self) -> list[str]:
        """Country codes in the order of the axes."""
        return self.data["country"].values.tolist()

    @property
    def sectors(self) -> list[str]:
        """Sector codes in the order of the axes."""
        return self.data["sector"].values.tolist()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the world to `path`, a NetCDF-4 file ending in `.nc`; reading it back gives the same bits.

        The file appears whole or not at all. Raises InputError for another ending or a folder that does not
        exist.
        """
        path = Path(path)
        if path.suffix != ".nc":
            raise InputError(f"A world is saved as NetCDF: give a name ending in `.nc`, not `{path.name}`.")
        if not path.parent.is_dir():
            raise InputError(f"Cannot save `{path.name}`: there is no folder `{path.parent}`. Make it first.")
        world_file.write(self.data, path)
        return path

    def aggregate(
        self,
        countries: Mapping[str, str | Iterable[str]] | None = None,
        sectors: Mapping[str, str | Iterable[str]] | None = None,
    ) -> "World":
        """The same world with countries or sectors summed: `{new code: old codes or a group's name}`.

        What is not named stays as it is, first and in its old order; new codes follow in the order given.
        Flows are summed; a tariff becomes the mean weighted by trade. Raises InputError for a code that is
        unknown or used twice, and for a new code that clashes with one that stays.
        """
        by_country = _Merge.make("country", self.countries, countries)
        by_sector = _Merge.make("sector", self.sectors, sectors)
        by_sectors = ("sector", "input")
        merges = {str(dim): by_sector if dim in by_sectors else by_country for dim in self.data.dims}
        coords = _coords(by_country.new, by_sector.new)
        values = {str(name): array.values for name, array in self.data.items()}
        summed = {name: _sum_over(values[name], AXES[name], merges) for name in values if name != "tariff"}
        if "tariff" in values:
            summed["tariff"] = _mean_tariff(values, summed, merges)
        variables = {name: (AXES[name], array) for name, array in summed.items()}
        size = f"{len(by_country.new)} countries × {len(by_sector.new)} sectors"
        attrs = self.data.attrs | {"title": f"{self.data.attrs['title']}; summed to {size}"}
        return World(_describe(xr.Dataset(variables, coords, attrs)))

    def check(self, tolerance: float = TOLERANCE, *, raise_on_error: bool = False) -> list[Violation]:
        """Every cell where an identity fails by more than `tolerance` of it, worst first; empty if all hold.

        With `raise_on_error`, InputError that lists the worst ones. A cell smaller than a millionth of the
        mean cell is judged by that size instead of its own.
        """
        violations = [cell for identity in _identities(self.data) for cell in _compare(*identity, tolerance)]
        violations.sort(key=lambda v: -abs(v.found - v.expected))
        if violations and raise_on_error:
            shown = "\n".join(f"  {violation}" for violation in violations[:5])
            more = f"\n  … and {len(violations) - 5} more" if len(violations) > 5 else ""
            head = f"The table does not add up in {len(violations)} cells (tolerance {tolerance:g}):"
            raise InputError(f"{head}\n{shown}{more}")
        return violations

    def __repr__(self) -> str:
        attrs, output = self.data.attrs, self.data["output"]
        traded = self.data["intermediate_trade"].values + self.data["final_trade"].values
        total, home = float(output.sum()), float(np.einsum("isi->", traded))
        sizes = self.data["value_added"].sum("sector").to_series().sort_values(ascending=False)
        largest = ", ".join(str(code) for code in sizes.index[:5])
        abroad = f"{(total - home) / total:.0%} of it sold abroad" if total else "nothing is produced"
        return (
            f"World {attrs.get('year', '')}: {len(self.countries)} countries × {len(self.sectors)} sectors, "
            f"{attrs.get('unit', '')}\n"
            f"  {attrs.get('title', '')}\n"
            f"  output {total:,.0f}, {abroad}; largest: {largest}\n"
            f"  tariffs: {'given' if 'tariff' in self.data else 'none'}; "
            f"limits to know: {len(attrs.get('limits', '').splitlines())} (world.data.limits)\n"
            f"  next: dt.calibrate(world), world.aggregate(…), world.check()"
        )


def _codes(kind: str, codes: Sequence[str]) -> list[str]:
    """`codes` as a list of distinct, non-empty texts, or InputError."""
    codes = [str(code) for code in codes]
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice:
        raise InputError(f"Each {kind} needs a code of its own: `{twice[0]}` stands there twice.")
    if not codes or "" in codes:
        raise InputError(f"Each {kind} needs a code of its own: one is empty, or there is none.")
    return codes


def _coords(countries: Sequence[str], sectors: Sequence[str]) -> dict[str, list[str]]:
    """Coordinates of a world's Dataset."""
    coords = {dim: list(countries) for dim in ("exporter", "importer", "country")}
    return coords | {dim: list(sectors) for dim in ("sector", "input")}


def _array(name: str, value: Any, coords: Mapping[str, list[str]]) -> np.ndarray:
    """`value` as float64 with the axes of `name`; a DataArray is aligned by its labels, exactly."""
    dims = AXES[name]
    if isinstance(value, xr.DataArray):
        if set(value.dims) != set(dims):
            raise InputError(f"`{name}` has dimensions {list(map(str, value.dims))}; expected {list(dims)}.")
        for dim in dims:
            if dim in value.coords:
                labelled = [str(code) for code in value[dim].values]
                if sorted(labelled) != sorted(coords[dim]):
                    odd = sorted(set(labelled) ^ set(coords[dim])) or ["(twice)"]
                    raise InputError(
                        f"`{name}` has other codes along `{dim}` than the world: {', '.join(odd[:8])}."
                    )
                value = value.assign_coords({dim: labelled}).sel({dim: coords[dim]})
        value = value.transpose(*dims).values
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"`{name}` is not an array of numbers: {error}.") from error
    expected = tuple(len(coords[dim]) for dim in dims)
    if array.shape != expected:
        raise InputError(
            f"`{name}` has shape {array.shape}; expected {expected}, the axes being {list(dims)}."
        )
    return array


def _check_values(data: xr.Dataset) -> None:
    """InputError that names the first cell which is not finite, or negative (for a tariff: −1 or less)."""
    for name, array in data.items():
        values = array.values
        bad = ~np.isfinite(values)
        kind, mend = "is not a finite number", "Fill or remove it before; nothing is filled in silence."
        if not bad.any():
            low = name == "tariff"
            bad = (values <= -1) if low else (values < 0)
            kind = "is −1 or less" if low else "is negative"
            mend = (
                "A rate is given as 0.1 for 10 %."
                if low
                else "Negative cells (often changes in stocks) must be treated first."
            )
        if bad.any():
            cell = np.unravel_index(np.argmax(bad), bad.shape)
            raise InputError(
                f"`{name}` at {_cell(array, cell)} {kind}: {values[cell]}; "
                f"{int(bad.sum())} such cells. {mend}"
            )


def _cell(array: xr.DataArray, index: Sequence[Any]) -> str:
    """`exporter RUS, sector B06, importer DEU` for a position in `array`."""
    return ", ".join(f"{dim} {array[dim].values[i]}" for dim, i in zip(array.dims, index, strict=True))


def _complete(data: xr.Dataset) -> xr.Dataset:
    """Add `output` and `value_added` where they are missing, in double precision.

    A file in single precision (the embedded ones) holds the three independent arrays only, and rounding has
    put producers' use off the trade it comes from by up to 1e-7: use is scaled by that, so that all
    identities hold exactly.
    """
    rounded = data["input_use"].dtype == np.float32
    data = data.astype(np.float64)
    intermediate, final, use = (data[name].values for name in REQUIRED)
    if rounded:
        bought = np.einsum("oin->ni", intermediate)
        used = use.sum(axis=2)
        use = use * np.divide(bought, used, out=np.ones_like(used), where=used > 0)[:, :, None]
        data["input_use"] = (USE, use)
    if "output" not in data:
        data["output"] = (NODE, intermediate.sum(axis=2) + final.sum(axis=2))
    if "value_added" not in data:
        output = data["output"].values
        value_added = output - use.sum(axis=1)
        noise = np.abs(value_added) <= 1e-9 * output  # a user without value added, to rounding
        data["value_added"] = (NODE, np.where(noise, 0.0, value_added))
        _check_values(data[["value_added"]])
    return _describe(data)


def _describe(data: xr.Dataset) -> xr.Dataset:
    """Unit and long name on each variable, from the dictionary of variables; order as documented."""
    meaning = {row["name"]: row["meaning"] for row in labels.variables() if row["group"] == "World"}
    present = [name for name in AXES if name in data]
    for name in present:
        unit = "rate" if name == "tariff" else data.attrs.get("unit", "")
        data[name].attrs = {"units": unit, "long_name": meaning.get(name, name)}
    return data[present]


def _identities(data: xr.Dataset) -> list[tuple[str, xr.DataArray, xr.DataArray]]:
    """The three identities as (name, found, expected), each over [country, sector] or [country, input]."""
    with xr.set_options(arithmetic_join="exact"):
        trade = data["intermediate_trade"] + data["final_trade"]
        sold = trade.sum("importer").rename(exporter="country")
        bought = data["intermediate_trade"].sum("exporter").rename(importer="country", sector="input")
        spent = data["input_use"].sum("input") + data["value_added"]
    output, used = data["output"], data["input_use"].sum("sector")
    return [
        ("output = sales to all importers", output, sold.transpose(*NODE)),
        ("use of an input = what was traded for it", used, bought.transpose(*used.dims)),
        ("output = inputs + value added", output, spent.transpose(*NODE)),
    ]


def _compare(identity: str, found: xr.DataArray, expected: xr.DataArray, tolerance: float) -> list[Violation]:
    """Violations of one identity; a NaN on either side is one."""
    left, right = found.values, expected.values
    size = np.maximum(np.abs(left), np.abs(right))
    allowance = tolerance * (size + 1e-6 * np.nanmean(size))
    off = ~(np.abs(left - right) <= allowance)
    return [
        Violation(identity, _cell(found, cell), float(left[cell]), float(right[cell]))
        for cell in zip(*np.nonzero(off), strict=True)
    ]


@dataclass(frozen=True)
class _Merge:
    """Which old codes make which new one; `matrix` [new, old] has a single 1 in each column."""

    new: list[str]
    matrix: np.ndarray

    @classmethod
    def make(cls, kind: str, old: list[str], mapping: Mapping[str, str | Iterable[str]] | None) -> "_Merge":
        """From `{new: [old, …]}`; InputError for codes unknown, used twice, or clashing."""
        resolve = labels.resolve_countries if kind == "country" else labels.resolve_sectors
        home: dict[str, str] = {}
        for new, members in (mapping or {}).items():
            names = [members] if isinstance(members, str) else list(members)
            if not names:
                raise InputError(f"The new {kind} `{new}` names no {kind} of this world. Give it members.")
            for name in names:
                for code in resolve(name, old):
                    if code in home:
                        raise InputError(
                            f"The {kind} `{code}` is in `{home[code]}` and again in `{new}`: name it once."
                        )
                    home[code] = new
        stays = [code for code in old if code not in home]
        clash = sorted(set(stays) & set(mapping or {}))
        if clash:
            raise InputError(
                f"`{clash[0]}` is a {kind} that would stay, and the name of a new one. "
                "Put it among the members, or rename the new one."
            )
        codes = stays + list(mapping or {})
        position = {code: row for row, code in enumerate(codes)}
        matrix = np.zeros((len(codes), len(old)))
        matrix[[position[home.get(code, code)] for code in old], range(len(old))] = 1.0
        return cls(codes, matrix)


def _sum_over(values: np.ndarray, dims: Sequence[str], merges: Mapping[str, _Merge]) -> np.ndarray:
    """`values` with every axis summed into the new codes."""
    for axis, dim in enumerate(dims):
        values = np.moveaxis(np.tensordot(merges[dim].matrix, values, axes=(1, axis)), 0, axis)
    return values


def _mean_tariff(
    values: Mapping[str, np.ndarray], summed: Mapping[str, np.ndarray], merges: Mapping[str, _Merge]
) -> np.ndarray:
    """Tariffs [importer, exporter, sector] weighted by trade; a plain mean where there is no trade."""
    trade = (values["intermediate_trade"] + values["final_trade"]).transpose(2, 0, 1)
    total = (summed["intermediate_trade"] + summed["final_trade"]).transpose(2, 0, 1)
    duties = _sum_over(values["tariff"] * trade, TARIFF, merges)
    plain = _sum_over(values["tariff"], TARIFF, merges) / _sum_over(np.ones_like(trade), TARIFF, merges)
    return np.where(total > 0, duties / np.where(total > 0, total, 1.0), plain)
