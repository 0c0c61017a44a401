"""Scenarios: named, ordered lists of measures, from YAML or Python, that become a `Shock` for an economy."""

import os
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detente import labels, scenario_file
from detente.errors import InputError, unknown_name
from detente.measure import Lifting, Measure
from detente.scenario_file import Source
from detente.shock import Shock

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
    Printing it gives one sentence a measure.
    """

    name: str
    title: str = ""
    measures: Sequence[Measure | Lifting] = ()
    base: "Scenario | None" = None
    against: str = BASELINE
    focus: str = ""
    description: str = ""

    def __post_init__(self):
        for k, step in enumerate(self.measures):
            if not isinstance(step, Measure | Lifting):
                raise InputError(
                    f"Measure {k + 1} of scenario `{self.name}` is {reprlib.repr(step)}; expected a "
                    "`Measure` or a `Lifting`. For plain data use `Scenario.load({...})`."
                )
        if not isinstance(self.base, Scenario | None):
            raise InputError(
                f"`base` of scenario `{self.name}` must be a scenario: use `Scenario.load({self.base!r})`."
            )
        if not self.focus:
            object.__setattr__(self, "focus", self.base.focus if self.base else self._target())

    def _target(self) -> str:
        """The code that stands alone in `on` in every measure, if there is one."""
        targets = {str(step.on).upper() for step in self.measures if isinstance(step, Measure)}
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

    def steps(self) -> list[Measure | Lifting]:
        """All measures and liftings in order, those of the base first."""
        return [*(self.base.steps() if self.base else ()), *self.measures]

    def sentences(self) -> list[str]:
        """One sentence a measure, in order."""
        return [str(step) for step in self.steps()] or ["Nothing is changed: the data year as it is."]

    def __str__(self) -> str:
        head = f"{self.name}: {self.title}" if self.title else self.name
        return "\n".join([head, *(f"  · {line}" for line in self.sentences())])

    def shock(self, economy: "Economy") -> Shock:
        """The changes that the measures make to `economy`'s baseline.

        Cuts multiply the trade weight κ̂^(−θ) by (1 − size)/(1 − in_data) where in force and by
        1/(1 − in_data) where lifted; costs multiply trade costs by 1 + size; tariffs and export taxes add
        points to the baseline's rate; bans are exact. Raises `InputError` for a name the economy does not
        have, a sender that is its own target, the same measure in force twice, and a lifting that ends
        nothing.
        """
        imposed: list[_Imposed] = []
        for k, step in enumerate(self.steps()):
            try:
                if isinstance(step, Measure):
                    _impose(step, imposed, economy)
                else:
                    _lift(step, imposed, economy)
            except InputError as problem:
                place = step.place or f"Scenario `{self.name}`, measure {k + 1}"
                raise InputError(f"{place}: {problem}") from None
        return _shock(self.name, imposed, economy)


def available() -> list[str]:
    """Names of the scenarios that ship."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


# Composition: masks over [importer, exporter, sector], changed in place by later steps ----------------------


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


def _lift(lifting: Lifting, imposed: list[_Imposed], economy: "Economy") -> None:
    ids = [entry.measure.id for entry in imposed if entry.measure.id]
    if lifting.id and lifting.id not in ids:
        raise unknown_name("measure with the id", lifting.id, ids)
    ended = False
    for measure, _, in_force, lifted in imposed:
        ends = lifting.cells(measure, economy.countries, economy.sectors) & in_force
        lifted |= ends
        in_force &= ~ends
        ended = ended or bool(ends.any())
    if not ended:
        raise InputError(
            f"this lifting ends nothing: {lifting} Compare its keys with the measures before it "
            "(`detente show` prints them)."
        )


def _shock(name: str, imposed: Sequence[_Imposed], economy: "Economy") -> Shock:
    shape = economy.trade_share.shape
    weight, cost, blocked = np.ones(shape), np.ones(shape), np.zeros(shape, bool)
    duties = {
        kind: np.zeros(shape) if rate is None else np.array(rate)
        for kind, rate in (("tariff", economy.tariff), ("export-tax", economy.export_tax))
    }
    for measure, _, in_force, lifted in imposed:
        size = measure.size or 0.0
        if measure.instrument == "cut":
            weight[in_force] *= (1 - size) / (1 - measure.in_data)
            weight[lifted] /= 1 - measure.in_data
        elif measure.instrument == "ban":
            blocked |= in_force
        elif measure.instrument == "cost":
            cost[in_force] *= 1 + size
        else:
            duties[measure.instrument][in_force] += size
    used = {entry.measure.instrument for entry in imposed}
    return Shock(
        trade_cost_change=cost if "cost" in used else None,
        blocked=blocked if "ban" in used else None,
        tariff_new=duties["tariff"] if "tariff" in used else None,
        export_tax_new=duties["export-tax"] if "export-tax" in used else None,
        weight_change=weight if "cut" in used else None,
        name=name,
    )


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
    steps = [
        _step(entry, source.place(("measures", k))) for k, entry in enumerate(content.get("measures", []))
    ]
    base, against = None, source.beside(content.get("against", BASELINE))
    key = "base"
    try:
        if key in content:
            base = _find(source.beside(content[key]), source.chain)
        key = "against"
        _locate(against)
    except InputError as problem:
        raise InputError(f"{source.place((key,))}: {problem}") from None
    return Scenario(
        name=content["name"],
        title=content["title"],
        measures=tuple(steps),
        base=base,
        against=against,
        focus=content.get("focus", ""),
        description=content.get("description", ""),
    )


def _step(entry: Mapping[str, Any], place: str) -> Measure | Lifting:
    try:
        if "lift" in entry:
            return Lifting(**entry["lift"], place=place)
        span = {"range": tuple(entry["range"])} if "range" in entry else {}
        return Measure(**{**entry, **span}, place=place)
    except InputError as problem:
        raise InputError(f"{place}: {problem}") from None
