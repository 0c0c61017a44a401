"""Where quantities are computed: every situation solved once, the catalogue and the ledger at hand.

Kinds of the model are computed at each `Setting`; kinds of the record (measures, days, topics, agreed) are
counted once. docs/study.md lists them.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from detente.bench_game import GAME
from detente.bench_path import PATH
from detente.bench_trade import TRADE
from detente.calibration import calibrate
from detente.catalogue import Catalogue, load_catalogue
from detente.course import Settings as Pace
from detente.departure import Departure
from detente.economy import Economy
from detente.equilibrium import TOLERANCE, Equilibrium, solve
from detente.errors import DetenteError, InputError, unknown_name
from detente.evidence import Ledger, load_ledger
from detente.outcome import Outcome
from detente.positions import End
from detente.quantity import Quantity, Setting
from detente.record import RECORD
from detente.scenario import Scenario
from detente.senders import Coalition, coalition
from detente.shock import Shock
from detente.sizes import CENTRAL, Position
from detente.standoff import Standoff
from detente.transition import Transition, simulate_path
from detente.world import World

COALITIONS = 1e-9  # tolerance of their equilibria: a thousand of them a setting
YEARS = range(2022, 2036)  # of paths
ENDS: dict[Position, End] = {"low": "low", "high": "high"}  # of the figures on capital, with those of sizes
MODEL: dict[str, Callable[..., float]] = TRADE | GAME | PATH


@dataclass
class Bench:
    """Economies, scenarios, catalogue and ledger that quantities are taken of; all solved once and kept.

    readings: {name: {scenario: what stands for it under that reading}}; scenarios: those the study defines; grids: other
    settings, by the name by which quantities ask for them.
    """

    settings: Sequence[Setting]
    readings: Mapping[str, Mapping[str, Any]]
    scenarios: Mapping[str, Mapping[str, Any]]
    grids: Mapping[str, Sequence[Setting]] = field(default_factory=dict)
    world: World = field(default_factory=World.load)
    catalogue: Catalogue = field(default_factory=load_catalogue)
    ledger: Ledger = field(default_factory=load_ledger)

    def __post_init__(self):
        self._economies: dict[tuple[str, str, str, str | None], Economy] = {}
        self._worlds: dict[str | None, World] = {None: self.world}
        self._sides: dict[tuple[Setting, str], Solved] = {}
        self._outcomes: dict[tuple[Setting, str, str], Outcome] = {}
        self._coalitions: dict[tuple[Setting, str], Coalition] = {}
        self._transitions: dict[tuple[Any, ...], Transition] = {}
        self._standoffs: dict[tuple[Setting, str], Standoff] = {}
        self._departures: dict[tuple[Setting, str, tuple[str, ...]], Departure] = {}
        self._values: dict[tuple[str, Setting], float] = {}
        self._account = Account()

    def outcome(self, setting: Setting, scenario: str, against: str) -> Outcome:
        """The comparison of two situations at a setting."""
        key = (setting, scenario, against)
        if key not in self._outcomes:
            after, before = (self._side(setting, name) for name in (scenario, against))
            economy = self._economy(setting)
            self._outcomes[key] = Outcome(
                economy, before[0], after[0], before[1], after[1], before[2], after[2], TOLERANCE
            )
            self._account.note(self._outcomes[key])
        return self._outcomes[key]

    def _side(self, setting: Setting, name: str) -> "Solved":
        """A situation, solved once a setting however many it is compared with."""
        key = (setting, name)
        if key not in self._sides:
            economy, situation = self._economy(setting), self._situation(setting, name)
            shock = situation.shock(economy)
            self._sides[key] = Solved(situation, shock, solve(economy, shock))
        return self._sides[key]

    def coalition(self, setting: Setting, scenario: str) -> Coalition:
        """All coalitions of the senders at a setting, from what they keep under a scenario to nothing."""
        key = setting, scenario
        if key not in self._coalitions:
            keep = self._situation(setting, scenario)
            found = self._coalitions[key] = coalition(self._economy(setting), keep, tolerance=COALITIONS)
            self._account.note_coalition(found)
        return self._coalitions[key]

    def transition(
        self, setting: Setting, scenario: str, against: str, lift_years: tuple[int, ...], chance: float
    ) -> Transition:
        """The paths of a scenario lifted in some years, or with a chance of reversal a year, at a setting."""
        key = setting, scenario, against, lift_years, chance
        if key not in self._transitions:
            sides = [self._situation(setting, name) for name in (scenario, against)]
            found = self._transitions[key] = simulate_path(
                self._economy(setting),
                *sides,
                years=YEARS,
                settings=Pace(reversal=chance, end=ENDS.get(setting.cuts, "value")),
                lift_years=lift_years,
                tolerance=COALITIONS,
            )
            self._account.note_paths(len(found.names))
        return self._transitions[key]

    def departure(self, setting: Setting, scenario: str, exits: tuple[str, ...]) -> Departure:
        """What the exit of some senders from what they keep under a scenario does over years, at a setting."""
        key = setting, scenario, exits
        if key not in self._departures:
            made = self._standoffs.get(key[:2])
            if made is None:
                pace = Pace(end=ENDS.get(setting.cuts, "value"))
                keep = self._situation(setting, scenario)
                made = Standoff(
                    self._economy(setting), keep, years=YEARS, settings=pace, tolerance=COALITIONS
                )
                self._standoffs[key[:2]] = made
            names = made.roster.names
            for name in exits:
                if name not in names:
                    raise unknown_name("member of the coalition", name, names)
            found = self._departures[key] = made.departure([names.index(name) for name in exits])
            self._account.note_paths(len(found.known) + 1)
        return self._departures[key]

    def _economy(self, setting: Setting) -> Economy:
        behaviour = _behaviour(setting)
        if behaviour not in self._economies:
            if setting.world not in self._worlds:
                self._worlds[setting.world] = World.load(setting.world)
            self._economies[behaviour] = calibrate(self._worlds[setting.world], *behaviour[:3])
        return self._economies[behaviour]

    def _situation(self, setting: Setting, name: str) -> Scenario:
        side: Any = self.readings[setting.reading].get(name) or self.scenarios.get(name, name)
        return replace(Scenario.load(side), cuts=setting.cuts)

    def prepare(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        """Compute quantities setting by setting, so that only one setting's equilibria lie in memory.

        What cannot be computed is left to `quantity`, which says why.
        """
        wanted: dict[Setting, list[str]] = {}
        for key, entry in entries.items():
            if entry["kind"] in MODEL:
                for setting in self._usable(entry):
                    wanted.setdefault(setting, []).append(key)
        for setting in sorted(wanted, key=lambda each: str(_behaviour(each))):
            for key in wanted[setting]:
                with suppress(DetenteError):  # raised again when a claim asks for it
                    self._values[key, setting] = self._value(entries[key], setting)
            stores: list[dict[Any, Any]] = [self._sides, self._outcomes, self._coalitions]
            stores += [self._transitions, self._standoffs, self._departures]
            for kept in stores:
                for each in [each for each in kept if each[0] == setting]:
                    del kept[each]

    def _usable(self, entry: Mapping[str, Any]) -> list[Setting]:
        """The settings at which an entry of a study's file is computed."""
        readings = entry.get("readings", list(self.readings))
        wanted = [
            entry[name] for name in ("scenario", "against", "beside", "beside_against") if name in entry
        ]
        settings = self.settings
        if "grid" in entry:
            if entry["grid"] not in self.grids:
                raise unknown_name("grid of settings", entry["grid"], self.grids)
            settings = self.grids[entry["grid"]]
        return [s for s in settings if s.reading in readings and self.known(s, wanted)]

    def _value(self, entry: Mapping[str, Any], setting: Setting) -> float:
        function, given = MODEL[entry["kind"]], _given(entry)
        _refuse_unfit(function, given)
        return float(function(self, setting, **given))

    def known(self, setting: Setting, wanted: Sequence[str]) -> bool:
        """Whether this reading of the sanctions can express all of these scenarios."""
        named = self.readings[setting.reading]
        return not named or all(name in named or name == "baseline" for name in wanted)

    def quantity(self, key: str, entry: Mapping[str, Any]) -> Quantity:
        """The quantity that an entry of a study's file describes. Raises `InputError` with its key."""
        label, unit, kind = entry["label"], entry["unit"], entry["kind"]
        try:
            if kind in RECORD:
                _refuse_unfit(RECORD[kind], _given(entry))
                values, detail = RECORD[kind](self, **_given(entry))
                return Quantity(key, label, unit, values, detail)
            _refuse_unfit(MODEL[kind], _given(entry))
            values = {}
            for setting in self._usable(entry):
                if (key, setting) not in self._values:
                    self._values[key, setting] = self._value(entry, setting)
                values[str(setting)] = self._values[key, setting]
        except InputError as problem:
            raise InputError(f"Quantity `{key}`: {problem}") from None
        if not values or not np.isfinite(list(values.values())).all():
            raise InputError(f"Quantity `{key}` has no finite value at every setting; look at its scenarios.")
        return Quantity(key, label, unit, values)

    @property
    def account(self) -> "Account":
        """What all that was computed rests on."""
        return self._account

    @property
    def catalogue_until(self) -> date:
        """The day up to which every file of the catalogue is kept."""
        return min(self.catalogue.as_of.values())


