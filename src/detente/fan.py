"""Drawn paths: a scenario year by year against another, over draws of behaviour, sizes and figures; bands.

A draw has the parameters of `detente.ranges`, and for each figure on capital, owners and customers a position in its range:
0 its low end, 0.5 its value, 1 its high end. Both situations of a draw have the same parameters. Draws are followed in
groups of similar trade elasticities, side by side, so that memory does not grow with their number.
"""

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from detente import labels
from detente.cells import compact
from detente.course import Maker, Settings
from detente.draws import LATIN, LEVELS, Draws, bands, draw
from detente.dynamics import Growth, Paths, Year, follow
from detente.economy import Economy
from detente.equilibrium import TOLERANCE
from detente.errors import DetenteError, InputError
from detente.ranges import CUTS, Range, Ranges
from detente.response import Preconditioner
from detente.scenario import Scenario
from detente.schedule import Calendar
from detente.search import baseline_preconditioner
from detente.shock import Shock
from detente.situation import situation
from detente.system import preconditioner, start, system
from detente.transition import Transition, simulate_path
from detente.uncertainty import behaving, placed

GROUP = 16  # draws side by side, two paths each
WORKERS = min(2, os.cpu_count() or 1)  # groups followed at a time; each takes a processor and 0.3 GB
ENDING = "_position"
FIGURES = {  # drawn where the switch of `Settings` is on
    "capital": ("capital_share", "depreciation", "investment_share"),
    "foreign": (
        "stock", "foreign_return", "exit_rate", "dividends_blocked", "stranded_productivity", "return_half_life",
    ),
    "finance": ("risk_premium", "borrowed_abroad", "payment_cost", "frozen_reserves"),
}  # fmt: skip
MEMORY = "position_half_life"
QUANTITIES = {"real_income": "real_income_change", "consumption": "consumption_change"}


@dataclass(frozen=True, repr=False)
class Fan:
    """Drawn paths of a scenario, compared with those of another with the same parameters.

    central: the paths at the central values; values: by name of quantity [draw, year, country], percent, NaN where a draw
    has no solution; failed: {draw: why}; residual: the largest of the draws solved.
    """

    central: Transition = field(repr=False)
    ranges: Ranges = field(repr=False)
    draws: Draws = field(repr=False)
    values: dict[str, NDArray] = field(repr=False)
    failed: dict[int, str]
    residual: float

    def __len__(self) -> int:
        return len(self.draws)

    @property
    def solved(self) -> NDArray[np.bool_]:
        """Whether both paths of a draw were solved in every year [draw]."""
        return np.array([k not in self.failed for k in range(len(self))])

    @property
    def years(self) -> tuple[int, ...]:
        """The years of the paths."""
        return self.central.years

    @property
    def lopsided(self) -> tuple[str, ...]:
        """Parameters drawn whose central value is an end of their range: the central path then lies aside of the draws."""
        rows = [self.ranges.rows[name] for name in self.draws.names]
        return tuple(row.name for row in rows if row.central in (row.low, row.high))

    @cached_property
    def data(self) -> xr.Dataset:
        """By draw, year and country: real_income, consumption (percent, NaN without a solution); parameters by draw."""
        coords = {
            "draw": np.arange(len(self)),
            "year": list(self.years),
            "country": list(self.central.economy.countries),
            "parameter": list(self.draws.names),
        }
        dims, unit = ("draw", "year", "country"), {"units": "percent"}
        found: dict[str, Any] = {name: (dims, values, unit) for name, values in self.values.items()}
        return xr.Dataset(found | {"parameters": (("draw", "parameter"), self.draws.values)}, coords)

    def of(self, countries: str | Sequence[str], name: str = "real_income") -> NDArray:
        """Percent by draw and year of countries taken as one, by baseline spending [draw, year]; NaN without a solution."""
        economy = self.central.economy
        codes = labels.resolve_countries(countries, list(economy.countries))
        at = [economy.countries.index(code) for code in codes]
        weight = np.asarray(economy.income)[at]
        return self.values[name][..., at] @ (weight / weight.sum())

    def bands(
        self, countries: str | Sequence[str], name: str = "real_income", levels: Sequence[float] = LEVELS
    ) -> NDArray:
        """Percentiles over the draws solved [level, year]. Raises `InputError` where there is none."""
        if not self.solved.any():
            raise InputError(
                f"None of {len(self)} draws has a solution. The first: {next(iter(self.failed.values()))}"
            )
        return bands(self.of(countries, name)[self.solved], levels)

    def rows(self) -> list[dict[str, Any]]:
        """One mapping a party, quantity and year: the central path, and a key a level, p5 to p95; percent."""
        found = []
        for party, code in self.central.parties():
            for name in self.values:
                middle, ends = self.central.group(code, name)[1], self.bands(code, name)
                for t, year in enumerate(self.years):
                    head = {"party": party, "code": code, "quantity": name, "unit": "percent", "year": year}
                    told = {f"p{level:g}": float(x) for level, x in zip(LEVELS, ends[:, t], strict=True)}
                    found.append(head | {"central": float(middle[t])} | told)
        return found


