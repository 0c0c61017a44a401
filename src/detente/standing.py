"""A regime on a day, as the steps of a scenario end, bring back and impose its measures."""

import datetime

import numpy as np
from numpy.typing import NDArray

from detente import labels
from detente.errors import InputError
from detente.law import LIFT_RULES
from detente.measure import Lifting, spoken
from detente.overlap import Change, Grid, codes_of

BLOC = "EU27"


class Position:
    """A regime on a day, as steps of a scenario change it.

    active: which entries of the grid are in force; ended: which of those that were are so no longer.
    """

    def __init__(self, grid: Grid, day: datetime.date):
        self.grid, self.day = grid, day
        self.active = grid.in_force(day)
        self.ended = np.zeros_like(self.active)

    def select(self, what: Lifting) -> NDArray[np.bool_]:
        """The entries that the keys of a lifting name. Raises `InputError` for unknown names."""
        grid = self.grid
        measures = grid.measures
        named = np.isin(grid.sender, grid.places(what.by)) & np.isin(grid.target, grid.places(what.on))
        named &= np.isin(grid.sector, grid.goods(what.sectors))
        if what.direction != "both":
            named &= grid.export == (what.direction == "exports")
        rules, package, id = what.rules(), what.package, what.id
        wanted = [
            (not rules or m.lift_rule.rule in rules)
            and (package is None or m.package == package)
            and id in ("", m.id)
            for m in measures
        ]
        named &= np.array(wanted)[grid.measure]
        if what.instrument:
            kinds = [{reading.instrument for reading in m.reading} for m in measures]
            named &= np.array([what.instrument in kind for kind in kinds])[grid.measure]
        return named

    def end(self, what: Lifting) -> bool:
        """End what a lifting names; whether that is anything. Raises `InputError` for a member of a bloc alone."""
        ends = self.select(what) & self.active
        self._refuse_part_of_bloc(what, ends)
        self.active &= ~ends
        self.ended |= ends
        return bool(ends.any())

    def restore(self, what: Lifting) -> bool:
        """Bring back what was ended and the keys name; whether that is anything."""
        back = self.select(what) & self.ended
        self._refuse_part_of_bloc(what, back)
        self.active |= back
        self.ended &= ~back
        return bool(back.any())

    def ending_after(self, until: datetime.date) -> None:
        """Raises `InputError` for a suspension that is over on the day of the regime."""
        if until < self.day:
            raise InputError(
                f"the suspension is over on {spoken(until)}, before the day of the regime, {spoken(self.day)}. "
                "Mend one of the dates."
            )

    def holds(self, what: Lifting) -> bool:
        """Whether the keys name anything that is in force, or was."""
        return bool((self.select(what) & (self.active | self.ended)).any())

    def impose(self, id: str) -> None:
        """Bring a measure of the catalogue into force. Raises `InputError` where it is unknown, or in force."""
        measure = self.grid.catalogue[id]
        entries = self.grid.named([id])
        if not entries.any():
            why = measure.no_reading or "none of its countries or sectors are in this world"
            raise InputError(
                f"the measure `{id}` cuts no trade here: {why.rstrip('.')}. Leave this step out."
            )
        if (entries & self.active).any():
            raise InputError(
                f"the measure `{id}` is in force already on {spoken(self.day)}. Remove this step."
            )
        self.active |= entries
        self.ended &= ~entries

    def ids(self) -> list[str]:
        """Ids of the measures that are in force with a part of them at least, or were."""
        found = np.unique(self.grid.measure[self.active | self.ended])
        return [self.grid.measures[m].id for m in found]

    def explain_absence(self, id: str) -> None:
        """Raises `InputError` for a measure of the catalogue that is not among `ids`, saying why."""
        for measure in self.grid.catalogue:
            if measure.id == id:
                why = (
                    measure.no_reading
                    or f"it is not in force on {spoken(self.day)}: {measure.state(self.day)}"
                )
                raise InputError(
                    f"the measure `{id}` cuts no trade here: {why.rstrip('.')}. Leave this step out."
                )

    def change(
        self, absent: NDArray[np.bool_] | None = None, elasticity: NDArray[np.float64] | None = None
    ) -> Change:
        """The change against the data year; `absent` and `elasticity` as in `Grid.change`."""
        return self.grid.change(self.active, absent, elasticity)

    def change_within(
        self, absent: NDArray[np.bool_] | None = None, elasticity: NDArray[np.float64] | None = None
    ) -> Change:
        """The same on the cells of the grid's `reach` alone, `absent` too."""
        return self.grid.change_within(self.active, absent, elasticity)

    def _refuse_part_of_bloc(self, what: Lifting, named: NDArray[np.bool_]) -> None:
        grid = self.grid
        of_bloc = np.array([measure.sender == BLOC for measure in grid.measures])[grid.measure]
        if not (named & of_bloc).any():
            return
        acting = set(grid.places(what.by).tolist())
        members = {grid.fine[0].index(code) for code in codes_of((BLOC,), grid.fine[0])}
        if not members <= acting:
            alone = labels.country_name(grid.fine[0][min(members & acting)])
            measure = grid.measures[int(grid.measure[named & of_bloc][0])]
            raise InputError(
                f"{alone} cannot end or bring back alone what the EU27 acts on as one, as `{measure.id}` "
                f"({measure.lift_rule.who}: {LIFT_RULES[measure.lift_rule.rule]}). Write `by: EU27`, or a group "
                "with all its members, as `coalition`."
            )
