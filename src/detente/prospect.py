"""A scenario that may end in several ways: every outcome computed, and the mean weighted by their probabilities.

The expectation is taken over results, E[f(x)]: each outcome is an equilibrium of its own. It is not the equilibrium of a
mean measure, f(E[x]), which differs since trade answers measures in a curve.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from detente import labels, outcome
from detente.comparison import Comparison
from detente.digits import format_percent, format_usd
from detente.economy import Economy
from detente.equilibrium import TOLERANCE, solve
from detente.errors import InputError
from detente.outcome import Outcome, Situation
from detente.possible import EXPECTED
from detente.scenario import Scenario, several
from detente.shock import Shock
from detente.terminal import fill, table
from detente.welfare import POINTS

COLUMNS = (
    4  # outcomes that a terminal has room for side by side; of more the lowest and the highest are shown
)


def simulate(
    economy: Economy,
    scenario: Situation,
    against: Situation | None = None,
    *,
    tolerance: float = TOLERANCE,
    throw: bool = True,
) -> "Outcome | Prospect":
    """What changes when the world goes from `against` to `scenario`: an `Outcome`, or a `Prospect` where it has outcomes.

    scenario, against: a `Scenario`, a shipped scenario's name, a YAML file, a mapping of the same form, or a `Shock`.
    against=None takes the scenario's own comparison ("baseline", the data year as it is, for a `Shock`).
    Raises `InputError` for input that cannot be used, `InfeasibleError` where no equilibrium exists, `ConvergenceError`
    where the residual stays above `tolerance` (with throw=False the result says so instead).
    """
    after = scenario if isinstance(scenario, Shock) else Scenario.load(scenario)
    if against is not None and not isinstance(against, Shock):
        against = Scenario.load(against)
    elif against is None and isinstance(after, Scenario):
        against = Scenario.load(after.against)
    if isinstance(against, Scenario) and against.outcomes:
        raise InputError(f"Results cannot be compared with it: {several(against, 'situation')}")
    if isinstance(after, Shock) or not after.outcomes:
        return outcome.simulate(economy, after, against, tolerance=tolerance, throw=throw)
    found: dict[str, Outcome] = {}
    for name, branch in after.branches().items():
        if not found:
            found[name] = outcome.simulate(economy, branch, against, tolerance=tolerance, throw=throw)
            continue
        shock = branch.shock(economy)
        solved = solve(economy, shock, tolerance=tolerance, throw=throw)
        first = next(iter(found.values()))  # the situation compared with is solved once
        found[name] = replace(first, situation_after=branch, shock_after=shock, after=solved)
    before = next(iter(found.values())).situation_before
    return Prospect(economy, before, after, found, tolerance)


@dataclass(frozen=True, repr=False)
class Prospect(Comparison):
    """The outcomes of a scenario, each an `Outcome`, and what is to be expected: the mean weighted by their probabilities.

    outcomes: {name: `Outcome`}, in the order of the scenario. Where an `Outcome` has a figure, a prospect has its mean:
    `data`, `trade()`, `group(names)` and the rest. `by_outcome` holds every outcome, `expected` is another name of `data`.
    """

    economy: Economy
    situation_before: Scenario | Shock
    situation_after: Scenario
    outcomes: Mapping[str, Outcome] = field(repr=False)
    tolerance: float
    _word = "expected "

    @property
    def probability(self) -> dict[str, float]:
        """{name of an outcome: its probability}."""
        return {entry.name: entry.probability for entry in self.situation_after.outcomes}

    @property
    def converged(self) -> bool:
        """Whether all situations were solved to the tolerance."""
        return all(each.converged for each in self.outcomes.values())

    @property
    def residual(self) -> float:
        """The largest of the relative residuals."""
        return max(each.residual for each in self.outcomes.values())

    @cached_property
    def by_outcome(self) -> xr.Dataset:
        """The variables of an outcome's `data`, with the axis `outcome` in front and `probability` along it."""
        names = list(self.outcomes)
        parts = [each.data for each in self.outcomes.values()]
        joined = xr.concat(
            parts, xr.IndexVariable("outcome", names), join="exact", combine_attrs="drop_conflicts"
        )
        return joined.assign_coords(probability=("outcome", [self.probability[name] for name in names]))

    @cached_property
    def data(self) -> xr.Dataset:
        """The expectation of every variable of an outcome's `data`: Σ_s p_s x_s over the outcomes s."""
        parts = self.by_outcome
        mean = (parts * parts["probability"]).sum("outcome", skipna=False)
        for name in mean:
            mean[name].attrs = parts[name].attrs
        return mean.assign_attrs(scenario=self.scenario, against=self.against)

    @property
    def expected(self) -> xr.Dataset:
        """The same as `data`."""
        return self.data

    @cached_property
    def _flows(self) -> dict[str, NDArray]:
        after = sum(self.probability[name] * each._flows["after"] for name, each in self.outcomes.items())
        return {"before": next(iter(self.outcomes.values()))._flows["before"], "after": np.asarray(after)}

    @property
    def evaded(self) -> bool:
        """Whether goods may go around measures through hubs in any of the situations."""
        return any(each.evaded for each in self.outcomes.values())

    @cached_property
    def _passed_on(self) -> dict[str, NDArray]:
        after = sum(self.probability[name] * each._passed_on["after"] for name, each in self.outcomes.items())
        return {
            "before": next(iter(self.outcomes.values()))._passed_on["before"],
            "after": np.asarray(after),
        }

    def changing(self, country: str) -> set[str]:
        """Countries whose direct conditions of trade with `country` change in an outcome.

        Raises `InputError` for an unknown country.
        """
        return set().union(*(each.changing(country) for each in self.outcomes.values()))

    def welfare_split(self, points: int = POINTS) -> xr.Dataset:
        """The expectation of an outcome's split [part, country]: Σ_s p_s x_s over the outcomes s."""
        parts = {name: each.welfare_split(points) for name, each in self.outcomes.items()}
        first = next(iter(parts.values()))
        mean = first * 0.0
        for name, part in parts.items():
            mean = mean + self.probability[name] * part
        for name in mean:
            mean[name].attrs = first[name].attrs
        return mean.assign_attrs(scenario=self.scenario, against=self.against)

    def rows(self, country: str | None = None) -> list[dict[str, Any]]:
        """Every figure by outcome, and expected; one mapping a figure.

        Keys: `outcome`, `probability`, `quantity`, `unit`, `country`, `partner` and `value`. There are
        the figures by country of `to_frame()`, and the change in exports and imports of `country` (default: the focus) by
        `partner`. The probability of the expectation is 1. Raises `InputError` for an unknown country.
        """
        names = list(self.economy.countries)
        here = labels.resolve_countries(country or self.focus, names)[0]
        sides: dict[str, Comparison] = {**self.outcomes, EXPECTED: self}
        rows = []
        for outcome_name, side in sides.items():
            head = {"outcome": outcome_name, "probability": self.probability.get(outcome_name, 1.0)}
            for quantity in side.to_frame().columns.drop("name"):
                variable = side.data[str(quantity)]
                rows += [
                    {**head, "quantity": quantity, "unit": variable.attrs["units"]}
                    | {"country": code, "partner": "", "value": value}
                    for code, value in zip(names, variable.values.tolist(), strict=True)
                ]
            flows = side.trade().sum("sector")
            change = flows["after"] - flows["before"]
            for quantity, axis in (("exports_change", "exporter"), ("imports_change", "importer")):
                rows += [
                    {**head, "quantity": quantity, "unit": self.money}
                    | {"country": here, "partner": code, "value": value}
                    for code, value in zip(names, change.sel({axis: here}).values.tolist(), strict=True)
                    if code != here
                ]
        return rows

    def to_json(self) -> dict[str, Any]:
        """That of an outcome, with expectations for figures, and `outcomes` with the figures of each (docs/json.md)."""
        common = super().to_json()
        worth = next(key for key in common if key.startswith("equivalent_variation"))
        keys = ("measures", "converged", "residual", "real_income", worth, "groups")
        listed = [
            {"name": name, "probability": self.probability[name]}
            | {key: value for key, value in each.to_json().items() if key in keys}
            for name, each in self.outcomes.items()
        ]
        return common | {"outcomes": listed}

    def _stored(self) -> xr.Dataset:
        """Every outcome and, at the end of the axis, the expectation, with probability 1."""
        mean = self.data.expand_dims(outcome=[EXPECTED]).assign_coords(probability=("outcome", [1.0]))
        return xr.concat([self.by_outcome, mean], "outcome", join="exact", combine_attrs="override")

    # In words -----------------------------------------------------------------------------------------------

    def _compared(self) -> list[str]:
        names = ", ".join(f"“{entry.name}” {entry.weight}" for entry in self.situation_after.outcomes)
        return [
            f"{self.scenario} compared with {self.against}: expected over {len(self.outcomes)} possible outcomes",
            fill(f"with probabilities {names}"),
        ]

    def _table(self) -> list[str]:
        """Real income and equivalent variation of the main parties: expected, and by outcome or its extremes."""
        parties = self._parties()
        wide = max(len(name) for name, _ in parties)
        lines = []
        for key, heading, write in (
            ("real_income", "real income", format_percent),
            ("equivalent_variation", f"equivalent variation\n{self.money}", format_usd),
        ):
            head, rows = [heading, EXPECTED], []
            for name, code in parties:
                each = {one: side.group(code)[key] for one, side in self.outcomes.items()}
                shown = [self.group(code)[key], *(each.values() if len(each) <= COLUMNS else _ends(each))]
                rows.append([name, *map(write, shown)])
            several = len(self.outcomes) > COLUMNS
            head += ["lowest", "highest"] if several else [f"{one}" for one in self.outcomes]
            widths = [max(wide, 20), 12, *(14 for _ in head[2:])]
            lines += [*table(head, rows, widths, range(1, len(head))).splitlines(), ""]
        if len(self.outcomes) > COLUMNS:
            found = {one: side.group(self.focus)["real_income"] for one, side in self.outcomes.items()}
            low, high = (pick(found, key=lambda one: found[one]) for pick in (min, max))
            lines += [
                fill(f"{labels.country_name(self.focus)}: lowest with “{low}”, highest with “{high}”"),
                "",
            ]
        return lines[:-1]


def _ends(values: Mapping[str, float]) -> list[float]:
    return [min(values.values()), max(values.values())]
