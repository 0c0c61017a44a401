"""Overlapping measures as arrays: what is in force for a world, and the change it makes to the data year.

`Grid` holds the readings of a catalogue for the codes of a world; what is in force (`detente.standing`) becomes a
`Change`. The rules stand in docs/regime.md.
"""

import copy
import datetime
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from detente import labels
from detente.catalogue import Catalogue
from detente.errors import InputError
from detente.law import IN_FORCE, Reading
from detente.sizes import CENTRAL, between

KINDS = ("quantity", "duty", "export-tax", "cost")
CHANNELS = ("trade", "finance", "transport")
SHUT = 0.9  # a sender's own cut from which on its duty on the same flow does not count: what may not come pays none
ONES = (
    "weight",
    "cost",
    "cost_in_data",
)  # fields of `Change` that are 1 where nothing is changed, others are nil
Countries = Sequence[str]


@dataclass(frozen=True)
class Change:
    """What a regime does to the data year's trade, each an array over [importer, exporter, sector], or of cells of it.

    weight: factor on the trade weight, today's remainder over the data year's mean remainder, 1 where blocked.
    blocked: nothing is left. cost: factor on trade costs. duty, export_tax: rates in force, in points.
    cost_in_data, duty_in_data, export_tax_in_data: the mean factor and rates of the data year (`Grid.change`).
    eased: by how much today's remainder exceeds the data year's mean one, 0 where it does not.
    """

    weight: NDArray[np.float64]
    blocked: NDArray[np.bool_]
    eased: NDArray[np.float64]
    cost: NDArray[np.float64]
    cost_in_data: NDArray[np.float64]
    duty: NDArray[np.float64]
    export_tax: NDArray[np.float64]
    duty_in_data: NDArray[np.float64]
    export_tax_in_data: NDArray[np.float64]


