"""Who owns what abroad, and public figures on capital, finance and lasting losses: `data/capital_2022.yaml`, asked.

Each figure has a value, a range, a unit, a source and how far it was checked. A file of the user's own has the same form:
its rows take the place of those shipped that are about the same thing, others are added; with `base: none` it stands
alone. What the files do not have is `missing` or refused, never guessed; docs/capital.md has tables, method and doubts.
"""

import datetime
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detente import labels, yaml_file
from detente.errors import InputError, unknown_name
from detente.sizes import between

Array = NDArray[np.float64]
End = Literal["value", "low", "high"]
Basis = Literal["immediate", "ultimate"]
Key = tuple[str, str, str]


class Figure(NamedTuple):
    """A figure with its range, unit, citation, state of verification (`verified`, `sourced`, `unverified`) and note."""

    value: float
    low: float
    high: float
    unit: str
    source: str
    verification: str
    note: str = ""

    def at(self, end: End = "value") -> float:
        """The value, or an end of its range. Raises `InputError` for any other word."""
        return getattr(self, _end(end))


@dataclass(frozen=True)
class Positions:
    """The content of one file, or of two laid over each other.

    stocks: {(owner, host, basis): figure}, USD billion; figures: {(name, of, since): figure}, `of` a country, a sector or a
    group of sectors, or empty for the default, `since` a day as text or empty; names: {name: unit, of, meaning}.
    """

    stocks: Mapping[Key, Figure] = field(repr=False)
    figures: Mapping[Key, Figure] = field(repr=False)
    names: Mapping[str, Mapping[str, str]] = field(repr=False)

    @classmethod
    def load(cls, path: "str | os.PathLike[str] | None" = None) -> "Positions":
        """The figures that ship, or a YAML file laid over them. Raises `InputError`, with the line, for a wrong row."""
        if path is None:
            return _shipped()
        file = Path(path)
        content, tree = yaml_file.parse(
            yaml_file.read_text(file, "capital"), f"`{file.name}`", "row", dates_as_text=True
        )
        return _read(content, tree, f"`{file.name}`")

    def stock(
        self,
        countries: Sequence[str],
        end: End = "value",
        basis: Basis = "immediate",
        missing: float = np.nan,
    ) -> Array:
        """Stocks of direct investment [owner, host], USD billion.

        countries: ISO 3166 codes, each once; a pair without a row is `missing`, not nil, unless you say so with 0.
        `immediate` books a stock to the next owner in the chain, often a conduit (Cyprus, the Netherlands), `ultimate` to
        the last, for the few that have an estimate. Raises `InputError` for an unknown or repeated code.
        """
        codes, end = self._countries(countries), _end(end)
        if basis not in ("immediate", "ultimate"):
            raise unknown_name("basis", basis, ("immediate", "ultimate"))
        made = np.full((len(codes), len(codes)), float(missing))
        for (owner, host, kind), row in self.stocks.items():
            if kind == basis and owner in codes and host in codes:
                made[codes.index(owner), codes.index(host)] = row.at(end)
        return made

    def figure(self, name: str, of: str = "", on: "str | datetime.date | None" = None) -> Figure:
        """The row of a country, sector or group, or else the default; with several days, the last until `on`.

        on: a day; None takes the last row. Raises `InputError` for an unknown name, and where there is no row.
        """
        _refuse_unknown_of(self._known(name)["of"], of, f"`{name}`")
        for wanted in dict.fromkeys((of, "")):
            found = self._days.get((name, wanted), {})
            day = str(max(found, default="")) if on is None else _day(on)
            past = [since for since in found if since <= day]
            if past:
                return found[max(past)]
        when = "" if on is None else f" on {on}"
        raise InputError(
            f"No figure `{name}` for `{of}`{when}, and no default. Those there are: "
            f"{', '.join(self._shown(name)) or 'none'}; a file of your own may add one."
        )

    @cached_property
    def _days(self) -> dict[tuple[str, str], dict[str, Figure]]:
        """{(name, of): {since: figure}}."""
        found: dict[tuple[str, str], dict[str, Figure]] = {}
        for (name, of, since), row in self.figures.items():
            found.setdefault((name, of), {})[since] = row
        return found

    def placed(self, positions: Mapping[str, float]) -> "Positions":
        """The same with the values of some figures, by name, at a place in their ranges; `stock` for the stocks.

        0 is the low end, 0.5 the value, 1 the high end, linear between; one place holds for all rows of a name. Raises
        `InputError` for an unknown name and a place outside 0 to 1.
        """
        for name, at in positions.items():
            if name != "stock":
                self._known(name)
            if not 0 <= at <= 1:
                raise InputError(f"The place of `{name}` in its range is {at:g}; expected from 0 to 1.")

        def moved(row: Figure, name: str) -> Figure:
            if name not in positions:
                return row
            return row._replace(value=float(between(row.low, row.value, row.high, positions[name])))

        stocks = {key: moved(row, "stock") for key, row in self.stocks.items()}
        return replace(
            self, stocks=stocks, figures={key: moved(row, key[0]) for key, row in self.figures.items()}
        )

    def by_country(
        self, name: str, countries: Sequence[str], end: End = "value", missing: float | None = None
    ) -> Array:
        """A figure for each country [country], the default where it has no row: capital_share, depreciation, …

        A country without a row where there is no default is `missing`, or refused with an `InputError` if that is None.
        """
        self._known(name, "country")
        known = {of for key, of, _ in self.figures if key == name}
        return np.array(
            [
                self.figure(name, code).at(end) if missing is None or known & {code, ""} else float(missing)
                for code in self._countries(countries)
            ]
        )

    def by_sector(self, name: str, sectors: Sequence[str], end: End = "value") -> Array:
        """A figure for each sector [sector]: of the sector, else of the smallest group that holds it, else the default."""
        self._known(name, "sector")
        own = {of for key, of, _ in self.figures if key == name and of}
        groups = {
            group: set(labels.sector_groups()[group]) for group in own if group in labels.sector_groups()
        }
        made = []
        for code in sectors:
            if code not in {
                *labels.sectors(),
                *labels.with_parts(labels.sectors()),
                *labels.stand_ins(),
                *own,
            }:
                raise unknown_name("sector", code, labels.sectors())
            holding = sorted((len(members), group) for group, members in groups.items() if code in members)
            of = code if code in own else holding[0][1] if holding else ""
            made.append(self.figure(name, of).at(end))
        return np.array(made)

    def persistence(self, sectors: Sequence[str], end: End = "value") -> Array:
        """Part of a lost market position that is still lost a year later [sector], 2^(−1/h), h the `position_half_life`."""
        return 2.0 ** (-1 / self.by_sector("position_half_life", sectors, end))

    def proceeds(self, on: "str | datetime.date | None" = None, of: str = "RUS") -> float:
        """What an owner keeps of the market value when selling under the exit rule of a day: 1 − discount − contribution.

        At the central values; in no case below 0. Before the first rule, `InputError`.
        """
        discount, contribution = (
            self.figure(f"exit_{part}", of, on).value for part in ("discount", "contribution")
        )
        return max(1 - discount - contribution, 0.0)

    def lines(self, names: Iterable[str]) -> list[str]:
        """The rows of some figures as a table in text, for printing; `stock` shows the stocks."""
        return [
            line for name in names for line in (self._stock_lines() if name == "stock" else self._lines(name))
        ]

    def _lines(self, name: str) -> list[str]:
        unit = self._known(name)["unit"]
        rows = [
            (f"{of or 'default'} {since}".strip(), row)
            for (key, of, since), row in self.figures.items()
            if key == name
        ]
        return [f"{name}, {unit}", *(_line(told, row) for told, row in rows)]

    def _stock_lines(self) -> list[str]:
        rows = [
            (f"{owner} in {host}{', ultimate' * (basis == 'ultimate')}", row)
            for (owner, host, basis), row in self.stocks.items()
        ]
        return ["stock, USD billion", *(_line(told, row) for told, row in rows)]

    def _shown(self, name: str) -> list[str]:
        return sorted(
            {f"{of or 'default'} {since}".strip() for key, of, since in self.figures if key == name}
        )

    def _known(self, name: str, of: str = "") -> Mapping[str, str]:
        if name not in self.names:
            raise unknown_name("figure", name, self.names)
        kind = self.names[name]["of"]
        if of and of != kind:
            raise InputError(
                f"`{name}` is a figure of a {kind}; expected one of a {of}. Ask by {kind} instead."
            )
        return self.names[name]

    def _countries(self, countries: Sequence[str]) -> list[str]:
        codes = [countries] if isinstance(countries, str) else list(countries)
        for place, code in enumerate(codes):
            if code not in labels.countries():
                raise unknown_name(
                    "country", code, labels.countries(), "Codes of ISO 3166 alpha-3 are understood."
                )
            if code in codes[:place]:
                raise InputError(f"The country `{code}` is given twice. Name each once.")
        return codes


