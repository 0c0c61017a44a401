"""Two situations compared: who trades more, who gains, who loses, labelled and in units people use."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from detente import labels, market
from detente.comparison import Comparison
from detente.decomposition import first_order
from detente.economy import Economy
from detente.equilibrium import TOLERANCE, Equilibrium, solve
from detente.errors import InputError
from detente.instruments import Ceiling
from detente.market import InstrumentResult, Market, instrument_results, markets
from detente.scenario import BASELINE, Scenario
from detente.shock import Shock
from detente.welfare import POINTS, split

Situation = Scenario | Shock | str | os.PathLike[str] | Mapping[str, Any]

LONG_NAMES = {
    "real_income": ("percent", "Real income"),
    "equivalent_variation": ("money", "Equivalent variation"),
    "income_before": ("money", "Spending before"),
    "real_wage": ("percent", "Real wage"),
    "wage": ("percent", "Wage, against world factor income"),
    "consumer_price": ("percent", "Consumer price, against world factor income"),
    "price": ("percent", "Price index of buyers"),
    "rent": ("money", "Rents of price caps, quotas and held prices"),
    "rent_before": ("money", "Rents of price caps, quotas and held prices before"),
    "output": ("percent", "Value of output"),
    "output_before": ("money", "Value of output before"),
    "output_after": ("money", "Value of output after"),
    "re_exports_before": ("money", "Goods passed on around measures before"),
    "re_exports_after": ("money", "Goods passed on around measures after"),
    "margin_income_before": ("money", "Hubs' margins on these before"),
    "margin_income_after": ("money", "Hubs' margins on these after"),
}


def simulate(
    economy: Economy,
    scenario: Situation,
    against: Situation | None = None,
    *,
    tolerance: float = TOLERANCE,
    throw: bool = True,
) -> "Outcome":
    """What changes when the world goes from `against` to `scenario`, both single situations.

    `detente.prospect.simulate`, the public door, does the same and takes scenarios with possible outcomes too.
    scenario, against: a `Scenario`, a shipped scenario's name, a YAML file, a mapping of the same form, or a `Shock`.
    against=None takes the scenario's own comparison ("baseline", the data year as it is, for a `Shock`).
    Raises `InputError` for input that cannot be used, `InfeasibleError` where no equilibrium exists, `ConvergenceError`
    where the residual stays above `tolerance` (with throw=False the outcome says so instead).
    """
    after = scenario if isinstance(scenario, Shock) else Scenario.load(scenario)
    if against is None:
        against = after.against if isinstance(after, Scenario) else BASELINE
    before = against if isinstance(against, Shock) else Scenario.load(against)
    shocks = [side if isinstance(side, Shock) else side.shock(economy) for side in (before, after)]
    solved = [solve(economy, shock, tolerance=tolerance, throw=throw) for shock in shocks]
    return Outcome(economy, before, after, shocks[0], shocks[1], solved[0], solved[1], tolerance)


@dataclass(frozen=True, repr=False)
class Outcome(Comparison):
    """The comparison of two solved situations; `data` holds the results as an xarray Dataset.

    `data` variables: real_income, real_wage, wage, consumer_price [country], price, output [country, sector], in percent
    of the situation compared with; equivalent_variation, income_before, rent, rent_before [country], output_before,
    output_after [country, sector], in the unit of `.money` (USD billion for the embedded world), world factor income being
    the numéraire. Where goods go around measures, also re_exports_before, re_exports_after, margin_income_before and
    margin_income_after [country], what each hub passes on and earns by it, in the same unit.
    Real income is exact: spending, net of transfers and with policy revenue, over the consumer price index.
    """

    economy: Economy
    situation_before: Scenario | Shock
    situation_after: Scenario | Shock
    shock_before: Shock = field(repr=False)
    shock_after: Shock = field(repr=False)
    before: Equilibrium = field(repr=False)
    after: Equilibrium = field(repr=False)
    tolerance: float

    @property
    def converged(self) -> bool:
        """Whether both situations were solved to the tolerance."""
        return self.before.converged and self.after.converged

    @property
    def residual(self) -> float:
        """The larger of the two relative residuals."""
        return max(self.before.residual, self.after.residual)

    @cached_property
    def data(self) -> xr.Dataset:
        """All results by country and sector, labelled (see the class)."""
        a, b = self.before, self.after
        ratio = {
            name: np.asarray(getattr(b, name)) / np.asarray(getattr(a, name))
            for name in ("real_income_change", "wage_change", "consumer_price_change", "price_change")
        }
        income = np.asarray(a.income) * self._unit
        country, both = ("country",), ("country", "sector")
        made, making = np.asarray(a.output), np.asarray(b.output)
        growth = np.divide(making, made, out=np.ones_like(made), where=made > 0)
        variables = {
            "real_income": (country, _percent(ratio["real_income_change"])),
            "equivalent_variation": (country, income * (ratio["real_income_change"] - 1)),
            "income_before": (country, income),
            "real_wage": (country, _percent(ratio["wage_change"] / ratio["consumer_price_change"])),
            "wage": (country, _percent(ratio["wage_change"])),
            "consumer_price": (country, _percent(ratio["consumer_price_change"])),
            "rent": (country, np.asarray(b.rent) * self._unit),
            "rent_before": (country, np.asarray(a.rent) * self._unit),
            "price": (both, _percent(ratio["price_change"])),
            "output": (both, _percent(growth)),
            "output_before": (both, made * self._unit),
            "output_after": (both, making * self._unit),
        }
        if self.evaded:
            for when, side in (("before", a), ("after", b)):
                passed = self._passed_on[when].sum(axis=(1, 2)) * self._unit
                variables[f"re_exports_{when}"] = country, passed
                variables[f"margin_income_{when}"] = country, np.asarray(side.margin_income) * self._unit
        coords = {"country": list(self.economy.countries), "sector": list(self.economy.sectors)}
        data = xr.Dataset(variables, coords, {"scenario": self.scenario, "against": self.against})
        for name, (unit, long_name) in LONG_NAMES.items():
            if name not in data:
                continue
            data[name].attrs = {"units": self.money if unit == "money" else unit, "long_name": long_name}
        return data

    def changing(self, country: str) -> set[str]:
        """Countries whose direct conditions of trade with `country` (costs, cuts, bans, duties) differ between the two.

        Raises `InputError` for an unknown country.
        """
        names = list(self.economy.countries)
        here = names.index(labels.resolve_countries(country, names)[0])
        before, after = (np.asarray(side.situation.trade_weight) for side in (self.before, self.after))
        differs = (before != after).any(axis=0).reshape(-1, len(names), len(names)).any(axis=0)
        return {
            name
            for name, one, other in zip(names, differs[here], differs[:, here], strict=True)
            if one or other
        }

    @cached_property
    def instrument_results(self) -> dict[str, list[InstrumentResult]]:
        """What came of each price cap, quota and producers' rule, "before" and "after"."""
        return {
            when: instrument_results(self.economy, side, self._unit) for when, side in self._sides().items()
        }

    @property
    def instruments(self) -> pd.DataFrame:
        """What came of each instrument, one row each: columns of `InstrumentResult`, and `situation`; `rent` summed."""
        rows = [
            {"situation": self.against if when == "before" else self.scenario}
            | {**vars(result), "rent": result.total_rent}
            for when, results in self.instrument_results.items()
            for result in results
        ]
        columns = ["situation", *InstrumentResult.__dataclass_fields__]
        return pd.DataFrame(rows, columns=columns)

    @cached_property
    def markets(self) -> list[Market]:
        """Exports of the focus country in goods with an instrument, and of crude, pipeline gas and LNG where apart."""
        if self.focus not in self.economy.countries:
            return []
        sides = self._sides()
        return markets(self.economy, sides["before"], sides["after"], self.focus, self._unit)

    def _market_lines(self) -> list[str]:
        return market.summary(self.markets, self.instrument_results["after"], self.money)

    def to_json(self) -> dict[str, Any]:
        """That of a comparison, with `instruments` and `markets` where there are any (docs/json.md)."""
        told = {
            when: [each.to_json() for each in results] for when, results in self.instrument_results.items()
        }
        return super().to_json() | {
            "instruments": told,
            "markets": [each.to_json() for each in self.markets],
        }

    def _sides(self) -> dict[str, tuple[Sequence[Ceiling], Equilibrium]]:
        return {
            "before": (self.shock_before.instruments, self.before),
            "after": (self.shock_after.instruments, self.after),
        }

    @cached_property
    def _flows(self) -> dict[str, NDArray]:
        return {"before": self.before.trade(), "after": self.after.trade()}

    @property
    def evaded(self) -> bool:
        """Whether goods may go around measures through hubs in one of the two."""
        return any(shock.evasion is not None for shock in (self.shock_before, self.shock_after))

    @cached_property
    def _passed_on(self) -> dict[str, NDArray]:
        return {"before": self.before.re_exports().sum(axis=3), "after": self.after.re_exports().sum(axis=3)}

    def first_order(self) -> xr.Dataset:
        """The first-order split of the welfare change (`detente.decomposition.first_order`), percent [country].

        Variables terms_of_trade, volume_of_trade, trade_cost and total. An approximation, evaluated once: for large shocks
        it differs from `real_income` widely, because it values all additional imports at the old duty (Mexico in NAFTA:
        1.31 percent against 0.007). Raises `InputError` where a flow is banned in one situation only.
        """
        if self.evaded:
            raise InputError(
                "The first-order split knows no hubs and their margins. Use `real_income`, which is exact, or leave out "
                "`evasion`."
            )
        parts = first_order(self.economy, self.shock_before, self.shock_after, self.before, self.after)
        data = xr.Dataset(
            {name: ("country", 100 * value) for name, value in parts.items()},
            {"country": list(self.economy.countries)},
        )
        for name in data:
            data[name].attrs = {"units": "percent", "long_name": str(name).replace("_", " ").capitalize()}
        return data

    def welfare_split(self, points: int = POINTS) -> xr.Dataset:
        """Where the change in welfare comes from, in parts that add up to it [part, country] (`detente.welfare.split`).

        `equivalent_variation`, in `money`, and `real_income`, in percent; summed over `part` they are those of `data`.
        points: equilibria on the path from one situation to the other, both among them; the part `residual` falls with
        their number. Raises what `solve` raises.
        """
        return self._split if points == POINTS else self._split_at(points)

    @cached_property
    def _split(self) -> xr.Dataset:
        return self._split_at(POINTS)

    def _split_at(self, points: int) -> xr.Dataset:
        ends = self.shock_before, self.shock_after, self.before, self.after
        parts = split(self.economy, *ends, points=points, tolerance=self.tolerance)
        worth = np.stack(list(parts.values()))
        dims = ("part", "country")
        data = xr.Dataset(
            {
                "equivalent_variation": (dims, worth * self._unit),
                "real_income": (dims, 100 * worth / np.asarray(self.before.income)),
            },
            {"part": list(parts), "country": list(self.economy.countries)},
            {"scenario": self.scenario, "against": self.against},
        )
        for name in data:
            unit, long_name = LONG_NAMES[str(name)]
            data[name].attrs = {"units": self.money if unit == "money" else unit, "long_name": long_name}
        return data


def _percent(ratio: NDArray) -> NDArray:
    return 100 * (ratio - 1)