def drawable(settings: Settings, ranges: Ranges) -> Ranges:
    """The ranges with a position, triangular about 0.5, for each figure that the settings let matter."""
    names = [name for switch, figures in FIGURES.items() if getattr(settings, switch) for name in figures]
    names += [MEMORY] if settings.hysteresis == "sectors" else []
    rows = {
        name + ENDING: Range(
            name=name + ENDING,
            symbol="",
            meaning=f"Where in its range `{name}` lies, for all it is a figure of",
            distribution="triangular",
            low=0.0,
            central=0.5,
            high=1.0,
            source="the range of the figure (docs/capital.md); its distribution is a convention",
        )
        for name in names
    }
    return replace(ranges, rows={**ranges.rows, **rows}, drawn=(*ranges.drawn, *rows))


class _Asked(NamedTuple):
    """What is drawn for: the economy, both scenarios, what takes over later, years, settings and ranges."""

    economy: Economy
    before: Scenario
    after: Scenario
    then: Mapping[int, Scenario]
    years: Sequence[int]
    settings: Settings
    ranges: Ranges
    target: str

    def parts(self, drawn: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
        """A draw in what `uncertainty` takes, and positions of figures."""
        places = {name.removesuffix(ENDING): x for name, x in drawn.items() if self._figure(name)}
        return {name: x for name, x in drawn.items() if not self._figure(name)}, places

    def _figure(self, name: str) -> bool:
        return name.endswith(ENDING) and name != CUTS

    def behaving(self, drawn: Mapping[str, float]) -> Economy:
        """The economy of a draw."""
        return behaving(self.parts(drawn)[0], self.economy, self.ranges)

    def figures(self, drawn: Mapping[str, float]) -> Settings:
        """The settings of a draw."""
        moved = self.settings.positions.placed(self.parts(drawn)[1])
        return replace(self.settings, positions=moved)

    def scenarios(self, drawn: Mapping[str, float]) -> tuple[Scenario, Scenario, dict[int, Scenario]]:
        """Both situations of a draw, and what takes over."""
        then = {year: placed(drawn, each) for year, each in self.then.items()}
        return placed(drawn, self.before), placed(drawn, self.after), then

    def paths(self, drawn: Mapping[str, float], economy: Economy) -> tuple[Maker, list[list[Year]]]:
        """The years of both paths of a draw. Raises `DetenteError`."""
        before, after, then = self.scenarios(drawn)
        maker, calendar = Maker(economy, self.target, self.figures(drawn)), Calendar(economy, self.target)
        moments = (
            calendar.moments(before, self.years),
            calendar.moments(after, self.years, before=before, then=then),
        )
        return maker, [_small(maker.years(each)[0], economy) for each in moments]


def _small(years: list[Year], economy: Economy) -> list[Year]:
    """The years without arrays of the whole world's trade, which a group of draws has no room for."""
    n = len(economy.countries)
    shocks = compact([year.shock for year in years], (n, n, len(economy.sectors)))
    return [year._replace(shock=shock) for year, shock in zip(years, shocks, strict=True)]


def simulate_paths(
    economy: Economy,
    scenario: Scenario | str,
    against: Scenario | str | None = None,
    *,
    draws: int,
    years: Sequence[int],
    seed: int = 0,
    method: str = LATIN,
    ranges: "str | Mapping[str, Any] | Ranges" = "long",
    parameters: Sequence[str] = (),
    settings: Settings | None = None,
    then: Mapping[int, Scenario] | None = None,
    tolerance: float = TOLERANCE,
    group: int = GROUP,
    progress: Callable[[int], None] | None = None,
) -> Fan:
    """Paths as `simulate_path` has them, for `draws` draws of parameters, and at the central values.

    economy: at the horizon `long`; that of `ranges` is applied. parameters: which are drawn, left out all that change
    something here (`drawable`). group: draws followed side by side. progress: called with the number of draws done. The
    same for the same seed, whatever the group, to the solver's tolerance. A draw without a solution is in `failed` alone.
    Raises `InputError` for what cannot be used, `ConvergenceError` where the central path has no solution.
    """
    settings = settings or Settings()
    if settings.reversal > 0:
        raise InputError("Draws follow one scenario, and `reversal` makes many of it. Leave one of them out.")
    if settings.end != "value":
        raise InputError(
            f"Figures at `{settings.end}` do not go with draws, which put them anywhere in their ranges. Leave `end` out."
        )
    after = Scenario.load(scenario)
    before = Scenario.load(after.against if against is None else against)
    wide = drawable(settings, Ranges.load(ranges).fitting(economy.sectors))
    wide = wide.select(list(parameters)) if parameters else wide
    made = draw(wide, draws, seed, method)
    asked = _Asked(economy, before, after, then or {}, tuple(years), settings, wide, "")
    centre = {name: value for name, value in wide.central().items() if name != CUTS}
    central = simulate_path(
        asked.behaving(centre),
        after,
        before,
        years=years,
        settings=settings,
        then=then,
        tolerance=tolerance,
    )
    asked = asked._replace(target=central.target)
    values, failed, residual = _drawn(asked, made, (tolerance, group, progress))
    return Fan(central, wide, made, values, failed, residual)


def _drawn(
    asked: _Asked, made: Draws, how: tuple[float, int, Callable[[int], None] | None]
) -> tuple[dict[str, NDArray], dict[int, str], float]:
    """Values by name [draw, year, country], draws that failed, and the largest residual.

    Groups are prepared one after the other, and followed in threads meanwhile; no more are in memory than these have.
    """
    tolerance, group, progress = how
    shape = len(made), len(asked.years), len(asked.economy.countries)
    values = {name: np.full(shape, np.nan) for name in QUANTITIES}
    economies = [asked.behaving(made[k]) for k in range(len(made))]
    order = _alike(economies, group)
    failed: dict[int, str] = {}
    residual, done, waiting = 0.0, 0, deque[tuple[list[int], Future[Paths]]]()

    def take() -> None:
        nonlocal residual, done
        draws, found = waiting.popleft()
        residual = max(residual, _taken(found.result(), draws, values, failed))
        done += len(draws)
        if progress is not None:
            progress(done + len(failed))

    with ThreadPoolExecutor(WORKERS) as pool:
        for begin in range(0, len(made), group):
            here = [int(k) for k in order[begin : begin + group]]
            ready = _prepared(asked, made, economies, here, failed)
            if not ready:
                continue
            short = (
                group - len(ready) if len(made) > group else 0
            )  # filled up, so that one program serves all
            parts = [*ready.values(), *[next(iter(ready.values()))] * short]
            waiting.append(
                (list(ready), pool.submit(_followed, parts, economies[here[len(here) // 2]], tolerance))
            )
            while len(waiting) > (WORKERS if begin else 0):  # the first one compiles for all
                take()
        while waiting:
            take()
    return values, dict(sorted(failed.items())), residual


def _alike(economies: Sequence[Economy], group: int) -> NDArray[np.int_]:
    """An order in which draws of like trade elasticities stand together: the fewer steps their search takes.

    Strips along the first principal component of log θ, sorted by the second within.
    """
    logs = np.log([np.asarray(each.trade_elasticity) for each in economies])
    axes = np.linalg.svd(logs - logs.mean(axis=0), full_matrices=False)[2]
    level, pattern = (logs @ axes[k] if k < len(axes) else np.zeros(len(logs)) for k in (0, 1))
    groups = -(-len(logs) // group)
    strip = group * -(-groups // max(1, round(np.sqrt(groups))))
    place = np.empty(len(logs), int)
    place[np.argsort(level, kind="stable")] = np.arange(len(logs)) // strip
    return np.lexsort((pattern, place))


def _prepared(
    asked: _Asked, made: Draws, economies: Sequence[Economy], here: list[int], failed: dict[int, str]
) -> dict[int, tuple[Maker, list[list[Year]]]]:
    """The years of some draws; those that are refused go into `failed`."""
    ready = {}
    for k in here:
        try:
            ready[k] = asked.paths(made[k], economies[k])
        except DetenteError as problem:
            failed[k] = str(problem)
    return ready


def _followed(parts: list[tuple[Maker, list[list[Year]]]], middle: Economy, tolerance: float) -> Paths:
    """The paths of some draws, two a draw."""
    makers = [maker for maker, _ in parts for _ in (0, 1)]
    return follow(
        makers[0].economy,
        [path for _, both in parts for path in both],
        _side_by_side([maker.growth for maker in makers]),
        tolerance=tolerance,
        apart=(makers[0].target,),
        economies=[maker.economy for maker in makers],
        made=_steering(middle),
    )


def _steering(economy: Economy) -> Preconditioner:
    """The linear response at a draw's baseline; not kept on disk, as no other run has this draw."""
    if economy.factor_mobility is not None or economy.resource_share is not None:
        return baseline_preconditioner(economy)
    at = situation(economy, Shock())
    return preconditioner(system(at, np.zeros(len(economy.countries), int)), start(economy, at))


def _side_by_side(each: Sequence[Growth | None]) -> Growth | None:
    """Growth of each path as [country, path]."""
    first = each[0]
    if first is None:
        return None

    def joined(name: str) -> NDArray | None:
        parts = [getattr(one, name) for one in each]
        return None if parts[0] is None else np.stack([np.asarray(part) for part in parts], axis=-1)

    names = ("capital_share", "depreciation", "investment_share", "mix")
    return replace(first, **{name: joined(name) for name in names})


def _taken(found: Paths, draws: list[int], values: dict[str, NDArray], failed: dict[int, str]) -> float:
    """Put the results of some draws into `values` and `failed`; the largest residual."""
    residual = 0.0
    for place, k in enumerate(draws):
        pair = slice(2 * place, 2 * place + 2)
        if not found.converged[pair].all():
            failed[k] = next(filter(None, found.message[pair]), "A year has no solution.")
            continue
        residual = max(residual, float(found.residual[:, pair].max()))
        for name, key in QUANTITIES.items():
            before, after = np.moveaxis(found.values[key][..., pair], -1, 0)
            values[name][k] = 100 * (after / before - 1)
    return residual