def _end(end: End) -> End:
    if end not in ("value", "low", "high"):
        raise unknown_name("end of a range", end, ("value", "low", "high"))
    return end


def _line(told: str, row: Figure) -> str:
    return f"  {told:<24}{row.value:>9.4g}  {row.low:g} to {row.high:g}  {row.verification}"


def _day(on: "str | datetime.date") -> str:
    try:
        return datetime.date.fromisoformat(str(on)).isoformat()
    except ValueError:
        raise InputError(f"`{on}` is no day; expected one as 2024-10-15.") from None


# Reading -----------------------------------------------------------------------------------------------------


@cache
def _shipped() -> Positions:
    text = (labels.DATA / "capital_2022.yaml").read_text(encoding="utf-8")
    content, tree = yaml_file.parse(text, "`capital_2022.yaml`", "row", dates_as_text=True)
    return _read({"base": "none", **content}, tree, "`capital_2022.yaml`")


@cache
def _sources() -> dict[str, dict[str, str]]:
    text = (labels.DATA / "capital_2022.yaml").read_text(encoding="utf-8")
    return yaml_file.parse(text, "`capital_2022.yaml`", "row", dates_as_text=True)[0]["sources"]


def _read(content: Any, tree: Any, shown: str) -> Positions:
    """A file's content, laid over the shipped one unless its `base` is `none`."""

    def place(keys: yaml_file.KeyPath) -> str:
        return f"{shown}, line {yaml_file.line(tree, keys)}" if tree is not None else shown

    rules = yaml_file.schema(labels.DATA / "capital.schema.json")
    yaml_file.check(content, tree, rules, place, model="`capital_2022.yaml`")
    base = None if content.get("base") == "none" else _shipped()
    names = {**(base.names if base else {}), **content.get("names", {})}
    sources = {**_sources(), **content.get("sources", {})}
    stocks: dict[Key, Figure] = {}
    for k, row in enumerate(content.get("positions", ())):
        where = place(["positions", k])
        _refuse_unknown_country(row["owner"], row["host"], where=where)
        key = (row["owner"], row["host"], row["basis"])
        _add(stocks, key, _figure(row, "USD billion", sources, where), where)
    figures: dict[Key, Figure] = {}
    for k, row in enumerate(content.get("figures", ())):
        where = place(["figures", k])
        key, unit = _about(row, names, where)
        _add(figures, key, _figure(row, unit, sources, where), where)
    if base is None:
        return Positions(stocks, figures, names)
    replaced = {key[:2] for key in figures}  # a user's rows of a thing replace all its days
    kept = {key: row for key, row in base.figures.items() if key[:2] not in replaced}
    return Positions({**base.stocks, **stocks}, {**kept, **figures}, names)


