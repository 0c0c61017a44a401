"""Transition paths: what a scenario does year by year, against another, with capital, foreign owners and memory.

`simulate_path` makes a plan a path, dated situations (`detente.schedule`), puts its years together (`detente.course`) and
follows all paths of a question side by side (`detente.dynamics`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from detente import labels
from detente.accumulation import convergence, present_value
from detente.course import Maker, Settings
from detente.dynamics import Paths, follow, settle
from detente.economy import Economy
from detente.equilibrium import TOLERANCE
from detente.errors import ConvergenceError, InputError
from detente.ownership import Owned
from detente.scenario import Scenario
from detente.schedule import Calendar, Moment


@dataclass(frozen=True, repr=False)
class Transition:
    """Paths of situations, compared with one of them.

    names: of the paths; the first is compared with. weight [path]: what each counts for in the expectation, or None.
    """

    economy: Economy
    target: str
    years: tuple[int, ...]
    names: tuple[str, ...]
    moments: tuple[tuple[Moment, ...], ...] = field(repr=False)
    paths: Paths = field(repr=False)
    settled: Paths | None = field(repr=False)
    owners: tuple[list[Owned] | None, ...] = field(repr=False)
    maker: Maker = field(repr=False)
    settings: Settings
    weight: tuple[float, ...] | None = None

    @cached_property
    def data(self) -> xr.Dataset:
        """By path, year and country: real_income, consumption and capital (percent against the first path), and

        foreign_income (USD billion), foreign_capital by owner in the target (USD billion).
        """
        coords = {"path": list(self.names), "year": list(self.years), "country": list(self.economy.countries)}
        dims, values = ("path", "year", "country"), self.paths.values

        def percent(name: str) -> tuple[tuple[str, ...], NDArray, dict[str, str]]:
            levels = np.moveaxis(values[name], -1, 0)
            return dims, 100 * (levels / levels[:1] - 1), {"units": "percent"}

        money = self.maker.money
        found: dict[str, Any] = {
            "real_income": percent("real_income_change"),
            "consumption": percent("consumption_change"),
            "capital": percent("capital"),
            "foreign_income": (
                dims,
                np.moveaxis(values["foreign_income"], -1, 0) * money,
                {"units": "USD billion"},
            ),
            "worth": (dims, self._worth(), {"units": "USD billion"}),
        }
        if self.maker.holdings is not None:
            at = self.maker.target
            left = np.array([[year.left[:, at] for year in each] for each in self.owners if each is not None])
            stock = left * self.maker.holdings.stock[:, at] * money
            found["foreign_capital"] = dims, stock, {"units": "USD billion"}
        return xr.Dataset(found, coords)

    def _worth(self) -> NDArray:
        """C_n (Ĉ_n − Ĉ_n of the first path): consumption gained in a year, at baseline prices [path, year, country]."""
        share = self.maker.invested if self.settings.capital else 0.0
        eaten = (1 - share) * np.asarray(self.economy.income) * self.maker.money
        levels = np.moveaxis(self.paths.values["consumption_change"], -1, 0)
        return eaten * (levels - levels[:1])

    @cached_property
    def long_run(self) -> xr.DataArray:
        """Real income once all has settled under the last year's situation, percent [path, country].

        Capital, owners and customers have come or gone; with capital held, that of the last year.
        """
        if self.settled is None:
            return self.data["real_income"].isel(year=-1, drop=True)
        levels = self.settled.values["real_income_change"][0].T
        coords = {"path": list(self.names), "country": list(self.economy.countries)}
        return xr.DataArray(
            100 * (levels / levels[:1] - 1), coords, ("path", "country"), attrs={"units": "percent"}
        )

    def present_value(self, first: int | None = None, last: int | None = None) -> xr.Dataset:
        """Consumption gained, discounted to `first` [path, country], USD billion.

        `transition` is up to `last`; `terminal` all years after it, in which the last year's gain goes on.
        """
        worth = self.data["worth"].sel(year=slice(first, last)).transpose("year", ...)
        found = present_value(worth.values, self.settings.rate)
        parts = {"transition": found.transition, "terminal": found.terminal}
        coords = {"path": list(self.names), "country": list(self.economy.countries)}
        return xr.Dataset({name: (("path", "country"), part) for name, part in parts.items()}, coords)

    @property
    def expected(self) -> xr.Dataset:
        """The mean of `data` over the paths but the first, by `weight`."""
        if self.weight is None:
            raise InputError("This transition has no risk of reversal. Ask for one with `reversal`.")
        weight = xr.DataArray(list(self.weight), coords={"path": list(self.names)}, dims="path")
        return (self.data * weight).sum("path")

    def parties(self) -> list[tuple[str, str]]:
        """Name and code or group of whom a reader looks for first, and the world."""
        known = set(self.economy.countries)
        found = [self.target]
        for name in ("USA", "EU27", "GBR", "JPN", "CHN", "IND", "TUR", "KAZ"):
            group = labels.country_groups().get(name)
            if name not in found and (name in known or (group and set(group) <= known)):
                found.append(name)
        found = found if len(found) > 2 else list(self.economy.countries)[:8]
        return [*((labels.country_name(code), code) for code in found), ("World", "all")]

    def long_run_of(self, countries: str | Sequence[str]) -> NDArray:
        """`long_run` of countries taken as one [path]."""
        codes = labels.resolve_countries(countries, list(self.economy.countries))
        return _mean(self.long_run.sel(country=codes), self.economy, codes).values

    def headline(self, by_path: NDArray) -> NDArray:
        """Of values [path, …], those expected over reversals, else those of the last path."""
        return by_path[-1] if self.weight is None else np.tensordot(np.array(self.weight), by_path, axes=1)

    def mean_path(self, countries: str | Sequence[str], name: str = "real_income") -> NDArray:
        """`group`, expected or of the last path [year]."""
        return self.headline(self.group(countries, name))

    def summed(self, amounts: xr.DataArray, countries: str | Sequence[str]) -> NDArray:
        """Amounts of money [path, country], added over countries [path]."""
        codes = labels.resolve_countries(countries, list(self.economy.countries))
        return amounts.sel(country=codes).sum("country").values

    def gain_by_date(self, countries: str | Sequence[str]) -> list[dict[str, float]]:
        """What each path but the first brings countries taken as one, by its first year that differs.

        Keys: year; transition, terminal: present value at that year of consumption gained, over as many years for each path
        and all after these, USD billion; long_run: real income, percent.
        """
        codes = labels.resolve_countries(countries, list(self.economy.countries))
        begins = [self.begins(p) for p in range(1, len(self.names))]
        window, found = self.years[-1] - max(begins), []
        for p, year in enumerate(begins, start=1):
            value = self.present_value(year, year + window).isel(path=p).sel(country=codes).sum("country")
            parts = {name: float(value[name]) for name in ("transition", "terminal")}
            found.append({"year": year, **parts, "long_run": float(self.long_run_of(countries)[p])})
        return found

    def begins(self, path: int) -> int:
        """The first year in which a path's situation is not that of the first path; the first year where there is none."""
        pairs = zip(self.years, self.moments[0], self.moments[path], strict=True)
        return next((year for year, one, other in pairs if one.shock is not other.shock), self.years[0])

    def rows(self) -> list[dict[str, Any]]:
        """One mapping a figure: path, year, quantity, unit, country, value; for CSV and JSON."""
        found = []
        for name, variable in self.data.items():
            for p, path in enumerate(self.names):
                for t, year in enumerate(self.years):
                    head = {
                        "path": path,
                        "year": year,
                        "quantity": str(name),
                        "unit": variable.attrs["units"],
                    }
                    numbers = variable.values[p, t].tolist()
                    found += [
                        head | {"country": c, "value": v}
                        for c, v in zip(self.economy.countries, numbers, strict=True)
                    ]
        return found

    def group(self, countries: str | Sequence[str], name: str = "real_income") -> NDArray:
        """A variable of countries taken as one, by baseline spending [path, year]; money adds up."""
        codes = labels.resolve_countries(countries, list(self.economy.countries))
        part = self.data[name].sel(country=codes)
        if part.attrs["units"] != "percent":
            return part.sum("country").values
        return _mean(part, self.economy, codes).values


