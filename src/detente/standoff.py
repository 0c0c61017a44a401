"""A coalition over years: members keep their sanctions or have lifted them from a year on, with capital and memory.

Until that year, the decision, all 2^m coalitions have one path in common. From then on the trade of a member's pairs with
the target is, in every year, that of the path on which all keep or that of the one on which all have lifted, with the
customers that each has lost by then: two situations a year make the trade of all coalitions (`stack.Mixture`). Owners
and finance are put together for each (`course.Maker`).

A coalition's welfare is the annuity of what it gives year by year. With c_t what is spent on consumption where nobody
keeps, Ĉ consumption in real terms, T years from the decision on and f = 1/(1 + rate),

    EV_t(S) = c_t (Ĉ_t(S)/Ĉ_t(∅) − 1),     EV(S) = (1 − f) [Σ_{t<T} f^t EV_t(S) + f^T/(1 − f) EV_{T−1}(S)]

so that a gain that is the same in all years is its own annuity, and one year of a world without capital and memory gives
what `senders.coalition` gives.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from detente.accumulation import present_value
from detente.batch import BLOCK, Equilibria, holds_together, solve_mixture
from detente.course import Maker, Settings
from detente.departure import Departure, around
from detente.dynamics import Paths, Year, follow
from detente.economy import Economy
from detente.equilibrium import TOLERANCE
from detente.errors import ConvergenceError, InputError
from detente.game import bits, membership
from detente.roster import MEMBERS, TARGET, canonical, kept, lifted, roster
from detente.scenario import Scenario
from detente.schedule import Calendar, Moment
from detente.senders import Coalition, money_of, unit_of
from detente.shock import Shock
from detente.situation import situation
from detente.stack import Mixture, mixture

STEP = 8  # coalitions are filled up to a multiple of so many: few programs are compiled, little is solved in vain
MOST = 16_384  # equilibria: 1 024 coalitions in 16 years, a few minutes


@dataclass(frozen=True, eq=False, repr=False)
class CoalitionPath(Coalition):
    """A coalition over time: a `Coalition` whose variations are annuities, in `money` a year.

    income: the annuity of consumption where nobody keeps, of which percentages are. by_year: EV_t(S)
    [year, country, coalition]. years: from the decision on. settings: what links them.
    """

    years: tuple[int, ...] = ()
    settings: Settings = field(default_factory=Settings)
    by_year: xr.DataArray = field(repr=False, default_factory=xr.DataArray)

    def payoffs(self, worth: Any) -> Any:
        """Raises `InputError`: over time a member keeps or has lifted."""
        raise InputError(
            "Over time a member keeps or has lifted. Ask a coalition of one year for intensities."
        )

    def __repr__(self) -> str:
        return (
            f"Coalition of {', '.join(self.members)} against {self.target}, {self.years[0]} to {self.years[-1]}: "
            f"{2 ** len(self.members)} paths, residual {self.residual:.1e}"
        )


def coalition_path(
    economy: Economy,
    scenario: str | Scenario = "us-relief",
    members: str | Sequence[str] = MEMBERS,
    target: str = TARGET,
    *,
    years: Sequence[int],
    decision: int | None = None,
    settings: Settings | None = None,
    tolerance: float = TOLERANCE,
    block: int = BLOCK,
    progress: Callable[[int], None] | None = None,
) -> CoalitionPath:
    """Follow all 2^m coalitions of `members` against `target` over years.

    years: in ascending order; up to the decision the catalogue holds. decision: the year from which members that do not
    keep have lifted; left out, the year of the scenario's day, and the first year where it has none. The rest as in
    `senders.coalition` and `transition.simulate_path`. progress: called with the number of coalitions done.
    Raises `InputError` for what cannot be used and for more than `MOST` equilibria; `ConvergenceError` where the path
    on which nobody keeps has a year without a solution.
    """
    made = Standoff(
        economy, scenario, members, target, years=years, decision=decision, settings=settings, tolerance=tolerance,
        block=block,
    )  # fmt: skip
    return made.coalition(progress)


class Standoff:
    """What all coalitions share over the years, made once; coalitions are solved as they are asked for.

    roster: who is a member; years: from the decision on; messages: why a coalition has no solution, by bit mask; residual:
    the largest; alone: how many equilibria were solved by themselves. Arguments and what is raised as `coalition_path`.
    """

    def __init__(
        self,
        economy: Economy,
        scenario: str | Scenario = "us-relief",
        members: str | Sequence[str] = MEMBERS,
        target: str = TARGET,
        *,
        years: Sequence[int],
        decision: int | None = None,
        settings: Settings | None = None,
        tolerance: float = TOLERANCE,
        block: int = BLOCK,
    ):
        self.economy, self.settings = economy, settings or Settings()
        self.tolerance, self.block = tolerance, block
        self.keep = kept(Scenario.load(scenario))
        self.target = canonical(target, economy.countries)
        self.roster = roster(economy, members, self.target)
        self._refuse()
        self.lift = lifted(self.keep, self.roster.names, self.target)
        self.maker = Maker(economy, self.target, self.settings)
        self._bare = Maker(economy, self.target, replace(self.settings, hysteresis=None))
        self._whole, self._before = tuple(years), self._decided(decision, years)
        self.years = self._whole[self._before :]
        self._worth: dict[int, NDArray] = {}
        self.messages: dict[int, str] = {}
        self.residual = 0.0
        self.alone = 0
        self._consumed, self._level = np.empty(0), np.empty(0)

    # Before any coalition is solved ------------------------------------------------------------------------

    def _refuse(self) -> None:
        if len(self.roster.target) != 1:
            raise InputError(
                f"The target `{self.target}` is several countries; over time expected one, as RUS."
            )
        if self.settings.reversal > 0:
            raise InputError(
                "A chance of reversal is for relief by one scenario (`simulate_path`). Leave it out over coalitions."
            )

    def _decided(self, decision: int | None, years: Sequence[int]) -> int:
        """The place of the decision among the years."""
        if not len(years) or list(years) != list(range(years[0], years[0] + len(years))):
            raise InputError(
                f"The years are {list(years)}; expected one after the other, as range(2022, 2036)."
            )
        day = self.keep.regime
        earliest = max(years[0], day.year) if day is not None else years[0]
        year = earliest if decision is None else decision
        if not earliest <= year <= years[-1]:
            raise InputError(
                f"The decision is in {year} and the years go from {years[0]} to {years[-1]}; expected a year from "
                f"{earliest} on among them."
            )
        return list(years).index(year)

    @cached_property
    def _moments(self) -> tuple[list[Moment], list[Moment]]:
        """All years of the path on which all keep, and of the one on which all lift at the decision."""
        calendar = Calendar(self.economy, self.target)
        try:
            sides = (self.keep, {}), (self.lift, {"before": self.keep, "lifted_in": self.years[0]})
            keep, lift = (calendar.moments(side, self._whole, **more) for side, more in sides)
            return keep, lift
        except InputError as problem:
            if "lifting ends nothing" not in str(problem):
                raise
            raise InputError(f"{problem} Leave out of the members whoever has nothing to lift.") from None

    @cached_property
    def _shared(self) -> tuple[list[Mixture], NDArray | float]:
        """By year from the decision on, what lies between the two; and capital at the decision."""
        keep, lift = (self.maker.years(moments)[0] for moments in self._moments)
        later = zip(keep[self._before :], lift[self._before :], strict=True)
        return [self._mixed(*pair) for pair in later], self._trunk(keep[: self._before])

    def _mixed(self, keep: Year, lift: Year) -> Mixture:
        shocks = [replace(year.shock, claims=None, transfer=None) for year in (keep, lift)]
        if not any(shock.instruments or shock.evasion is not None for shock in shocks):
            ends = [situation(self.maker.economy, shock) for shock in shocks]
            made = mixture(ends[0], ends[1], self.roster.owner)
            if holds_together(self.maker.economy, made):
                return made
        raise InputError(
            "Coalitions with evasion, price caps or quotas, or that could leave a user without any supplier, are not "
            "followed over years. Leave these out, or ask for one year (`coalition`)."
        )

    def _trunk(self, years: list[Year]) -> NDArray | float:
        """Capital at the decision, the same for all."""
        growth = self.maker.growth
        if growth is None or not years:
            return 1.0
        at = (self.maker.target,)
        found = follow(self.maker.economy, [years], growth, tolerance=self.tolerance, apart=at)
        if not found.converged.all():
            raise ConvergenceError(f"A year before the decision has no solution: {found.message[0]}")
        return found.next_capital[:, 0]

    # Coalitions --------------------------------------------------------------------------------------------

    @property
    def weight(self) -> NDArray:
        """What each year counts for in an annuity, the last with all that follow it; sums to one [year]."""
        return present_value(np.eye(len(self.years)), self.settings.rate).total * (
            1 - 1 / (1 + self.settings.rate)
        )

    @property
    def income(self) -> NDArray:
        """Spending on consumption where nobody keeps, as an annuity, `money_of` a year [country]."""
        self.solve([0])
        return self.weight @ self._consumed

    def variation(self, masks: Sequence[int]) -> NDArray:
        """The annuity of what coalitions give [country, coalition]. Raises as `solve`, and where one has no solution."""
        self.solve(masks)
        for mask in masks:
            if mask in self.messages:
                names = ", ".join(self.roster.names[k] for k in bits(mask)) or "nobody"
                raise ConvergenceError(
                    f"The path on which {names} keeps has no solution: {self.messages[mask]}"
                )
        return np.stack([self.weight @ self._worth[mask] for mask in masks], axis=-1)

    @property
    def count(self) -> int:
        """How many coalitions have been followed."""
        return len(self._worth)

    def departure(self, leavers: Sequence[int]) -> Departure:
        """What the exit of some members does, by place; solves only the coalitions around it. Raises as `variation`."""
        self.solve(around(len(self.roster.names), leavers))  # in one go
        income = self.income
        stakes = [income[at].sum() for at in (*self.roster.places, self.roster.target)]
        return Departure(self.variation, self.roster, income, tuple(leavers), self.tolerance * max(stakes))

    def solve(self, masks: Sequence[int], progress: Callable[[int], None] | None = None) -> None:
        """Follow those coalitions that have not been yet. Raises `InputError`, `ConvergenceError` as `coalition_path`."""
        left = [mask for mask in dict.fromkeys([0, *map(int, masks)]) if mask not in self._worth]
        if len(left) * len(self.years) > MOST:
            raise InputError(
                f"{len(left):,} coalitions in {len(self.years)} years are {len(left) * len(self.years):,} equilibria; "
                f"at most {MOST:,} are solved. Name fewer members (each halves the number), or an earlier last year."
            )
        for begin in range(0, len(left), self.block):
            self._take(left[begin : begin + self.block])
            if progress is not None:
                progress(len(self._worth))

    def _take(self, masks: list[int]) -> None:
        inside = membership(len(self.roster.names))[:, masks].astype(float)
        trade, capital = self._shared
        found = follow(
            self.maker.economy,
            [self._years(mask) for mask in masks],
            self.maker.growth,
            capital=capital,
            solver=lambda t, shocks, names: self._year(trade[t], inside, shocks, names),
        )
        spent, level = self._spent(found), found.values["consumption_change"]
        if not self._worth:
            if not found.converged[0]:
                raise ConvergenceError(f"The path on which nobody keeps has no solution: {found.message[0]}")
            self._consumed, self._level = spent[..., 0], level[..., 0]
        worth = self._consumed[..., None] * (level / self._level[..., None] - 1)
        self.residual = max(self.residual, float(np.nanmax(found.residual)))
        for place, mask in enumerate(masks):
            self._worth[mask] = worth[..., place]
            if not found.converged[place]:
                self.messages[mask] = found.message[place]

    def _spent(self, found: Paths) -> NDArray:
        """Spending on consumption in money [year, country, path]."""
        values, spent = found.values, 0.0
        if self.settings.capital:
            usual = (self.maker.invested * np.asarray(self.economy.income))[:, None]
            spent = usual * values["investment"] * values["investment_price_change"]
        return (values["income"] - spent) * unit_of(self.economy)

    def _years(self, mask: int) -> list[Year]:
        """A coalition's years from the decision on, without trade."""
        places = [self.roster.places[k] for k in bits(mask)]
        inside = {self.economy.countries[n] for at in places for n in at}
        moments = [
            Moment(keep.year, "", NOTHING, lift.senders | (keep.senders & inside))
            for keep, lift in zip(*self._moments, strict=True)
        ]
        return self._bare.years(moments)[0][self._before :]

    def _year(
        self, between: Mixture, inside: NDArray, shocks: Sequence[Shock], names: Sequence[str]
    ) -> Equilibria:
        """One year of some coalitions, trade from the mixture and the rest from their shocks."""
        fields = {"endowment": "endowment_change", "claims": "claims", "transfer": "transfer"}
        own = {
            name: np.stack([np.asarray(getattr(shock, key), float) for shock in shocks], axis=-1)
            for name, key in fields.items()
            if getattr(shocks[0], key) is not None
        }
        block = min(self.block, STEP * -(-len(shocks) // STEP))
        found = solve_mixture(
            self.maker.economy, between, inside, own=own, names=names, tolerance=self.tolerance, block=block
        )
        self.alone += int(found.alone.sum())
        return found

    def coalition(self, progress: Callable[[int], None] | None = None) -> CoalitionPath:
        """All 2^m of them, as a `Coalition`. Raises as `coalition_path`."""
        masks = range(2 ** len(self.roster.names))
        self.solve(masks, progress)
        countries, money = list(self.economy.countries), {"units": money_of(self.economy)}
        axes: dict[str, Any] = {"year": list(self.years), "country": countries, "coalition": list(masks)}
        by_year = np.stack([self._worth[mask] for mask in masks], axis=-1)
        name = {"long_name": "Equivalent variation against the path on which nobody keeps"}
        told = xr.DataArray(by_year, axes, ("year", "country", "coalition"), attrs=money | name)
        del axes["year"]
        annuity = np.tensordot(self.weight, by_year, axes=1)
        return CoalitionPath(
            economy=self.economy,
            keep=self.keep,
            lift=self.lift,
            roster=self.roster,
            target=self.target,
            variation=xr.DataArray(annuity, axes, ("country", "coalition"), attrs=money | name),
            income=xr.DataArray(self.income, {"country": countries}, attrs=money),
            messages=dict(self.messages),
            residual=self.residual,
            alone=self.alone,
            tolerance=self.tolerance,
            real_income=self.weight @ self._level,
            years=self.years,
            settings=self.settings,
            by_year=told,
        )


NOTHING = Shock()  # one object for all: trade is in the mixtures
