"""Horizons: how easily producers, households and factors adjust, as named sets that a user may override.

`data/horizons.yaml` holds the sets with a source and a range for every value; docs/horizons.md explains them.
"""

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from detente import labels, yaml_file
from detente.demand import derived_demand, scale_for
from detente.economy import Economy
from detente.errors import InputError, unknown_name
from detente.implied import resource_share, spread, stiff, supply_elasticities
from detente.nests import Substitution

DEFAULT = "long"
NESTS = ("value_added", "energy", "inputs", "energy_mix", "gas_mix", "consumption", "consumption_energy")
SUPPLIES = ("coal", "oil", "ores", "other_mining")
ENERGY = ("energy", "energy_mix", "consumption_energy")
USERS = ("refining", "power")  # sectors whose own nests may differ from those of others
GAS = ("B06P", "B06L")  # one gas to its users, by pipe and liquefied
_KINDS = {"['number', 'string']": "a number, as 0.15, or a named set of the oil market"}


class Value(NamedTuple):
    """A parameter with its range, its source, and whether the figure was read there (`verified` or `unverified`)."""

    value: float
    low: float
    high: float
    source: str
    status: str


@dataclass(frozen=True)
class Horizon:
    """A set of parameters. `values` holds each by key, with its range and source; keys as in `detente horizon show long`.

    value_added, energy, inputs, energy_mix, gas_mix, consumption, consumption_energy: elasticities of the nests
    (`detente.nests.Substitution`); mobility: of factors, from 1 to infinity; trade_elasticity_scale: on every θ; coal, oil,
    ores, other_mining: supply elasticities, refining, power: nests of users of energy, oil_demand: derived demand for crude
    oil, where a set has them. overrides: {key: what the user gave}; base: the set's
    name.
    """

    name: str
    title: str
    base: str
    values: Mapping[str, Value] = field(repr=False)
    overrides: Mapping[str, float | str] = field(default_factory=dict)

    @classmethod
    def load(cls, given: "str | os.PathLike[str] | Mapping[str, Any] | Horizon") -> "Horizon":
        """A shipped set by name, a YAML file, or a mapping such as {"base": "short", "inputs": 0.1}.

        Left out, `base` is `long`. Raises `InputError` naming key and line for what cannot be used.
        """
        if isinstance(given, Horizon):
            return given
        if isinstance(given, Mapping):
            content = {_key(str(name)): value for name, value in given.items()}
            _check(content, None, "the horizon given")
            return cls._made(content, "the horizon given", "")
        if not isinstance(given, str | os.PathLike):
            raise InputError(
                f"`horizon` is {given!r}; expected a name ({', '.join(shipped())}), a mapping or a YAML file."
            )
        text = os.fspath(given)
        sets = _names()
        if text.casefold() in sets:
            return _shipped(sets[text.casefold()])
        path = Path(text)
        if path.suffix not in (".yaml", ".yml") and not path.is_file():
            raise unknown_name("horizon", text, sets, "A path to a YAML file is understood too.")
        shown = f"`{path.name}`"
        content, tree = yaml_file.parse(yaml_file.read_text(path, "horizon"), shown, "key")
        _check(content, tree, shown)
        return cls._made(content, shown, path.stem)

    @classmethod
    def _made(cls, content: Mapping[str, Any], shown: str, name: str) -> "Horizon":
        start = str(content.get("base", DEFAULT))
        if start.casefold() not in _names():
            raise unknown_name("horizon", start, _names(), f"It is the `base` of {shown}.")
        made = _shipped(_names()[start.casefold()])
        words = {"name": content.get("name", name) or made.name, "title": content.get("title", made.title)}
        rest = {key: value for key, value in content.items() if key not in ("name", "title", "base")}
        return dataclasses.replace(made, **words).changed(rest)

    def changed(self, overrides: Mapping[str, Any]) -> "Horizon":
        """The same with some values replaced. Raises `InputError` for an unknown key or a value out of its domain."""
        given = {_key(str(name)): value for name, value in overrides.items()}
        _check(given, None, "the horizon given")
        for name in ("name", "title", "base"):
            if name in given:
                raise InputError(f"`{name}` is no value to override. Keys: {', '.join(parameters())}.")
        new = {key: _given(key, value) for key, value in given.items()}
        return dataclasses.replace(self, values={**self.values, **new}, overrides={**self.overrides, **given})

    def __getitem__(self, key: str) -> float:
        """The value of a parameter. Raises `InputError` for one that this horizon does not have."""
        if key not in self.values:
            raise unknown_name("parameter of this horizon", key, self.values)
        return self.values[key].value

    @property
    def supplies(self) -> dict[str, float]:
        """Supply elasticities by resource, those that the horizon has."""
        return {key: self[key] for key in SUPPLIES if key in self.values}

    @property
    def told(self) -> str:
        """Name and overrides in one line: `short, with inputs 0.1`."""
        changes = [f"{key} {number(value)}" for key, value in self.overrides.items()]
        return f"{self.name}, with {', '.join(changes)}" if changes else self.name

    def applied(self, economy: Economy) -> Economy:
        """The same baseline with this horizon's behaviour, recorded in its provenance under `horizon`.

        Raises `InputError` for an override that could have no effect in this economy, and for an economy that has another
        horizon than `long` already.
        """
        before = economy.provenance.get("horizon")
        if before is not None and (before["base"], before["overrides"]) != (DEFAULT, {}):
            raise InputError(
                f"This economy has the horizon `{before['told']}` already, and two do not add up. "
                "Calibrate the world again with the one you want."
            )
        sectors = economy.sectors
        energy = energy_sectors(sectors)
        mines = {key: resource_sectors(key, sectors) for key in self.supplies}
        self._refuse_idle(energy, mines, sectors)
        economy = economy.with_behaviour(substitution=self._substitution(economy, energy, mines))
        if np.isfinite(self["mobility"]):
            economy = economy.with_behaviour(factor_mobility=self["mobility"])
        if self["trade_elasticity_scale"] != 1:
            theta = np.asarray(economy.trade_elasticity) * self["trade_elasticity_scale"]
            economy = economy.with_behaviour(trade_elasticity=theta)
        if any(mines.values()) and self["mobility"] > 1:
            economy = economy.with_behaviour(resource_share=self._resource_share(economy, mines))
        economy, demand = self._with_demand(economy)
        told = {"energy_sectors": energy, "supply": _reached(economy, self, mines), "demand": demand}
        record = self.to_json() | told
        return dataclasses.replace(economy, provenance={**economy.provenance, "horizon": record})

    def _substitution(
        self, economy: Economy, energy: Sequence[str], mines: Mapping[str, Sequence[str]]
    ) -> Substitution | None:
        """The nests, None where all are Cobb–Douglas; by sector where a supply, `refining` or `power` asks for it."""
        sectors, gas = economy.sectors, gas_sectors(economy.sectors)
        given: dict[str, Any] = {key: self[key] for key in NESTS}
        if not gas:
            given["gas_mix"] = given["energy_mix"]
        given["consumption_mix"] = given["energy_mix"]
        zeta = self._value_added(economy, mines)
        for key in (key for key in USERS if key in self.values):
            at = [sectors.index(code) for code in user_sectors(key, sectors)]
            for name in ("energy", "energy_mix")[: 2 if key == "refining" else 1]:
                if at:
                    given[name] = np.array(np.broadcast_to(given[name], (len(sectors),)))
                    given[name][at] = self[key]
            zeta[:, at] = self[key]
        if (zeta != self["value_added"]).any():
            given["value_added"] = zeta
        if all(np.all(value == 1) for value in given.values()):
            return None
        goods, gases = (tuple(map(sectors.index, codes)) for codes in (energy, gas))
        return Substitution.of(**given, energy_goods=goods, gas_goods=gases)

    def _value_added(self, economy: Economy, mines: Mapping[str, Sequence[str]]) -> np.ndarray:
        """ζ [country, sector]: lower in mines and wells where inputs alone would give more than the supply asked for."""
        v = np.asarray(economy.value_added_share)
        zeta = np.full(v.shape, self["value_added"])
        for key, codes in mines.items():
            at = [economy.sectors.index(code) for code in codes]
            zeta[:, at] = stiff(self[key], v[:, at], self["value_added"])
            made = np.asarray(economy.output)[:, at] > 0
            idle = self["mobility"] == 1 and not (zeta[:, at] < self["value_added"])[made].any()
            if key in self.overrides and codes and idle:
                raise InputError(
                    f"`{key}` has no effect: all factors are stuck (`mobility` is 1), and more inputs alone give less than "
                    f"{self[key]:g} in every country. Ask for less, or set `mobility` above 1 too."
                )
        return zeta

    def _with_demand(self, economy: Economy) -> tuple[Economy, dict[str, dict[str, float]]]:
        """The economy with demand for crude oil as asked, and what was asked and reached by which factor."""
        crude = tuple(map(economy.sectors.index, crude_sectors(economy.sectors)))
        if "oil_demand" not in self.values or not crude:
            return economy, {}
        wanted = self["oil_demand"]
        factor = scale_for(economy, crude, wanted)
        nest = economy.substitution or Substitution.of()
        economy = economy.with_behaviour(substitution=nest.scaled(factor))
        reached = -derived_demand(economy, crude)
        return economy, {"oil": {"asked": wanted, "reached": reached, "scale": factor}}

    def _resource_share(self, economy: Economy, mines: Mapping[str, Sequence[str]]) -> np.ndarray:
        v, made = np.asarray(economy.value_added_share), np.asarray(economy.output)
        nest, share = economy.substitution or Substitution.of(), np.zeros(v.shape)
        zeta = np.broadcast_to(np.asarray(nest.value_added), v.shape)
        for key, codes in mines.items():
            for k in map(economy.sectors.index, codes):
                wanted = resource_share(self[key], v[:, k], zeta[:, k], self["mobility"])
                share[:, k] = np.where((v[:, k] > 0) & (made[:, k] > 0), wanted, 0.0)
        return share

    def _refuse_idle(
        self, energy: Sequence[str], mines: Mapping[str, Sequence[str]], sectors: Sequence[str]
    ) -> None:
        gas, there = gas_sectors(sectors), {key: user_sectors(key, sectors) for key in USERS}
        there |= dict(mines) | {"oil_demand": crude_sectors(sectors)}
        for key in self.overrides:
            if key in ENERGY and not energy:
                raise InputError(
                    f"`{key}` has no effect: this world has no sector of energy ({', '.join(_members('energy'))}). "
                    f"Leave it out, or use a world that has one."
                )
            if key == "gas_mix" and not gas:
                raise InputError(
                    "`gas_mix` has no effect: this world does not tell gas by pipe from LNG. Leave it out, or use the "
                    "world `energy`."
                )
            if key in there and not there[key]:
                raise InputError(
                    f"`{key}` has no effect: this world has no sector {', '.join(parameters()[key]['sectors'])}. "
                    "Leave it out, or use a world that has one."
                )

    def to_json(self) -> dict[str, Any]:
        """Plain data: name, title, base, overrides, and values; an infinite mobility is the text `infinite`."""
        values = {
            key: value.value if np.isfinite(value.value) else "infinite" for key, value in self.values.items()
        }
        overrides = {
            key: value if isinstance(value, str) or np.isfinite(value) else "infinite"
            for key, value in self.overrides.items()
        }
        return {
            "name": self.name,
            "title": self.title,
            "base": self.base,
            "told": self.told,
            "overrides": overrides,
            "values": values,
            "sources": list(dict.fromkeys(value.source for value in self.values.values())),
        }


