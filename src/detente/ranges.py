"""Ranges of the parameters that are drawn under uncertainty, each with a distribution, a source and how far it was checked.

`data/uncertainty.yaml` holds those of trade elasticities and of sizes; those of behaviour are the ranges of a horizon
(`data/horizons.yaml`). docs/uncertainty.md explains them.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from detente import horizon, labels, yaml_file
from detente.errors import InputError, unknown_name
from detente.horizon import Horizon

DISTRIBUTIONS = ("uniform", "loguniform", "triangular", "logtriangular", "normal")
SCALE, MIX, CUTS, HORIZON_SCALE = (
    "trade_elasticity_scale",
    "trade_elasticity_mix",
    "cuts_position",
    "horizon_scale",
)
UNIT = (MIX, CUTS)  # from 0 to 1 by what they mean
DEVIATIONS = 4  # standard deviations of `normal` between its two ends


@dataclass(frozen=True)
class Range:
    """A parameter's range. central: its value where it is not drawn, and the most likely one where there is such a value.

    distribution: uniform; loguniform, uniform in the logarithm; triangular, its peak at central; logtriangular, the same in
    the logarithm; normal, mean central, four standard deviations from low to high and cut off there. sectors: codes and
    groups that a factor on trade elasticities is for. Raises `InputError` for ends out of order or of the domain.
    """

    name: str
    symbol: str
    meaning: str
    distribution: str
    low: float
    central: float
    high: float
    source: str = "given by the user"
    verification: str = "unverified"
    optional: bool = False
    sectors: tuple[str, ...] = ()

    def __post_init__(self):
        ends = self.low, self.central, self.high
        if self.distribution not in DISTRIBUTIONS:
            raise unknown_name("distribution", self.distribution, DISTRIBUTIONS)
        if not np.isfinite(ends).all() or not self.low <= self.central <= self.high or self.low == self.high:
            raise InputError(
                f"The range of `{self.name}` has low {ends[0]:g}, central {ends[1]:g}, high {ends[2]:g}; expected finite "
                "numbers in that order, and high above low."
            )
        if self.distribution.startswith("log") and self.low <= 0:
            raise InputError(f"The range of `{self.name}` begins at {self.low:g}; in logarithms above 0.")
        if self.name in UNIT and not 0 <= self.low <= self.high <= 1:
            raise InputError(
                f"The range of `{self.name}` is {self.low:g} to {self.high:g}; it lies within 0 to 1."
            )
        if (self.name.startswith("scale_") or self.name in (SCALE, HORIZON_SCALE)) and self.low <= 0:
            raise InputError(f"The range of `{self.name}` begins at {self.low:g}; a factor is above 0.")

    def quantile(self, unit: ArrayLike) -> NDArray[np.float64]:
        """Values at probabilities in [0, 1], of any shape: the inverse of the distribution function."""
        u, (low, mode, high) = np.asarray(unit, float), (self.low, self.central, self.high)
        if self.distribution.startswith("log"):
            low, mode, high = np.log((low, mode, high))
        if self.distribution.endswith("uniform"):
            found = low + u * (high - low)
        elif self.distribution.endswith("triangular"):
            rising = low + np.sqrt(u * (high - low) * (mode - low))
            found = np.where(
                u * (high - low) < mode - low, rising, high - np.sqrt((1 - u) * (high - low) * (high - mode))
            )
        else:
            spread = (high - low) / DEVIATIONS
            first, last = ndtr((np.array([low, high]) - mode) / spread)
            found = mode + spread * ndtri(first + u * (last - first))
        found = np.exp(found) if self.distribution.startswith("log") else found
        return np.clip(found, self.low, self.high)


@dataclass(frozen=True)
class Ranges:
    """The ranges that draws are made from. rows: all that are known, by name; drawn: names of those drawn, in order.

    horizon: the set of behaviour whose ranges are among them, and whose values hold for what is not drawn; elasticity_sets:
    the two that `trade_elasticity_mix` lies between.
    """

    rows: Mapping[str, Range] = field(repr=False)
    drawn: tuple[str, ...]
    horizon: Horizon
    elasticity_sets: tuple[str, str]

    @classmethod
    def load(cls, given: "str | os.PathLike[str] | Mapping[str, Any] | Ranges" = "long") -> "Ranges":
        """Those of a horizon by its name, a YAML file, or a mapping such as {"base": "short", "parameters": {…}}.

        In a file or mapping: base, a horizon (left out, `long`); parameters, {name: {distribution, low, high, and if wished
        central, source, verification}}; drawn, names; elasticity_sets, two names. Raises `InputError`.
        """
        if isinstance(given, Ranges):
            return given
        if isinstance(given, Mapping):
            return _made(given, None, "the ranges given")
        if not isinstance(given, str | os.PathLike):
            raise InputError(f"Ranges are a horizon's name, a mapping or a YAML file; got {given!r}.")
        path = Path(given)
        if path.suffix not in (".yaml", ".yml") and not path.is_file():
            return _shipped(Horizon.load(os.fspath(given)))
        shown = f"`{path.name}`"
        return _made(*yaml_file.parse(yaml_file.read_text(path, "ranges"), shown, "parameter"), shown)

    def select(self, names: Sequence[str]) -> "Ranges":
        """The same with these drawn and no others. Raises `InputError` for an unknown name, one given twice, and none."""
        for name in names:
            if name not in self.rows:
                raise unknown_name("parameter with a range", name, self.rows, self._elsewhere(name))
        if not names or len(set(names)) < len(names):
            raise InputError(
                f"The parameters to draw are {list(names)}; expected at least one, and none twice."
            )
        return replace(self, drawn=tuple(names))

    def _elsewhere(self, name: str) -> str:
        known = name in horizon.parameters() and name not in self.rows
        return f"At the horizon `{self.horizon.name}` it has one value and no range." if known else ""

    def idle(self, sectors: Sequence[str]) -> tuple[str, ...]:
        """Those drawn that could change nothing in a world of these sectors."""
        mines = {key: horizon.resource_sectors(key, sectors) for key in horizon.SUPPLIES}
        users = {key: horizon.user_sectors(key, sectors) for key in horizon.USERS}
        there = {"gas_mix": horizon.gas_sectors(sectors), "oil_demand": horizon.crude_sectors(sectors)}
        there |= mines | users
        there |= dict.fromkeys(horizon.ENERGY, horizon.energy_sectors(sectors))
        there |= self.parts(sectors)
        return tuple(name for name in self.drawn if name in there and not there[name])

    def fitting(self, sectors: Sequence[str]) -> "Ranges":
        """The same without what is `idle` in a world of these sectors."""
        left_out = self.idle(sectors)
        return self.select([name for name in self.drawn if name not in left_out])

    def parts(self, sectors: Sequence[str]) -> dict[str, list[str]]:
        """{factor on trade elasticities: codes of these sectors that it is for}; each code in the first that names it."""
        found: dict[str, list[str]] = {}
        for name, row in self.rows.items():
            taken = {code for codes in found.values() for code in codes}
            if row.sectors:
                meant = {code for each in row.sectors for code in _meant(each, sectors)}
                found[name] = [code for code in sectors if code in meant and code not in taken]
        return found

    def central(self) -> dict[str, float]:
        """The central value of each parameter drawn."""
        return {name: self.rows[name].central for name in self.drawn}

    def quantiles(self, unit: ArrayLike) -> NDArray[np.float64]:
        """Values [draw, parameter drawn] at points of the unit cube."""
        u = np.asarray(unit, float)
        return np.stack([self.rows[name].quantile(u[:, k]) for k, name in enumerate(self.drawn)], axis=1)


def _meant(name: str, sectors: Sequence[str]) -> list[str]:
    try:
        return labels.resolve_sectors(name, sectors)
    except InputError:
        return []  # no member in this world, which `idle` and `uncertainty.behaving` tell where it matters


@cache
def _file() -> dict[str, Any]:
    path = labels.DATA / "uncertainty.yaml"
    content, tree = yaml_file.parse(path.read_text(encoding="utf-8"), "`uncertainty.yaml`", "parameter")
    rules = yaml_file.schema(labels.DATA / "uncertainty.schema.json")
    yaml_file.check(content, tree, rules, lambda keys: f"`uncertainty.yaml`, {'.'.join(map(str, keys))}")
    return content


def _shipped(behaviour: Horizon) -> Ranges:
    rows = {}
    for name, entry in _file()["parameters"].items():
        words = {"source": " ".join(entry["source"].split()), "sectors": tuple(entry.get("sectors", ()))}
        rows[name] = Range(name=name, **(entry | words))
    rule = _file()["horizon"]
    for key, value in behaviour.values.items():
        if not value.low < value.high:
            continue  # one value, as all of the long run
        name, kind = rule["names"].get(key, key), rule["distribution"]
        kind = "logtriangular" if key in rule["logtriangular"] else kind
        told = horizon.parameters()[key]["symbol"], horizon.parameters()[key]["meaning"]
        rows[name] = Range(name, *told, kind, value.low, value.value, value.high, value.source, value.status)
    first, last = _file()["elasticity_sets"]
    return Ranges(
        rows, tuple(name for name, row in rows.items() if not row.optional), behaviour, (first, last)
    )


def _made(content: Any, tree: Any, shown: str) -> Ranges:
    def place(keys: yaml_file.KeyPath) -> str:
        line = f", line {yaml_file.line(tree, keys)}" if tree is not None else ""
        inside = ".".join(str(key) for key in keys)
        return f"{shown}{line}" + (f", `{inside}`" if inside else "")

    rules = yaml_file.schema(labels.DATA / "ranges.schema.json")
    yaml_file.check(content, tree, rules, place, model="docs/uncertainty.md")
    made = _shipped(Horizon.load(content.get("base", horizon.DEFAULT)))
    rows, drawn = dict(made.rows), list(made.drawn)
    for name, entry in content.get("parameters", {}).items():
        try:
            rows[name] = _given(name, entry, made)
        except InputError as problem:
            raise InputError(f"{place(['parameters', name])}: {problem}") from None
        drawn += [] if name in drawn else [name]
    first, last = content.get("elasticity_sets", made.elasticity_sets)
    return replace(made, rows=rows, elasticity_sets=(first, last)).select(content.get("drawn", drawn))


def _given(name: str, entry: Mapping[str, Any], made: Ranges) -> Range:
    """The user's range of a parameter, its words those of the shipped one or of the horizon's."""
    keys = {new: old for old, new in _file()["horizon"]["names"].items()}
    behaviour = {new: new for new in made.horizon.values if new not in keys.values()} | keys
    if name not in made.rows and name not in behaviour:
        raise unknown_name("parameter", name, [*made.rows, *behaviour])
    low, high = float(entry["low"]), float(entry["high"])
    if name in behaviour:
        for value in (low, high):
            made.horizon.changed({behaviour[name]: value})  # whether it is in the domain of this parameter
        words, usual = horizon.parameters()[behaviour[name]], made.horizon[behaviour[name]]
    else:
        words, usual = vars(made.rows[name]), made.rows[name].central
    logs = entry["distribution"].startswith("log") and low > 0
    middle = float(np.sqrt(low * high)) if logs else (low + high) / 2
    rest = {key: entry[key] for key in ("source", "verification") if key in entry}
    return Range(
        name=name,
        symbol=words["symbol"],
        meaning=words["meaning"],
        distribution=entry["distribution"],
        low=low,
        central=float(entry.get("central", usual if low <= usual <= high else middle)),
        high=high,
        sectors=made.rows[name].sectors if name in made.rows else (),
        **rest,
    )
