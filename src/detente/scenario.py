"""Scenarios: named, ordered lists of measures, from YAML or Python, that become a `Shock` for an economy.

A scenario may begin with a regime: the measures of the catalogue in force on a day (`as_of`).
"""

import datetime
import os
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detente import board, hubs, labels, scenario_file, sizes
from detente.acts import Keeping
from detente.errors import InputError, unknown_name
from detente.evasion import Evasion
from detente.in_force import InForce
from detente.law import as_date
from detente.measure import Measure, spoken
from detente.menu import Producers
from detente.possible import PossibleOutcome, check_outcomes, read_outcomes
from detente.scenario_file import Source
from detente.shock import Shock
from detente.stage import Stage
from detente.steps import Step, read_steps

if TYPE_CHECKING:  # reading and printing scenarios shall not wait for the engine
    from detente.economy import Economy

SHIPPED = labels.DATA / "scenarios"
BASELINE = "baseline"


@dataclass(frozen=True)
class Scenario:
    """What is done, by whom, to whom: measures applied in order, on top of those of `base`.

    name; title (one line); base: a scenario whose measures come first; against: the situation that results
    are compared with by default ("baseline" is the data year as it is); focus: the country whose trade the
    report looks at, left out that of the base, or the one country that all measures are directed at.
    as_of: the day whose measures of the catalogue are in force before all steps; left out that of the base.
    outcomes: how it may end, each with a probability and with steps that come after the measures; see `branches`.
    cuts: where in its range each size is taken, of its own measures and of the catalogue's: low, central, high, or a
        number from 0 (low) through 0.5 (central) to 1 (high).
    evasion: how goods go around the measures; left out that of the base, and `Evasion(hubs=())` ends it.
    world, horizon: what `detente run` takes where the command line names none; left out those of the base, and the world
        `energy` where a measure tells crude oil, gas and LNG apart.
    Printing it gives one sentence a measure, for a regime one a sender, and one for each outcome.
    """

    name: str
    title: str = ""
    measures: Sequence[Step] = ()
    base: "Scenario | None" = None
    against: str = BASELINE
    focus: str = ""
    description: str = ""
    as_of: datetime.date | str | None = None
    outcomes: Sequence[PossibleOutcome] = ()
    cuts: sizes.Position = sizes.CENTRAL
    evasion: Evasion | None = None
    world: str = ""
    horizon: str = ""

    def __post_init__(self):
        object.__setattr__(self, "cuts", sizes.position(self.cuts))  # an unknown one is told here
        for k, step in enumerate(self.measures):
            if not isinstance(step, Step):
                raise InputError(
                    f"Measure {k + 1} of scenario `{self.name}` is {reprlib.repr(step)}; expected a "
                    "`Measure` or a `Lifting`. For plain data use `Scenario.load({...})`."
                )
        if not isinstance(self.base, Scenario | None):
            raise InputError(
                f"`base` of scenario `{self.name}` must be a scenario: use `Scenario.load({self.base!r})`."
            )
        if self.base is not None and self.base.outcomes:
            raise InputError(f"`base` of scenario `{self.name}`: {several(self.base, 'base')}")
        if self.outcomes:
            check_outcomes(self.outcomes, f"Scenario `{self.name}`: ")
        if self.as_of is not None:
            object.__setattr__(self, "as_of", as_date(self.as_of))
            if self.base is not None and self.base.regime is not None:
                raise InputError(
                    f"The base `{self.base.name}` has a regime already, that of {spoken(self.base.regime)}. "
                    "Leave `regime` out of one of them."
                )
        if self.evasion is None and self.base is not None:
            object.__setattr__(self, "evasion", self.base.evasion)
        own = {"world": board.world_of(self._own()), "horizon": ""}
        for key, told in own.items():
            given = getattr(self, key) or getattr(self.base, key, "") or told
            object.__setattr__(self, key, given)
        if not self.focus:
            object.__setattr__(self, "focus", self.base.focus if self.base else self._target())

    def _target(self) -> str:
        """The code that stands alone in `on` in every measure, if there is one."""
        targets = {str(step.on).upper() for step in self._own() if isinstance(step, Measure)}
        return targets.pop() if len(targets) == 1 and targets <= labels.countries().keys() else ""

    @classmethod
    def load(cls, name: "str | os.PathLike[str] | Mapping[str, Any] | Scenario") -> "Scenario":
        """A shipped scenario by name, a YAML file by path, a mapping of the same form, or a scenario itself.

        Raises `InputError` for an unknown name (nearest match offered) or content that does not fit
        `data/scenario.schema.json`; the message gives file, line, place and mend.
        """
        if isinstance(name, Scenario):
            return name
        if isinstance(name, Mapping):
            source = Source("The scenario given", name)
            scenario_file.check(source)
            return _build(source)
        if not isinstance(name, str | os.PathLike):
            raise InputError(
                f"A scenario is a name, a path to a YAML file or a mapping; got {reprlib.repr(name)}."
            )
        return _find(os.fspath(name))

    @property
    def regime(self) -> datetime.date | None:
        """The day whose measures of the catalogue are in force at first, its own or the base's."""
        own = None if self.as_of is None else as_date(self.as_of)
        return own or (self.base.regime if self.base else None)

    def steps(self) -> list[Step | InForce]:
        """The regime, then all measures and acts in order: those of the base first, those of outcomes last."""
        return [*self._shared(), *self._own()[len(self.measures) :]]

    def _shared(self) -> list[Step | InForce]:
        """The steps that come in every outcome."""
        own = [] if self.as_of is None else [InForce(as_date(self.as_of))]
        return [*own, *(self.base.steps() if self.base else ()), *self.measures]

    def _own(self) -> list[Step]:
        return [*self.measures, *(step for outcome in self.outcomes for step in outcome.measures)]

    def branches(self) -> "dict[str, Scenario]":
        """{name of an outcome: the scenario that it makes}, in the order given; empty where there are none."""
        return {
            outcome.name: replace(
                self,
                name=f"{self.name} ({outcome.name})",
                measures=(*self.measures, *outcome.measures),
                outcomes=(),
            )
            for outcome in self.outcomes
        }

    def sentences(self) -> list[str]:
        """One sentence a measure, in order; for a regime one a sender, and at the end one for each outcome."""
        lines = [
            line
            for step in self._shared()
            for line in (step.sentences() if isinstance(step, InForce) else [str(step)])
        ]
        lines += map(str, self.outcomes)
        lines += [hubs.sentence(self.evasion)] if self.evasion is not None else []
        told = [sizes.sentence(self.cuts)] if lines and self.cuts != sizes.CENTRAL else []
        return [*told, *lines] or ["Nothing is changed: the data year as it is."]

    def __str__(self) -> str:
        head = f"{self.name}: {self.title}" if self.title else self.name
        return "\n".join([head, *(f"  · {line}" for line in self.sentences())])

    def shock(self, economy: "Economy", stage: Stage | None = None) -> Shock:
        """The changes that the measures make to `economy`'s baseline.

        Cuts multiply the trade weight κ̂^(−θ) by (1 − size)/(1 − in_data) where in force and by
        1/(1 − in_data) where lifted; costs multiply trade costs by 1 + size; tariffs and export taxes add
        points to the baseline's rate; bans are exact. A regime sets all of these first, relative to what the
        data year shows of it, and lets nil flows enter where it leaves more than that year (docs/regime.md).
        Raises `InputError` for a name the economy does not have, a sender that is its own target, the same
        measure in force twice, and a step that does nothing; and for a scenario with outcomes, which is no
        single situation. stage: what `staged` gave, where it is known.
        """
        stage = stage or self.staged(economy)
        try:
            around = hubs.resolved(self.evasion, economy, self.focus)
        except InputError as problem:
            raise InputError(f"Scenario `{self.name}`: {problem}") from None
        return replace(stage.shock(self.name), evasion=around)

    def staged(self, economy: "Economy") -> Stage:
        """What is in force once all steps are taken. Raises `InputError` as `shock` does."""
        if self.outcomes:
            raise InputError(several(self, "situation"))
        stage = Stage(economy, self.regime, self.cuts)
        steps = [step for step in self.steps() if not isinstance(step, InForce)]
        last = [(k, step, stage.restore) for k, step in enumerate(steps) if isinstance(step, Keeping)]
        for k, step, act in [*((k, step, stage.do) for k, step in enumerate(steps)), *last]:
            try:
                act(step)
            except InputError as problem:
                place = step.place or f"Scenario `{self.name}`, measure {k + 1}"
                raise InputError(f"{place}: {problem}") from None
        return stage