def number(value: float | str) -> str:
    """A value as people write it; infinity in words."""
    return value if isinstance(value, str) else "infinite" if np.isinf(value) else f"{value:g}"


@cache
def _file() -> dict[str, Any]:
    path = labels.DATA / "horizons.yaml"
    content, tree = yaml_file.parse(path.read_text(encoding="utf-8"), "`horizons.yaml`", "set")
    rules = yaml_file.schema(labels.DATA / "horizons.schema.json")
    yaml_file.check(content, tree, rules, lambda keys: f"`horizons.yaml`, {'.'.join(map(str, keys))}")
    return content


def parameters() -> dict[str, dict[str, Any]]:
    """{key: symbol, meaning, and for a resource its sectors}."""
    return _file()["parameters"]


def shipped() -> dict[str, dict[str, Any]]:
    """The named sets: {name: title, about, aliases, values}."""
    return _file()["sets"]


def oil_sets() -> dict[str, dict[str, Any]]:
    """Named estimates for the oil market: {name: supply, demand, source, status}."""
    return _file()["oil_sets"]


@cache
def _names() -> dict[str, str]:
    """Names and aliases, each to its set."""
    return {alias: name for name, entry in shipped().items() for alias in (name, *entry["aliases"])}


@cache
def _shipped(name: str) -> Horizon:
    entry = shipped()[name]
    values = {
        key: Value(
            one["value"], one["range"][0], one["range"][1], " ".join(one["source"].split()), one["status"]
        )
        for key, one in entry["values"].items()
    }
    return Horizon(name, entry["title"], name, values)