def _mean(part: xr.DataArray, economy: Economy, codes: Sequence[str]) -> xr.DataArray:
    at = [economy.countries.index(code) for code in codes]
    weight = xr.DataArray(np.asarray(economy.income)[at], coords={"country": list(codes)}, dims="country")
    return (part * weight).sum("country") / weight.sum()


def simulate_path(
    economy: Economy,
    scenario: Scenario | str,
    against: Scenario | str | None = None,
    *,
    years: Sequence[int],
    settings: Settings | None = None,
    lift_years: Sequence[int] = (),
    then: Mapping[int, Scenario] | None = None,
    tolerance: float = TOLERANCE,
) -> Transition:
    """The path of a scenario against that of another, year by year.

    lift_years: the scenario's steps put off to each of these years, a path each. then: scenarios that take over later. With
    `settings.reversal` p, paths for every year of reversal, and their probabilities.
    Raises `InputError` for what cannot be used, `ConvergenceError` where a year has no solution.
    """
    settings = settings or Settings()
    after = Scenario.load(scenario)
    before = Scenario.load(after.against if against is None else against)
    target = _target(after, before, economy)
    maker, calendar = Maker(economy, target, settings), Calendar(economy, target)
    plans: dict[str, list[Moment]] = {
        before.name + (" (kept)" if before.name == after.name else ""): calendar.moments(before, years)
    }
    weight = None
    if lift_years:
        for year in lift_years:
            plans[f"{after.name} in {year}"] = calendar.moments(after, years, before=before, lifted_in=year)
    elif settings.reversal > 0:
        reversed_, weight = _tree(calendar, after, before, years, settings.reversal)
        plans |= reversed_
    else:
        plans[after.name] = calendar.moments(after, years, before=before, then=then)
    return _solved(maker, target, plans, tuple(years), weight, tolerance)