def with_producers(scenario: Scenario, rule: str) -> Scenario:
    """The scenario with OPEC+ under `rule` (none, hold-price, hold-volume) in place of its producers, the base's too.

    Raises `InputError` for another rule.
    """
    added = board.opec(rule)

    def without(one: Scenario) -> Scenario:
        left = [step for step in one.measures if not isinstance(step, Producers)]
        return replace(one, measures=left, base=without(one.base) if one.base else None)

    bare = without(scenario)
    return replace(bare, measures=[*added, *bare.measures])


def several(scenario: Scenario, role: str) -> str:
    """Why a scenario with outcomes cannot stand where one situation is needed, and the mend."""
    return (
        f"the scenario `{scenario.name}` has {len(scenario.outcomes)} possible outcomes and is no single {role}. "
        "Take one of them by itself: a scenario of its own, or in Python one of its `branches()`."
    )


def available() -> list[str]:
    """Names of the scenarios that ship."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


# Reading ----------------------------------------------------------------------------------------------------


def _find(text: str, chain: tuple[Path, ...] = ()) -> Scenario:
    """The scenario of this name or path; `chain` holds the files whose `base` led here."""
    path = _locate(text)
    if path is None:
        return Scenario(BASELINE, "The data year as it is", description="No measure is changed.")
    return _build(scenario_file.read(path, chain))


def _locate(text: str) -> Path | None:
    """The file of a shipped name or of a path, None for the baseline."""
    if text == BASELINE:
        return None
    if text in available():
        return SHIPPED / f"{text}.yaml"
    path = Path(text)
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml"):
        raise InputError(f"There is no scenario file `{text}`. Shipped ones: {', '.join(available())}.")
    raise unknown_name("scenario", text, [*available(), BASELINE], "A path to a YAML file is understood too.")


def _build(source: Source) -> Scenario:
    """A scenario from checked plain data."""
    content = source.content
    steps, outcomes, evasion = read_steps(source), read_outcomes(source), hubs.read_evasion(source)
    base, against = None, source.beside(content.get("against", BASELINE))
    key = "base"
    as_of = content.get("regime", {}).get("as-of")
    try:
        if key in content:
            base = _find(source.beside(content[key]), source.chain)
            if base.outcomes:
                raise InputError(several(base, key))
        key = "against"
        _locate(against)
        key = "regime"
        if as_of is not None:
            as_date(as_of)
            if base is not None and base.regime is not None:
                raise InputError(
                    f"the base has one already, that of {spoken(base.regime)}. Leave it out of one of them."
                )
    except InputError as problem:
        raise InputError(f"{source.place((key,))}: {problem}") from None
    return Scenario(
        name=content["name"],
        title=content["title"],
        measures=steps,
        base=base,
        against=against,
        focus=content.get("focus", ""),
        description=content.get("description", ""),
        as_of=as_of,
        outcomes=outcomes,
        evasion=evasion,
        world=content.get("world", ""),
        horizon=content.get("horizon", ""),
    )