def _about(row: Mapping[str, Any], names: Mapping[str, Mapping[str, str]], where: str) -> tuple[Key, str]:
    """The key of a row of `figures`, and its unit."""
    if row["name"] not in names:
        raise InputError(f"{where}: {unknown_name('figure', row['name'], names)}")
    about = names[row["name"]]
    _refuse_unknown_of(about["of"], row.get("of", ""), where)
    return (row["name"], row.get("of", ""), _since(row.get("since", ""), where)), about["unit"]


def _figure(
    row: Mapping[str, Any], unit: str, sources: Mapping[str, Mapping[str, str]], where: str
) -> Figure:
    if row["source"] not in sources:
        raise InputError(
            f"{where}: {unknown_name('source', row['source'], sources, 'Add it under `sources`.')}"
        )
    value, (low, high) = float(row["value"]), map(float, row["range"])
    if not np.isfinite([value, low, high]).all() or not low <= value <= high:
        raise InputError(
            f"{where}: expected low ≤ value ≤ high, all finite; found {low:g}, {value:g}, {high:g}."
        )
    if unit.startswith("share") and high > 1:
        raise InputError(f"{where}: a share lies between 0 and 1; found up to {high:g}.")
    if unit == "years" and low == 0:
        raise InputError(f"{where}: a number of years must be above 0; found a range from 0.")
    citation = " ".join(sources[row["source"]]["citation"].split())
    return Figure(value, low, high, unit, citation, row["verification"], row.get("note", ""))


def _add(rows: dict[Key, Figure], key: Key, row: Figure, where: str) -> None:
    if key in rows:
        raise InputError(
            f"{where}: the same figure ({', '.join(filter(None, key))}) stands further up already. Remove one."
        )
    rows[key] = row


def _refuse_unknown_country(*codes: str, where: str) -> None:
    for code in codes:
        if code not in labels.countries():
            raise InputError(f"{where}: {unknown_name('country', code, labels.countries())}")


def _refuse_unknown_of(kind: str, of: str, where: str) -> None:
    if of and kind == "country":
        _refuse_unknown_country(of, where=where)
    if of and kind == "sector":
        known = {*labels.sector_groups(), *labels.with_parts(labels.sectors())}
        if of not in known:
            raise InputError(f"{where}: {unknown_name('sector or group', of, known)}")


def _since(day: str, where: str) -> str:
    try:
        return _day(day) if day else ""
    except InputError as problem:
        raise InputError(f"{where}: {problem}") from None
