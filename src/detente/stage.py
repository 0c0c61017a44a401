"""What is in force while the steps of a scenario are taken, and the shock that it comes to.

Masks over [importer, exporter, sector] that later steps change in place.
"""

import datetime
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detente import labels, sizes
from detente.acts import Imposition, Keeping, Snapback, Suspension
from detente.board import Board
from detente.errors import InputError, unknown_name
from detente.law import as_date
from detente.measure import Lifting, Measure
from detente.menu import Rule
from detente.regime import Position, Regime
from detente.shock import Shock
from detente.steps import Step

if TYPE_CHECKING:
    from jax import Array

    from detente.economy import Economy


class _Imposed(NamedTuple):
    """A measure, the cells it was imposed on, those where it is in force, and those where it was lifted."""

    measure: Measure
    reach: NDArray[np.bool_]
    in_force: NDArray[np.bool_]
    lifted: NDArray[np.bool_]


def _impose(measure: Measure, imposed: list[_Imposed], economy: "Economy") -> None:
    reach = measure.cells(economy.countries, economy.sectors)
    for earlier, its_reach, in_force, lifted in imposed:
        same = (earlier.instrument, earlier.size) == (measure.instrument, measure.size)
        if same and (its_reach == reach).all() and in_force.any():
            raise InputError(f"this measure is in force already and would count twice: {measure} Remove one.")
        if measure.in_data and earlier.in_data and (lifted & reach).any():
            raise InputError(
                "the part of a cut that the data year shows was given back by the lifting of an earlier "
                f"measure of these flows, so it cannot be in the data again: {measure} Leave out `in_data`."
            )
    imposed.append(_Imposed(measure, reach, reach.copy(), np.zeros_like(reach)))