def _key(name: str) -> str:
    return name.replace("-", "_")


def _check(content: Any, tree: Any, shown: str) -> None:
    """Raises `InputError` where the content does not fit `data/horizon.schema.json`."""

    def place(keys: yaml_file.KeyPath) -> str:
        line = f", line {yaml_file.line(tree, keys)}" if tree is not None else ""
        inside = ".".join(str(key) for key in keys)
        return f"{shown}{line}" + (f", `{inside}`" if inside else "")

    rules = yaml_file.schema(labels.DATA / "horizon.schema.json")
    yaml_file.check(content, tree, rules, place, _KINDS, "`detente horizon show short`")
    for key, value in content.items():
        bad = isinstance(value, float) and (np.isnan(value) or (np.isinf(value) and key != "mobility"))
        if bad:
            raise InputError(f"{place([key])}: found `{value}`, expected a finite number.")


def _given(key: str, value: float | str) -> Value:
    if not isinstance(value, str):
        return Value(float(value), float(value), float(value), "given by the user", "unverified")
    if value.casefold() not in oil_sets():
        raise unknown_name("set of the oil market", value, oil_sets(), "A number is understood too.")
    found = oil_sets()[value.casefold()]
    side = -found["demand"] if key == "oil_demand" else found["supply"]
    return Value(side, side, side, " ".join(found["source"].split()), found["status"])


