"""The regime: the catalogue's measures on a day, who can end them, and what they leave of trade.

`Regime.on(day)` says which measures are in force. `Regime.at(day, countries, sectors)` gives a `Position`, in
which measures can be ended, brought back or imposed, and which becomes a `Change`: arrays over
[importer, exporter, sector]. How overlapping measures combine is documented in docs/regime.md.
"""

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detente.catalogue import Catalogue, load_catalogue
from detente.law import LIFT_RULES, LegalMeasure, as_date
from detente.overlap import Change, Countries, Grid
from detente.sizes import CENTRAL, CUTS
from detente.sizes import Position as Place
from detente.sizes import position as place_of
from detente.standing import Position

DATA_YEAR = 2022
__all__ = ["Authority", "Change", "Position", "Regime", "State"]


class Authority(NamedTuple):
    """What one sender can end in one way. days: the shortest and longest wait among these measures."""

    sender: str
    rule: str
    who: tuple[str, ...]
    days: tuple[int, int]
    measures: tuple[LegalMeasure, ...]


@dataclass(frozen=True)
class State:
    """The measures in force on a day."""

    date: datetime.date
    measures: tuple[LegalMeasure, ...]

    def by_authority(self) -> tuple[Authority, ...]:
        """The measures by sender and lift rule, in the order of senders and of `law.LIFT_RULES`."""
        groups: dict[tuple[str, str], list[LegalMeasure]] = {}
        for measure in self.measures:
            groups.setdefault((measure.sender, measure.lift_rule.rule), []).append(measure)
        senders, rules = list(dict.fromkeys(measure.sender for measure in self.measures)), list(LIFT_RULES)
        order = sorted(groups, key=lambda key: (senders.index(key[0]), rules.index(key[1])))
        return tuple(_authority(*key, groups[key]) for key in order)


@dataclass(frozen=True, eq=False)
class Regime:
    """The measures of a catalogue as an economic regime."""

    catalogue: Catalogue
    _grids: dict[tuple[Countries, Countries, int, str], "Grid"] = field(default_factory=dict, repr=False)
    _between: dict[tuple[Countries, Countries, int, float], "Grid"] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, folder: str | Path | None = None) -> "Regime":
        """The regime of the shipped catalogue, or of a folder of the user's own. Raises `InputError`."""
        return _shipped() if folder is None else cls(load_catalogue(folder))

    def on(self, day: datetime.date | str) -> State:
        """What is in force on that day."""
        when = as_date(day)
        return State(when, self.catalogue.on(when).measures)

    def at(
        self,
        day: datetime.date | str,
        countries: Countries,
        sectors: Countries,
        *,
        data_year: int = DATA_YEAR,
        sizes: Place = CENTRAL,
    ) -> "Position":
        """The regime of that day for these countries and sectors, sizes where `sizes` puts them in their ranges.

        Raises `InputError` for codes it does not know.
        """
        return Position(self._grid(countries, sectors, data_year, sizes), as_date(day))

    def weight(
        self,
        countries: Countries,
        sectors: Countries,
        *,
        on: datetime.date | str,
        data_year: int = DATA_YEAR,
        without: Collection[str] = (),
        only: Collection[str] | None = None,
        lifted_for: Mapping[str, Collection[str]] | None = None,
    ) -> NDArray[np.float64]:
        """Trade weight relative to the data year, w(on) / mean of w over its days [importer, exporter, sector].

        without: ids taken out; only: no others count; lifted_for: {id: codes of senders for whom it is lifted}.
        0 where nothing is left. Raises `InputError` for an id that the catalogue does not have.
        """
        at = self.at(on, countries, sectors, data_year=data_year)
        grid = at.grid
        for id in {*without, *(only or ()), *(lifted_for or ())}:
            self.catalogue[id]
        off = grid.named(without)
        if only is not None:
            off |= ~grid.named(only)
        for id, senders in (lifted_for or {}).items():
            off |= grid.named([id]) & np.isin(grid.sender, grid.places(senders))
        at.active &= ~off
        change = at.change()
        return np.where(change.blocked, 0.0, change.weight)

    def baseline_free(
        self, countries: Countries, sectors: Countries, *, data_year: int = DATA_YEAR
    ) -> NDArray[np.float64]:
        """The mean trade weight of the data year: what is left of trade without any measure in its flows."""
        grid = self._grid(countries, sectors, data_year)
        return grid.spread(grid.in_data[grid.kind_of == 0], 0)

    def cells(self, ids: Collection[str], countries: Countries, sectors: Countries) -> NDArray[np.bool_]:
        """The flows that measures of these ids act on, over [importer, exporter, sector]."""
        grid = self._grid(countries, sectors, DATA_YEAR)
        for id in ids:
            self.catalogue[id]
        mask = np.zeros(grid.fine_shape)
        mask.reshape(-1)[grid.cell[grid.named(ids)]] = 1
        return grid.coarse(mask) > 0

    def _grid(
        self, countries: Countries, sectors: Countries, data_year: int, sizes: Place = CENTRAL
    ) -> "Grid":
        at = place_of(sizes)
        world = tuple(countries), tuple(sectors), data_year
        if not isinstance(at, str):  # the last one alone is kept: draws of a position would fill the memory
            if (*world, at) not in self._between:
                low, central, high = (self._grid(countries, sectors, data_year, word) for word in CUTS)
                self._between.clear()
                self._between[*world, at] = central.between(low, high, at)
            return self._between[*world, at]
        key = *world, at
        if key not in self._grids:
            self._grids[key] = Grid(self.catalogue, *key)
        return self._grids[key]


@cache
def _shipped() -> Regime:
    return Regime(load_catalogue())


def _authority(sender: str, rule: str, measures: Sequence[LegalMeasure]) -> Authority:
    who = tuple(dict.fromkeys(measure.lift_rule.who for measure in measures))
    waits = [measure.lift_rule.days for measure in measures]
    days = min(low for low, _ in waits), max(high for _, high in waits)
    return Authority(sender, rule, who, days, tuple(measures))