class Grid:
    """The readings of a catalogue as flat arrays for a world: one entry a reading and a flow it acts on.

    Entries are ordered by kind, flow, channel and border, so that the largest of a family is one `reduceat`, and
    what compounds another. A world of fewer codes (the tiny one) is worked out on the embedded table and averaged
    by the flows of that table. sizes: where in its range each size is taken (`sizes.CUTS`). reach: flat indices of
    [importer, exporter, sector], in order, outside of which nothing is ever changed.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        countries: Countries,
        sectors: Countries,
        data_year: int,
        sizes: str = CENTRAL,
    ):
        self.catalogue, self.sizes = catalogue, sizes
        self.countries, self.sectors = list(countries), list(sectors)
        self._refine()
        self.measures = [measure for measure in catalogue if measure.reading]
        parts = [
            self._entries(m, r)
            for m, measure in enumerate(self.measures)
            for r in range(len(measure.reading))
        ]
        measure, size, shown, kind, channel, border, cell, sender, target, sector = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        if not len(cell):
            raise InputError("No measure of the catalogue acts on a flow of this world.")
        cells = int(np.prod(self.fine_shape))
        key = ((kind * cells + cell) * len(CHANNELS) + channel) * 2 + border
        order = np.argsort(key, kind="stable")
        self.measure, self.size, self.cell = measure[order], size[order], cell[order]
        self.export, self.sender, self.target = border[order] == 1, sender[order], target[order]
        self.sector, self._shown = sector[order], shown[order]
        family, self._families = np.unique(key[order], return_index=True)
        place = family // (2 * len(CHANNELS))
        self._sign = np.where(place // cells == 0, -1.0, 1.0)
        self._gate(place // cells, place % cells * 2 + family % 2)
        place, self._places = np.unique(place, return_index=True)
        self.kind_of, self._cell_of = place // cells, place % cells
        every = np.arange(len(self.countries) ** 2 * len(self.sectors))
        self.reach = np.unique(self.cell) if self._flows is None else every
        self._spells, self._in_spell = self._spells_of(data_year)
        self._weigh_year()

    def between(self, low: "Grid", high: "Grid", at: float) -> "Grid":
        """This grid of central sizes with sizes at `at`, from 0 to 1, of ranges whose ends `low` and `high` have."""
        made = copy.copy(self)
        made.size = between(low.size, self.size, high.size, at)
        made._weigh_year()
        return made

    def _weigh_year(self) -> None:
        """`factors` in each spell of the data year, and their means over its days."""
        sizes = np.where(self._in_spell, self.size, 0.0)
        self._year = self.factors(np.where(np.isnan(self._shown), sizes, self._shown))
        self.in_data = self._spells @ self._year

    def _gate(self, kind: NDArray[np.int_], border: NDArray[np.int_]) -> None:
        """For families of these kinds and borders of a flow: the cuts at each border, and the taxes behind them."""
        cuts, taxes = np.flatnonzero(kind == 0), np.flatnonzero((kind == 1) | (kind == 2))
        self._cuts = cuts[np.argsort(border[cuts], kind="stable")]
        shut, self._cuts_from = np.unique(border[self._cuts], return_index=True)
        behind = np.isin(border[taxes], shut)
        self._taxes = taxes[behind]
        self._cut_of_tax = np.searchsorted(shut, border[self._taxes])

    def _refine(self) -> None:
        """Codes to work with, and where each belongs: the world's own, or those of the embedded table."""
        known = labels.countries().keys(), labels.sectors().keys()
        for kind, codes, names in (("country", self.countries, known[0]), ("sector", self.sectors, known[1])):
            for code in codes:
                if code not in names:
                    raise InputError(
                        f"The world has the {kind} `{code}`, which the measures of the catalogue do not know: they "
                        f"are stated on the {kind} codes of the embedded table (`detente world --codes`). Use "
                        "these codes, or a scenario with measures of its own."
                    )
        self._flows: NDArray | None = None
        self.fine = self.countries, self.sectors
        if labels.stand_ins() & {*self.countries, *self.sectors}:
            from detente.world import World

            table = World.load()
            self.fine = list(table.countries), list(table.sectors)
            trade = table.data["final_trade"] + table.data["intermediate_trade"]
            self._flows = np.ascontiguousarray(trade.transpose("importer", "exporter", "sector").to_numpy())
        self.fine_shape = len(self.fine[0]), len(self.fine[0]), len(self.fine[1])
        self._country_in = np.array([self._home(code, self.countries) for code in self.fine[0]])
        self._sector_in = np.array([self._home(code, self.sectors) for code in self.fine[1]])
        if self._flows is not None:
            pair = self._country_in[:, None] * len(self.countries) + self._country_in
            self._coarse_cell = (pair[:, :, None] * len(self.sectors) + self._sector_in).ravel()
            self._total = self._sum(self._flows)

    def _home(self, code: str, codes: Sequence[str]) -> int:
        """The place of a code of the embedded table in this world, by name or by what stands in for it."""
        return codes.index(code if code in codes else labels.stand_in(code, codes))

    def _entries(self, m: int, r: int) -> tuple[NDArray, ...]:
        measure, reading = self.measures[m], self.measures[m].reading[r]
        if reading.size is not None and reading.size < 0:
            raise InputError(
                f"{measure.place}: a reading of {reading.size:g} eases trade; expected at least 0."
            )
        targets = codes_of(measure.targets, self.fine[0])
        senders = [code for code in codes_of((measure.sender,), self.fine[0]) if code not in targets]
        s, t = (np.array([self.fine[0].index(code) for code in side], int) for side in (senders, targets))
        j = np.array([self.fine[1].index(code) for code in _goods(reading, self.fine[1])], int)
        sides = [k for k, way in enumerate(("exports", "imports")) if reading.direction != way]
        sender, target, sector, border = (
            part.ravel() for part in np.meshgrid(s, t, j, np.array(sides, int), indexing="ij")
        )
        importer, exporter = np.where(border, target, sender), np.where(border, sender, target)
        cell = np.ravel_multi_index((importer, exporter, sector), self.fine_shape)
        channel, kind = CHANNELS.index(reading.channel), KINDS.index(reading.family[1])
        if kind in (1, 2):
            channel = 0
        n = len(cell)
        size = np.array(reading.sizes(self.fine[1], self.sizes))[sector]
        shown = np.nan if reading.in_data is None else reading.in_data
        number, shown, kind, channel = (np.full(n, each) for each in (m, shown, kind, channel))
        return number, size, shown, kind, channel, border, cell, sender, target, sector

    def in_force(self, day: datetime.date) -> NDArray[np.bool_]:
        """Which entries are in force on that day."""
        return np.array([measure.state(day) == IN_FORCE for measure in self.measures])[self.measure]

    def named(self, ids: Collection[str]) -> NDArray[np.bool_]:
        """Which entries belong to measures of these ids."""
        return np.array([measure.id in ids for measure in self.measures])[self.measure]

    def places(self, countries: str | Iterable[str]) -> NDArray[np.int_]:
        """Places, in the table worked with, of what countries or groups of this world mean."""
        codes = labels.resolve_countries(countries, self.countries)
        return np.flatnonzero(np.isin(self._country_in, [self.countries.index(code) for code in codes]))

    def home(self, places: NDArray[np.int_]) -> set[str]:
        """The countries of this world that places in the table worked with belong to."""
        found = np.zeros(len(self._country_in), bool)
        found[places] = True
        return {self.countries[k] for k in np.unique(self._country_in[found])}

    def goods(self, sectors: str | Iterable[str]) -> NDArray[np.int_]:
        """The same for sectors."""
        codes = labels.resolve_sectors(sectors, self.sectors)
        return np.flatnonzero(np.isin(self._sector_in, [self.sectors.index(code) for code in codes]))

    def factors(self, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is left of a flow, or one plus the rate on it, by kind and flow, for sizes by entry (last axis).

        The largest of a family binds; families compound. A duty or export tax behind a cut of `SHUT` or more that the
        same sender makes at the same border is nil.
        """
        binding = np.maximum.reduceat(sizes, self._families, axis=-1)
        if self._taxes.size:
            cut = np.maximum.reduceat(binding[..., self._cuts], self._cuts_from, axis=-1)
            binding[..., self._taxes] *= cut[..., self._cut_of_tax] < SHUT
        return np.multiply.reduceat(1 + self._sign * binding, self._places, axis=-1)

    def _spells_of(self, year: int) -> tuple[NDArray, NDArray]:
        """The spells of a year without a change of law, as shares of its days, and what is in force in each of them."""
        first, after = datetime.date(year, 1, 1), datetime.date(year + 1, 1, 1)
        days = {first}
        for measure in self.measures:
            for event in measure.history:
                for moment in (event.date, event.applies):
                    days.add(moment or first)
                if event.until:
                    days.add(event.until + datetime.timedelta(1))
        starts = sorted(day for day in days if first <= day < after)
        lengths = np.diff([day.toordinal() for day in (*starts, after)])
        return lengths / lengths.sum(), np.array([self.in_force(start) for start in starts])

    def _in_spells(self, kind: int, cells: NDArray[np.int_]) -> NDArray[np.float64]:
        """The factors of a kind on flows [spell, flow], 1 where it has none."""
        own = np.flatnonzero(self.kind_of == kind)
        if not own.size:
            return np.ones((1, len(cells)))
        at = np.minimum(np.searchsorted(self._cell_of[own], cells), len(own) - 1)
        return np.where(self._cell_of[own[at]] == cells, self._year[:, own[at]], 1.0)

    def _rate_in_data(self, kind: int, elasticity: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """One plus the rate which, levied all year, leaves of each flow what the rates of the year's days left."""
        places = self.kind_of == kind
        mean, cells = self.in_data[places], self._cell_of[places]
        if elasticity is None:
            return mean
        theta = elasticity[self._sector_in][cells % len(self.fine[1])]
        before = self._in_spells(0, cells)
        if kind == 2:
            before = before * self._in_spells(1, cells) ** -theta
        after = self._spells @ (before * self._in_spells(kind, cells) ** -theta)
        before = self._spells @ np.broadcast_to(before, (len(self._spells), len(cells)))
        left = np.divide(after, before, out=mean**-theta, where=before > 0)
        return left ** (-1 / theta)

    def change(
        self,
        active: NDArray[np.bool_],
        absent: NDArray[np.bool_] | None = None,
        elasticity: NDArray[np.float64] | None = None,
    ) -> Change:
        """The change that the active entries make to the data year.

        absent [importer, exporter, sector]: flows that the table does not have, whose ratio (1 where a ban held for the
        whole data year) means nothing. elasticity [sector]: trade elasticities, at which the rates of the year's days
        become one; without them the plain mean. Raises `InputError` for any other zero to revive.
        """
        found = self.change_within(
            active, None if absent is None else absent.reshape(-1)[self.reach], elasticity
        )
        shape = len(self.countries), len(self.countries), len(self.sectors)

        def whole(name: str, elsewhere: float) -> NDArray:
            values = getattr(found, name)
            full = np.full(shape, elsewhere, values.dtype)
            full.reshape(-1)[self.reach] = values
            return full

        return Change(
            **{field.name: whole(field.name, float(field.name in ONES)) for field in fields(Change)}
        )

    def change_within(
        self,
        active: NDArray[np.bool_],
        absent: NDArray[np.bool_] | None = None,
        elasticity: NDArray[np.float64] | None = None,
    ) -> Change:
        """`change` on the cells of `reach` alone, each array and `absent` [cell]."""
        now = self.factors(np.where(active, self.size, 0.0))
        kinds = [self.kind_of == k for k in range(len(KINDS))]
        left, shown = now[kinds[0]], self.in_data[kinds[0]]
        back = (shown == 0) & (left > 0)
        self._refuse_revival(back, absent)
        ratio = np.divide(left, shown, out=back.astype(float), where=shown > 0)
        weight = self._within(ratio, 0)
        blocked = weight == 0
        rates = {
            k: (self._within(now[kinds[k]], k) - 1, self._within(self._rate_in_data(k, elasticity), k) - 1)
            for k in (1, 2)
        }
        return Change(
            weight=np.where(blocked, 1.0, weight),
            blocked=blocked,
            eased=self._within(np.maximum(left - shown, 0), 0, elsewhere=0),
            cost=self._within(now[kinds[3]] / self.in_data[kinds[3]], 3),
            cost_in_data=self._within(self.in_data[kinds[3]], 3),
            duty=rates[1][0],
            export_tax=rates[2][0],
            duty_in_data=rates[1][1],
            export_tax_in_data=rates[2][1],
        )

    def _refuse_revival(self, back: NDArray[np.bool_], absent: NDArray[np.bool_] | None) -> None:
        """Flows of the table that were nil in all of the data year by law, and would come back."""
        cells = self._cell_of[self.kind_of == 0][back]
        if absent is not None and self._flows is None:
            cells = cells[~absent[np.searchsorted(self.reach, cells)]]
        if len(cells):
            n, i, j = np.unravel_index(cells[0], self.fine_shape)
            raise InputError(
                f"A ban held for the whole data year on {labels.sector_name(self.fine[1][j])} from "
                f"{labels.country_name(self.fine[0][i])} to {labels.country_name(self.fine[0][n])}, so the table "
                "has nothing to bring back. State it as a cut below 1, or keep it in force."
            )

    def _within(self, values: NDArray[np.float64], kind: int, elsewhere: float = 1.0) -> NDArray[np.float64]:
        """`spread` on the cells of `reach` alone."""
        if self._flows is not None:
            return self.spread(values, kind, elsewhere).reshape(-1)
        full = np.full(len(self.reach), float(elsewhere))
        full[np.searchsorted(self.reach, self._cell_of[self.kind_of == kind])] = values
        return full

    def spread(self, values: NDArray[np.float64], kind: int, elsewhere: float = 1.0) -> NDArray[np.float64]:
        """Values of one kind over [importer, exporter, sector] of the world, `elsewhere` on all other flows."""
        full = np.full(self.fine_shape, float(elsewhere))
        full.reshape(-1)[self._cell_of[self.kind_of == kind]] = values
        return self.coarse(full)

    def coarse(self, full: NDArray[np.float64]) -> NDArray[np.float64]:
        """An array of the table worked with, averaged by flows over the codes of this world."""
        if self._flows is None:
            return full
        mean, total = np.ones_like(self._total), self._total
        return np.divide(self._sum(self._flows * full), total, out=mean, where=total > 0)

    def _sum(self, full: NDArray[np.float64]) -> NDArray[np.float64]:
        shape = len(self.countries), len(self.countries), len(self.sectors)
        return np.asarray(np.bincount(self._coarse_cell, full.ravel(), np.prod(shape)), float).reshape(shape)


def codes_of(names: Sequence[str], world: Sequence[str]) -> list[str]:
    """Countries of a world among those that names and groups of law mean; others are left out."""
    meant = set(labels.resolve_countries(names, list(labels.countries())))
    return [code for code in world if code in meant]


def _goods(reading: Reading, world: Sequence[str]) -> list[str]:
    meant = set(labels.with_parts(labels.resolve_sectors(reading.sectors, list(labels.sectors()))))
    return [code for code in world if code in meant and reading.touches(code)]