class Stage:
    """What is in force while steps are taken: measures of the scenario, and the position of the regime."""

    def __init__(self, economy: "Economy", regime: datetime.date | None, cuts: sizes.Position):
        self.economy, self.cuts = economy, cuts
        self.imposed: list[_Imposed] = []
        self.board = Board(economy, cuts)
        self.law: Position | None = None
        if regime is not None:
            self.law = Regime.load().at(regime, economy.countries, economy.sectors, sizes=cuts)

    def do(self, step: Step) -> None:
        """Take one step but a keeping, which comes after all. Raises `InputError`."""
        if isinstance(step, Measure):
            size = sizes.placed(step.size, step.range, self.cuts)
            _impose(replace(step, size=size), self.imposed, self.economy)
        elif isinstance(step, Rule):
            self.board.impose(step)
        elif isinstance(step, Imposition):
            self._with_regime("`impose`").impose(step.id)
        else:
            self._act(step)

    def _act(self, step: Lifting) -> None:
        if step.rules() or step.package is not None:
            self._with_regime("`authority` or `package`")
        if isinstance(step, Suspension) and self.law:
            self.law.ending_after(as_date(step.until))
        ids = [entry.measure.id for entry in self.imposed if entry.measure.id]
        ids += self.board.ids() + (self.law.ids() if self.law else [])
        if step.id and step.id not in ids:
            if self.law:
                self.law.explain_absence(step.id)
            raise unknown_name("measure with the id", step.id, ids)
        if isinstance(step, Keeping):
            done, verb = self._holds(step), "keeps"
        elif isinstance(step, Snapback):
            done, verb = self.restore(step), "brings back"
        else:
            done, verb = self._end(step), "ends"
        if not done:
            noun = "lifting" if verb == "ends" else "step"
            raise InputError(
                f"this {noun} {verb} nothing: {step} Compare its keys with the measures before it "
                "(`detente show` prints them)."
            )

    def _with_regime(self, what: str) -> Position:
        if self.law is None:
            raise InputError(
                f"{what} speaks of measures of the catalogue, and this scenario has none in force. Add "
                "`regime: {as-of: 2025-02-17}`, or a base that has it."
            )
        return self.law

    def _cells(self, step: Lifting, measure: Measure) -> NDArray[np.bool_]:
        return step.cells(measure, self.economy.countries, self.economy.sectors)

    def _end(self, step: Lifting) -> bool:
        done = self.board.end(step) | bool(self.law and self.law.end(step))
        for measure, _, in_force, lifted in self.imposed:
            ends = self._cells(step, measure) & in_force
            lifted |= ends
            in_force &= ~ends
            done = done or bool(ends.any())
        return done

    def restore(self, step: Lifting) -> bool:
        """Bring back what was lifted, as far as the step names it; whether that is anything."""
        done = self.board.restore(step) | bool(self.law and self.law.restore(step))
        for measure, _, in_force, lifted in self.imposed:
            back = self._cells(step, measure) & lifted
            in_force |= back
            lifted &= ~back
            done = done or bool(back.any())
        return done

    def _holds(self, step: Lifting) -> bool:
        own = any((self._cells(step, m) & (now | gone)).any() for m, _, now, gone in self.imposed)
        return own or self.board.holds(step) or bool(self.law and self.law.holds(step))

    def senders(self, target: str) -> frozenset[str]:
        """Codes of the countries that have a measure on trade with `target` in force."""
        countries = self.economy.countries
        found, at = set(), countries.index(target)
        if self.law is not None:
            grid = self.law.grid
            on = np.zeros(len(grid.fine[0]), bool)
            on[grid.places([target])] = True
            found = grid.home(grid.sender[self.law.active & on[grid.target]]) - {target}
        for measure, _, in_force, _ in self.imposed:
            for code in set(labels.resolve_countries(measure.by, list(countries))) - {target}:
                n = countries.index(code)
                if in_force[n, at].any() or in_force[at, n].any():
                    found.add(code)
        return frozenset(found)

    def shock(self, name: str) -> Shock:
        """All that is in force as one shock."""
        shape = self.economy.trade_share.shape
        weight, cost, blocked = np.ones(shape), np.ones(shape), np.zeros(shape, bool)
        taxes = {"tariff": self.economy.tariff, "export-tax": self.economy.export_tax}
        duties = {kind: np.zeros(shape) if rate is None else np.array(rate) for kind, rate in taxes.items()}
        entry = np.zeros(shape)
        if self.law:
            self._regime((weight, cost, blocked, entry), duties, taxes)
        for measure, _, in_force, lifted in self.imposed:
            size = measure.size or 0.0
            if measure.instrument == "cut":
                left = np.where(entry > 0, 1.0, 1 - measure.in_data)
                weight[in_force] *= (1 - size) / left[in_force]
                weight[lifted] /= left[lifted]
            elif measure.instrument == "ban":
                blocked |= in_force
            elif measure.instrument == "cost":
                cost[in_force] *= 1 + size
            else:
                duties[measure.instrument][in_force] += size
        cost = self.board.cost(cost)
        used = {entry.measure.instrument for entry in self.imposed}
        law = self.law is not None
        return Shock(
            trade_cost_change=cost if "cost" in used or (cost != 1).any() else None,
            blocked=blocked if "ban" in used or blocked.any() else None,
            tariff_new=duties["tariff"] if "tariff" in used or (law and duties["tariff"].any()) else None,
            export_tax_new=(
                duties["export-tax"] if "export-tax" in used or (law and duties["export-tax"].any()) else None
            ),
            weight_change=weight if "cut" in used or law else None,
            entry=entry if entry.any() else None,
            instruments=self.board.instruments(),
            name=name,
        )

    def _regime(
        self,
        onto: tuple[NDArray, NDArray, NDArray, NDArray],
        duties: dict[str, NDArray],
        taxes: dict[str, "Array | None"],
    ) -> None:
        """What the regime makes of weight, cost, bans, entry and duties that are still the baseline's, where it reaches."""
        from detente.gravity import unsanctioned_share

        assert self.law is not None
        reach = self.law.grid.reach
        expected = unsanctioned_share(self.economy).reshape(-1)[reach]
        expected = np.where(np.asarray(self.economy.trade_share).reshape(-1)[reach] == 0, expected, np.nan)
        change = self.law.change_within(~np.isnan(expected), np.asarray(self.economy.trade_elasticity))
        entry = np.nan_to_num(expected) * change.eased
        new = entry > 0  # what the prediction without measures is, no data year has made smaller
        weight = np.where(new, 1.0, change.weight)
        cost = np.where(new, change.cost * change.cost_in_data, change.cost)
        for kind, now, shown in [
            ("tariff", change.duty, change.duty_in_data),
            ("export-tax", change.export_tax, change.export_tax_in_data),
        ]:
            shown, flat = np.where(new, 0.0, shown), duties[kind].reshape(-1)
            if taxes[kind] is None:  # no revenue in the table: the data year's rate is in its trade costs
                cost = cost / (1 + shown)
                flat[reach] += now
            else:
                flat[reach] = np.maximum(flat[reach] + now - shown, np.minimum(flat[reach], 0))
        for array, values in zip(onto, (weight, cost, change.blocked, entry), strict=True):
            array.reshape(-1)[reach] = values
