"""Which measures hold in which year: dated by the catalogue up to a scenario's day, and by the scenario from then on.

A year is the situation of its 1 July. Before the day of a scenario's regime it is that of the catalogue; from that year
on it is the scenario's own, in which suspensions end on their last day. `lifted_in` puts the scenario's steps off: until
then the situation compared with holds. `then` names scenarios that take over from a year on.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from detente.acts import Suspension
from detente.errors import InputError
from detente.law import as_date
from detente.scenario import BASELINE, Scenario
from detente.shock import Shock

if TYPE_CHECKING:
    from detente.economy import Economy


@dataclass(frozen=True, eq=False)
class Moment:
    """One year: its situation by name, the shock that it is, and who has measures on the target in force."""

    year: int
    name: str
    shock: Shock
    senders: frozenset[str]


class Calendar:
    """The situations of an economy by year; each is made once. target: the country that measures are about."""

    def __init__(self, economy: "Economy", target: str):
        self.economy, self.target = economy, target
        self._made: dict[str, tuple[Shock, frozenset[str]]] = {}

    def moments(
        self,
        scenario: Scenario,
        years: Sequence[int],
        *,
        before: Scenario | None = None,
        lifted_in: int | None = None,
        then: Mapping[int, Scenario] | None = None,
    ) -> list[Moment]:
        """The years of a scenario. before: the situation compared with, which holds until `lifted_in`.

        Raises `InputError` for a scenario with outcomes and what `Scenario.shock` raises.
        """
        return [self._moment(year, scenario, before, lifted_in, then or {}) for year in years]

    def _moment(
        self,
        year: int,
        scenario: Scenario,
        before: Scenario | None,
        lifted_in: int | None,
        then: Mapping[int, Scenario],
    ) -> Moment:
        day = datetime.date(year, 7, 1)
        later = [start for start in then if start <= year]
        if later:
            return self._of(year, on_day(then[max(later)], day))
        known = scenario.regime or (before.regime if before is not None else None)
        if known is not None and year < known.year:
            return self._of(year, self._catalogue(day, scenario))
        if lifted_in is not None and year < lifted_in:
            return self._of(year, on_day(before or Scenario(BASELINE), day))
        return self._of(year, on_day(scenario, day))

    def _catalogue(self, day: datetime.date, scenario: Scenario) -> Scenario:
        return Scenario(
            name=f"catalogue {day}",
            as_of=day,
            focus=scenario.focus,
            cuts=scenario.cuts,
            evasion=scenario.evasion,
        )

    def _of(self, year: int, scenario: Scenario) -> Moment:
        key = repr(scenario)
        if key not in self._made:
            if scenario.steps():
                stage = scenario.staged(self.economy)
                self._made[key] = scenario.shock(self.economy, stage), stage.senders(self.target)
            else:
                self._made[key] = Shock(name=scenario.name), frozenset()
        return Moment(year, scenario.name, *self._made[key])


def on_day(scenario: Scenario, day: datetime.date) -> Scenario:
    """The scenario without the suspensions that are over on that day, its base's too."""
    kept = [
        step for step in scenario.measures if not (isinstance(step, Suspension) and as_date(step.until) < day)
    ]
    base = None if scenario.base is None else on_day(scenario.base, day)
    if len(kept) == len(scenario.measures) and base is scenario.base:
        return scenario
    return replace(scenario, measures=kept, base=base)


def span(first: int, last: int, earliest: int = 2022) -> list[int]:
    """The years from first to last. Raises `InputError` where there are none or the catalogue does not reach back."""
    if not earliest <= first < last <= first + 200:
        raise InputError(
            f"A path from {first} to {last}: expected a first year of {earliest} (the data year) or later, and a "
            "later last year, as 2022 and 2035."
        )
    return list(range(first, last + 1))