def _solved(
    maker: Maker,
    target: str,
    plans: dict[str, list[Moment]],
    years: tuple[int, ...],
    weight: tuple[float, ...] | None,
    tolerance: float,
) -> Transition:
    made = [maker.years(moments) for moments in plans.values()]
    paths = [path for path, _ in made]
    found = follow(maker.economy, paths, maker.growth, tolerance=tolerance, apart=(maker.target,))
    if not found.converged.all():
        worst = int(np.argmin(found.converged))
        raise ConvergenceError(
            f"The path `{list(plans)[worst]}` has a year without a solution: {found.message[worst]}"
        )
    settled = None
    if maker.growth is not None:
        lasting = [maker.lasting(moments) for moments in plans.values()]
        left = convergence(maker.eta, maker.delta) ** len(years)  # of the way, were the years alike
        begin = found.next_capital ** (1 / (1 - left))[:, None]
        settled = settle(
            maker.economy, lasting, maker.growth, capital=begin, tolerance=tolerance, apart=(maker.target,)
        )
    moments = tuple(map(tuple, plans.values()))
    owners = tuple(each for _, each in made)
    return Transition(
        maker.economy,
        target,
        years,
        tuple(plans),
        moments,
        found,
        settled,
        owners,
        maker,
        maker.settings,
        weight,
    )


def _tree(
    calendar: Calendar, after: Scenario, before: Scenario, years: Sequence[int], chance: float
) -> tuple[dict[str, list[Moment]], tuple[float, ...]]:
    """A path for every year in which relief may end, the last for never, and what each is worth in the expectation."""
    begins = after.regime.year if after.regime else years[0]
    begins = max(begins, years[0])
    dates = [year for year in years if year > begins]
    plans = {
        f"reversed in {year}": calendar.moments(after, years, before=before, then={year: before})
        for year in dates
    }
    plans["never reversed"] = calendar.moments(after, years, before=before)
    stays = (1 - chance) ** np.arange(len(dates) + 1)
    weight = [*(chance * stays[:-1]), stays[-1]]
    return plans, (0.0, *map(float, weight))


def _target(after: Scenario, before: Scenario, economy: Economy) -> str:
    for code in (after.focus, before.focus):
        if code in economy.countries:
            return code
    raise InputError(
        f"The scenario `{after.name}` names no focus that this world has, the country that measures are about. Add "
        "`focus: RUS` to it."
    )