class Solved(NamedTuple):
    """A situation, what it changes, and the equilibrium."""

    situation: Scenario
    shock: Shock
    equilibrium: Equilibrium


class Account:
    """What was computed and how well, kept when the results themselves are gone."""

    def __init__(self):
        self.converged, self.residual = True, 0.0
        self.comparisons, self.coalitions, self.paths = 0, 0, 0
        self.situations: dict[str, Scenario] = {}
        self.elasticities: dict[str, str] = {}
        self.data: dict[str, Any] = {}

    def note(self, outcome: Outcome) -> None:
        """Take a comparison down."""
        self.comparisons += 1
        self.converged &= outcome.converged
        self.residual = max(self.residual, outcome.residual)
        for side in (outcome.situation_before, outcome.situation_after):
            if isinstance(side, Scenario):
                self.situations.setdefault(side.name, replace(side, cuts=CENTRAL))
        told = outcome.provenance
        self.elasticities[str(told["elasticities"]["name"])] = str(told["elasticities"]["source"])
        self.data = self.data or told["data"]

    def note_coalition(self, found: Coalition) -> None:
        """Take the coalitions of a setting down."""
        self.coalitions += found.variation.sizes["coalition"]
        self.converged &= not found.messages
        self.residual = max(self.residual, found.residual)

    def note_paths(self, count: int) -> None:
        """Take paths down; a year without a solution has raised."""
        self.paths += count
        self.residual = max(self.residual, COALITIONS)

    @property
    def quality(self) -> dict[str, Any]:
        """Whether everything converged, the largest residual, and how much there was."""
        return {
            "converged": self.converged,
            "residual": self.residual,
            "comparisons": self.comparisons,
            "coalitions": self.coalitions,
            "paths": self.paths,
        }


def _behaviour(setting: Setting) -> tuple[str, str, str, str | None]:
    return setting.elasticities, setting.closure, setting.horizon, setting.world


def _given(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry says beside its label, unit, kind and settings."""
    return {name: entry[name] for name in entry.keys() - {"label", "unit", "kind", "readings", "grid"}}


def _refuse_unfit(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raises `InputError` for keys that a kind of quantity does not have, or that it lacks."""
    keys = {name: p for name, p in signature(function).parameters.items() if name not in ("bench", "setting")}
    for name in given:
        if name not in keys:
            raise unknown_name("key", name, keys)
    for name, parameter in keys.items():
        if parameter.default is parameter.empty and name not in given:
            raise InputError(f"the key `{name}` is missing. Keys of this kind: {', '.join(keys)}.")
