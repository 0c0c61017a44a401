"""Many scenarios at once, labelled: the door to `detente.batch` for people who think in scenarios."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from detente import labels
from detente.batch import Equilibria, solve_many
from detente.calibration import UNITS_IN_USD
from detente.digits import format_percent
from detente.economy import Economy
from detente.equilibrium import TOLERANCE, Result
from detente.errors import ConvergenceError, DetenteError, InfeasibleError, InputError
from detente.scenario import BASELINE, Scenario, several
from detente.scenario_plain import same
from detente.shock import Shock
from detente.terminal import GAP

Situation = Scenario | Shock | str | PathLike[str] | Mapping[str, Any]
NAMES = ("real_income_change", "income", "wage_change", "consumer_price_change")
SHOWN = 6  # scenarios and countries that a printed result has room for
LONG_NAMES = {
    "real_income": ("percent", "Real income"),
    "equivalent_variation": ("money", "Equivalent variation"),
    "income_before": ("money", "Spending before"),
    "wage": ("percent", "Wage, against world factor income"),
    "consumer_price": ("percent", "Consumer price, against world factor income"),
    "result": ("code", "How the solves ended: 0 solved, else a code of `detente.Result`"),
    "message": ("text", "Why there is no result, or nothing"),
    "residual": ("ratio", "The larger of the two relative residuals"),
}
RAISED = {Result.INFEASIBLE: InfeasibleError, Result.REFUSED: InputError}


def simulate_many(
    economy: Economy,
    scenarios: Iterable[Situation | tuple[Economy, Situation]],
    against: Situation | None = None,
    *,
    tolerance: float = TOLERANCE,
    progress: Callable[[int, int], Any] | None = None,
    throw: bool = False,
) -> "Outcomes":
    """What changes under each of many scenarios, solved side by side; every situation is solved once.

    scenarios: each what `simulate` takes (a `Scenario`, a shipped name, a YAML file, a mapping, a `Shock`), or a pair
        (economy, scenario) where behaviour differs: economies of the same baseline and kinds of behaviour as `economy`.
    against: what all are compared with; None takes each scenario's own comparison (the data year for a `Shock`).
    progress: told how many situations are solved, and of how many.
    A scenario without a solution has a code and a message in `data`, and NaN; with throw=True the first one raises, as
    `simulate` does. Raises `InputError` for a scenario that cannot be read, and for one with possible outcomes.
    """
    asked = _asked(economy, scenarios, against)
    places: dict[tuple[int, Any], int] = {}
    wanted: list[tuple[Economy, Scenario | Shock]] = []
    pairs = []
    for each in asked:
        sides = []
        for side in (each.before, each.after):
            key = id(each.economy), id(side) if isinstance(side, Shock) else same(side)
            if key not in places:
                places[key] = len(wanted)
                wanted.append((each.economy, side))
            sides.append(places[key])
        pairs.append(sides)
    solved = _solved(economy, wanted, tolerance, progress)
    found = Outcomes(
        economy, tuple(_numbered([each.after.name for each in asked])), asked, solved, np.array(pairs, int)
    )
    if throw:
        found.refuse_failed()
    return found


class Asked(NamedTuple):
    """One comparison: the economy, the situation examined and the one compared with."""

    economy: Economy
    before: Scenario | Shock
    after: Scenario | Shock


@dataclass(frozen=True, repr=False)
class Outcomes:
    """Many comparisons of two situations; `data` holds the results as an xarray Dataset.

    `data` variables: real_income, wage, consumer_price in percent of the situation compared with; equivalent_variation and
    income_before in `money` [country, scenario]; result (codes of `Result`, that of the situation compared with first),
    message, residual [scenario]. names: of the scenarios, numbered where several have the same.
    """

    economy: Economy
    names: tuple[str, ...]
    asked: Sequence[Asked] = field(repr=False)
    solved: Equilibria = field(repr=False)
    pairs: NDArray[np.int_] = field(repr=False)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def money(self) -> str:
        """The unit of amounts of money."""
        return "USD billion" if self.economy.unit in UNITS_IN_USD else self.economy.unit

    @property
    def data(self) -> xr.Dataset:
        """All results, labelled (see the class)."""
        before, after = self.pairs.reshape(-1, 2).T
        lost = (self.solved.result[before] > 0) | (self.solved.result[after] > 0)
        values = {
            name: tuple(np.where(lost, np.nan, each[:, side]) for side in (before, after))
            for name, each in self.solved.values.items()
        }
        ratio = {name: new / old for name, (old, new) in values.items() if name != "income"}
        income = (
            values["income"][0] * self.economy.unit_value * UNITS_IN_USD.get(self.economy.unit, 1e9) / 1e9
        )
        both = ("country", "scenario")
        first = np.where(self.solved.result[before] > 0, before, after)
        variables = {
            "real_income": (both, 100 * (ratio["real_income_change"] - 1)),
            "equivalent_variation": (both, income * (ratio["real_income_change"] - 1)),
            "income_before": (both, income),
            "wage": (both, 100 * (ratio["wage_change"] - 1)),
            "consumer_price": (both, 100 * (ratio["consumer_price_change"] - 1)),
            "result": ("scenario", self.solved.result[first]),
            "message": ("scenario", np.array([self.solved.message[k] for k in first], object)),
            "residual": ("scenario", np.fmax(self.solved.residual[before], self.solved.residual[after])),
        }
        against = ("scenario", [each.before.name for each in self.asked])
        coords = {"country": list(self.economy.countries), "scenario": list(self.names), "against": against}
        data = xr.Dataset(variables, coords)
        for name, (unit, told) in LONG_NAMES.items():
            data[name].attrs = {"units": self.money if unit == "money" else unit, "long_name": told}
        return data

    @property
    def converged(self) -> bool:
        """Whether every situation was solved to the tolerance."""
        return bool(self.solved.converged.all())

    @property
    def failed(self) -> dict[str, str]:
        """{scenario without a solution: why}."""
        data = self.data
        codes, told = data["result"].values, data["message"].values
        return {name: str(why) for name, code, why in zip(self.names, codes, told, strict=True) if code}

    def refuse_failed(self) -> None:
        """Raises the error of the first scenario without a solution, if there is one."""
        for name, code, why in zip(
            self.names, self.data["result"].values, self.data["message"].values, strict=True
        ):
            if code:
                raise RAISED.get(Result(code), ConvergenceError)(f"Scenario `{name}`: {why}")

    def group(self, countries: str | Sequence[str]) -> xr.Dataset:
        """Real income (percent), equivalent variation and spending before of countries taken as one [scenario].

        Money adds up; the percentage is the sum of equivalent variations over the sum of spending. Raises `InputError` for
        unknown names.
        """
        codes = labels.resolve_countries(countries, list(self.economy.countries))
        part = (
            self.data[["equivalent_variation", "income_before"]]
            .sel(country=codes)
            .sum("country", skipna=False)
        )
        real = 100 * part["equivalent_variation"] / part["income_before"]
        found = part.assign(real_income=real)[["real_income", "equivalent_variation", "income_before"]]
        for name in found:
            unit, told = LONG_NAMES[str(name)]
            found[name].attrs = {"units": self.money if unit == "money" else unit, "long_name": told}
        return found

    def __repr__(self) -> str:
        data, failed = self.data, self.failed
        told = "all solved" if not failed else f"{len(failed)} without a solution (NaN; see `.failed`)"
        lines = [f"{len(self)} scenarios × {len(self.economy.countries)} countries, {told}"]
        if len(self):
            lines += ["", *_table(data["real_income"].values, list(self.economy.countries), self.names)]
        return "\n".join(
            [*lines, "", f"`.data` has real income, equivalent variation ({self.money}), wages and prices as xarray;",
             '`.group("EU27")` takes countries as one; `.data.sel(scenario=…)` is one scenario.']
        )  # fmt: skip


def _table(values: NDArray, countries: list[str], names: Sequence[str]) -> list[str]:
    """Real income of the countries that it moves most, for the first scenarios."""
    size = np.nanmax(np.abs(np.where(np.isfinite(values), values, 0.0)), axis=1)
    rows = np.argsort(-size, kind="stable")[:SHOWN]
    columns = [name if len(name) <= 18 else f"{name[:17]}…" for name in names[:SHOWN]]
    head = f"{'real income':24}" + "".join(f"{GAP}{name:>18}" for name in columns)
    lines = [
        f"{labels.country_name(countries[row])[:24]:24}"
        + "".join(f"{GAP}{format_percent(value):>18}" for value in values[row, :SHOWN])
        for row in rows
    ]
    more = len(names) - SHOWN
    return [head, *lines, *([f"… and {more} more scenarios"] if more > 0 else [])]


# Solving ----------------------------------------------------------------------------------------------------


def _asked(
    economy: Economy, scenarios: Iterable[Situation | tuple[Economy, Situation]], against: Situation | None
) -> list[Asked]:
    if isinstance(scenarios, str | PathLike | Mapping | Scenario | Shock):
        raise InputError(
            "`scenarios` is one scenario; expected a sequence of them. For one alone use `simulate`."
        )
    given = None if against is None else _single(against, "the comparison")
    loaded: dict[str, Scenario | Shock] = {}
    found = []
    for k, each in enumerate(scenarios):
        own, scenario = each if isinstance(each, tuple) else (economy, each)
        if not isinstance(own, Economy) or own.countries != economy.countries:
            raise InputError(
                f"Scenario {k + 1}: a pair is (economy, scenario), its economy of the same countries."
            )
        after = _loaded(scenario, f"scenario {k + 1}", loaded)
        own_against = after.against if isinstance(after, Scenario) else BASELINE
        before = given or _loaded(own_against, f"what scenario {k + 1} is compared with", loaded)
        found.append(Asked(own, before, after))
    return found


def _loaded(given: Situation, what: str, loaded: dict[str, Scenario | Shock]) -> Scenario | Shock:
    """The same as `_single`, a name read once."""
    if not isinstance(given, str):
        return _single(given, what)
    if given not in loaded:
        loaded[given] = _single(given, what)
    return loaded[given]


def _single(given: Situation, what: str) -> Scenario | Shock:
    found = given if isinstance(given, Shock) else Scenario.load(given)
    if isinstance(found, Scenario) and found.outcomes:
        raise InputError(f"As {what}, {several(found, 'situation')}")
    return found


def _solved(
    economy: Economy,
    wanted: Sequence[tuple[Economy, Scenario | Shock]],
    tolerance: float,
    progress: Callable[[int, int], Any] | None,
) -> Equilibria:
    """Every situation in its place; shocks are made as the batch asks for them, those refused get their message."""
    refused: dict[int, str] = {}

    def shocks() -> Iterator[tuple[Economy, Shock]]:
        for k, (own, side) in enumerate(wanted):
            try:
                yield own, side if isinstance(side, Shock) else side.shock(own)
            except DetenteError as problem:
                refused[k] = str(problem)

    def told(done: int) -> None:
        if progress is not None:
            progress(done + len(refused), len(wanted))

    first = wanted[0][0] if wanted else economy
    found = solve_many(first, shocks(), names=NAMES, tolerance=tolerance, progress=told)
    return spaced(found, refused, len(wanted), len(economy.countries))


def spaced(found: Equilibria, refused: Mapping[int, str], count: int, countries: int) -> Equilibria:
    """Solved situations in their places among `count`, those refused with NaN and their message. Arrays by country."""
    there = np.array([k for k in range(count) if k not in refused], int)

    def put(values: NDArray, empty: Any) -> NDArray:
        made = np.full((*np.shape(values)[:-1], count), empty, np.asarray(values).dtype)
        made[..., there] = values
        return made

    def by_country(values: NDArray) -> NDArray:
        return put(values, np.nan) if len(there) else np.full((countries, count), np.nan)

    message = dict(zip(there.tolist(), found.message, strict=True)) | dict(refused)
    return Equilibria(
        values={name: by_country(each) for name, each in found.values.items()},
        result=put(found.result, int(Result.REFUSED)),
        message=tuple(message[k] for k in range(count)),
        residual=put(found.residual, np.nan),
        steps=put(found.steps, 0),
        sweeps=put(found.sweeps, 0),
        alone=put(found.alone, True),
    )


def _numbered(names: Sequence[str]) -> list[str]:
    """Names that occur once: those that several have get a number."""
    often, seen = Counter(names), Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(f"{name} #{seen[name]}" if often[name] > 1 else name)
    return found