def _members(group: str) -> tuple[str, ...]:
    return labels.sector_groups()[group]


def _within(codes: Sequence[str], known: Sequence[str]) -> list[str]:
    """Those of `known` that are one of `codes` or, of codes of three characters and more, one with a letter behind it."""
    parts = re.compile("|".join(f"{re.escape(code)}{'[A-Z]?' if len(code) > 2 else ''}" for code in codes))
    return [code for code in known if parts.fullmatch(code)]


def gas_sectors(known: Sequence[str]) -> list[str]:
    """Gas by pipe and liquefied, where a world tells them apart."""
    return list(GAS) if set(GAS) <= set(known) else []


def energy_sectors(known: Sequence[str]) -> list[str]:
    """Energy goods of a world: the group `energy`, its parts (B06O of B06), and codes that stand for it."""
    try:
        named = labels.resolve_sectors("energy", known)  # with codes that stand for the group
    except InputError:
        named = []  # no member here, which `applied` records and refuses where it matters
    return _within((*_members("energy"), *named), known)


def resource_sectors(key: str, known: Sequence[str]) -> list[str]:
    """Sectors of a world whose supply elasticity `key` gives."""
    return _within(parameters()[key]["sectors"], known)


def user_sectors(key: str, known: Sequence[str]) -> list[str]:
    """Sectors of a world whose nests `refining` or `power` gives."""
    return _within(parameters()[key]["sectors"], known)


def crude_sectors(known: Sequence[str]) -> list[str]:
    """What `oil_demand` is about: crude oil, or oil and gas where a world has them as one."""
    return [code for code in ("B06O", "B06") if code in known][:1]


def responding(horizon: Horizon, known: Sequence[str]) -> tuple[dict[str, float], dict[str, str]]:
    """For `implied.responses`: supply asked for by sector, and the names of all sectors of energy and mining."""
    mines = {key: resource_sectors(key, known) for key in SUPPLIES}
    asked = {code: horizon[key] for key in horizon.supplies for code in mines[key]}
    wanted = [*energy_sectors(known), *(code for codes in mines.values() for code in codes)]
    return asked, {code: labels.sector_name(code) for code in known if code in wanted}


def _reached(
    economy: Economy, horizon: Horizon, mines: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, float]]:
    """{resource: asked and reached supply elasticity, reached being the mean by output of those that produce}."""
    found, made = supply_elasticities(economy), np.asarray(economy.output)
    told: dict[str, dict[str, float]] = {}
    for key, codes in mines.items():
        at = [economy.sectors.index(code) for code in codes]
        mean = spread(found[:, at].ravel(), made[:, at].ravel())
        if mean is not None and np.isfinite(mean[0]):
            told[key] = {"asked": horizon[key], "reached": mean[0]}
    return told
