"""A coalition of senders against a target: the equilibria of all its parts, and the game that they make.

A member keeps all its sanctions on the target or has lifted all of them; who is no member keeps its own throughout. With m
members there are 2^m situations. They share all trade but that between members and target, so that one goes over into
another by exchanging the weights of some pairs (`stack.Mixture`), and all are solved side by side.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from detente import game, labels
from detente.ballot import UNANIMITY, pivotal_gain
from detente.batch import BLOCK, Equilibria, holds_together, solve_many, solve_mixture
from detente.burden import equal_burden
from detente.calibration import UNITS_IN_USD
from detente.economy import Economy
from detente.equilibrium import TOLERANCE
from detente.errors import ConvergenceError, InputError
from detente.game import Effects, Efficiency, bits
from detente.intensity import Intensities, Payoffs, cooperative, nash
from detente.roster import MEMBERS, TARGET, Roster, canonical, kept, lifted, roster
from detente.scenario import Scenario
from detente.shock import Shock
from detente.situation import situation
from detente.stack import Mixture, mixture

BYSTANDERS = ("CHN", "IND", "TUR", "SAU", "ARE", "KAZ", "BRA")
SLACK = 1e-3  # of a member's stakes: a gain from another intensity that its search cannot tell from none
NEEDED = ("real_income_change", "income")


@dataclass(frozen=True, eq=False, repr=False)
class Coalition:
    """The equilibria of all 2^m coalitions of senders, and what follows from them. Money is in `money`.

    keep: the situation in which all keep; lift: the one in which no member does. variation: equivalent variation against
    coalition 0, in which nobody keeps [country, coalition]; a coalition is a bit mask, bit k set where member k keeps, and
    not a number where it has no solution. income: spending in coalition 0 [country]. messages: {coalition: why it has no
    solution}. residual: the largest; alone: how many were solved by themselves. real_income: that of coalition 0 over
    the data year's [country]. mixture: what lies between keep and lift, None where it cannot be mixed.
    """

    economy: Economy
    keep: Scenario
    lift: Scenario
    roster: Roster
    target: str
    variation: xr.DataArray
    income: xr.DataArray
    messages: dict[int, str]
    residual: float
    alone: int
    tolerance: float
    real_income: NDArray = field(repr=False)
    mixture: Mixture | None = field(repr=False, default=None)

    # Tables -------------------------------------------------------------------------------------------------

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the members, in the order of the bits."""
        return self.roster.names

    @property
    def money(self) -> str:
        """The unit of amounts of money."""
        return money_of(self.economy)

    def worth(self, countries: str | Sequence[str]) -> NDArray:
        """Equivalent variation of countries taken as one, in every coalition [2^m].

        Raises `InputError` for unknown names.
        """
        codes = labels.resolve_countries(countries, list(self.economy.countries))
        return self.variation.sel(country=codes).sum("country", skipna=False).to_numpy()

    @cached_property
    def on_target(self) -> NDArray:
        """That of the target [2^m]. Raises `ConvergenceError` where a coalition has no solution, with the reason."""
        self._refuse_missing()
        return self.variation.to_numpy()[self.roster.target].sum(axis=0)

    @cached_property
    def own(self) -> NDArray:
        """That of each member [m, 2^m]. Raises as `on_target`."""
        self._refuse_missing()
        return np.stack([self.variation.to_numpy()[at].sum(axis=0) for at in self.roster.places])

    @cached_property
    def member_income(self) -> NDArray:
        """Spending of each member in coalition 0 [m]."""
        return np.array([self.income.to_numpy()[at].sum() for at in self.roster.places])

    def _refuse_missing(self) -> None:
        if self.messages:
            first, why = next(iter(self.messages.items()))
            kept = ", ".join(self.members[k] for k in bits(first)) or "nobody"
            raise ConvergenceError(
                f"{len(self.messages)} of {2 ** len(self.members)} coalitions have no solution, the first that in which "
                f"{kept} keeps: {why} Exact Shapley values need every coalition. Leave a member out, or use another "
                "closure."
            )

    # The game -----------------------------------------------------------------------------------------------

    @property
    def negligible(self) -> float:
        """The effect below which the solver's tolerance cannot be told from nil, in `money`."""
        return self.tolerance * float(
            max(self.member_income.max(), self.income.to_numpy()[self.roster.target].sum())
        )

    @cached_property
    def effects(self) -> Effects:
        """What each member's keeping does to itself and to the target, at every coalition (`game.effects`)."""
        return game.effects(self.on_target, self.own, self.negligible)

    @cached_property
    def voting(self) -> Effects:
        """The same where a bloc renews its measures by unanimity: the gain of the state that decides stands for the bloc's.

        A state's worth of the target's loss is its part of the bloc's, by income. Its gain is scaled up to the bloc's
        income, so that the bloc keeps exactly where its least willing state has no loss.
        """
        own = self.effects.own.copy()
        for i, at in enumerate(self.roster.places):
            if len(at) > 1:
                share = self.income.to_numpy()[at] / self.member_income[i]
                gains = game.marginal(self.variation.to_numpy()[at], i) / share[:, None]
                own[i] = pivotal_gain(gains.T, UNANIMITY)
        return Effects(np.where(np.abs(own) <= self.negligible, 0.0, own), self.effects.hurt)

    def decider(self, member: int, coalition: int) -> str:
        """The state of a bloc with the least gain from its keeping, relative to income, at a coalition."""
        at = self.roster.places[member]
        gains = (
            game.marginal(self.variation.to_numpy()[at], member)[:, coalition] / self.income.to_numpy()[at]
        )
        return self.economy.countries[at[int(gains.argmin())]]

    @cached_property
    def efficiency(self) -> Efficiency:
        """Shapley values of pressure and cost (`game.efficiency`)."""
        return game.efficiency(self.on_target, self.own)

    def without(self, leavers: Iterable[int]) -> int:
        """The coalition of all but some members."""
        return sum(1 << k for k in range(len(self.members)) if k not in set(leavers))

    def frame(self, leavers: Sequence[int] = (), veto: bool = False) -> pd.DataFrame:
        """One row a member.

        pressure (the target's loss it is due to: Shapley value), pressure_alone, pressure_last; cost (borne in the full
        coalition), cost_percent (of spending), cost_caused (to all members by its keeping: Shapley value), keeping_costs
        (itself, all others keeping), break_even and break_even_after (λ, in the full coalition and after `leavers` have
        left; not a number for these), exit_effect (on its welfare, of the leavers' exit), forgone (what it does not gain
        by not following them), transfer (received for an equal burden). veto: blocs by `voting`.
        """
        found = self.voting if veto else self.effects
        after, full = self.without(leavers), self.without(())
        level = game.break_even(found)
        out = np.isin(np.arange(len(self.members)), list(leavers))
        cost = -self.own[:, full]
        columns = {
            "pressure": self.efficiency.pressure,
            "pressure_alone": game.alone(-self.on_target),
            "pressure_last": game.last(-self.on_target),
            "cost": cost,
            "cost_percent": 100 * cost / self.member_income,
            "cost_caused": self.efficiency.caused,
            "keeping_costs": -self.effects.own[:, full],
            "break_even": level[:, full],
            "break_even_after": np.where(out, np.nan, level[:, after]),
            "exit_effect": self.own[:, after] - self.own[:, full],
            "forgone": np.where(out, np.nan, -self.effects.own[:, after]),
            "transfer": equal_burden(self.own[:, full], self.member_income),
        }
        return pd.DataFrame(columns, index=pd.Index(self.members, name="member"))

    def exits(self, parties: Sequence[str] = ()) -> pd.DataFrame:
        """What each party gains when one member alone leaves the full coalition [party, leaver], in `money`.

        parties: countries or groups; left out, the bystanders named in `BYSTANDERS` that the world has, and as `others` all
        countries together that are neither members nor target.
        """
        rows = {name: self.worth(name) for name in parties or self.named_bystanders()}
        if not parties:
            rows["others"] = self.variation.to_numpy()[self.bystanders()].sum(axis=0)
        return pd.DataFrame(
            {name: -game.last(values) for name, values in rows.items()}, index=list(self.members)
        ).T

    def payoffs(self, worth: ArrayLike) -> Payoffs:
        """EV_i(x) − λ_i EV_target(x) as a function of intensities x [m, z], in `money` [m, z], λ being `worth`.

        The weights of a member's pairs with the target lie linearly between lift and keep. Raises `InputError` where
        keep and lift cannot be mixed; the function raises `ConvergenceError` where an equilibrium is not found.
        """
        between, lam = self.mixture, np.broadcast_to(np.asarray(worth, float), len(self.members))[:, None]
        if between is None:
            raise InputError(
                "Intensities between 0 and 1 need situations that can be mixed: without evasion, price caps and quotas."
            )

        def at(x: NDArray) -> NDArray:
            found = solve_mixture(self.economy, between, x, names=NEEDED, tolerance=0.1 * self.tolerance)
            if not found.converged.all():
                raise ConvergenceError(
                    f"At some intensities no equilibrium was found: {next(filter(None, found.message))}"
                )
            growth = found.values["real_income_change"] / self.real_income[:, None]
            worth = self.income.to_numpy()[:, None] * (growth - 1)
            own = np.stack([worth[at].sum(axis=0) for at in self.roster.places])
            return own - lam * worth[self.roster.target].sum(axis=0)

        return at

    def nash(self, worth: ArrayLike, **how: Any) -> list[Intensities]:
        """Intensities from which no member gains alone (`intensity.nash`), at λ = `worth`, one or by member."""
        return nash(self.payoffs(worth), len(self.members), slack=self._slack(worth), **how)

    def cooperative(self, worth: ArrayLike, **how: Any) -> list[Intensities]:
        """Intensities that maximise the sum of payoffs (`intensity.cooperative`), at λ as in `nash`."""
        slack = self._slack(worth).max()
        return cooperative(self.payoffs(worth), len(self.members), slack=slack, **how)

    def _slack(self, worth: ArrayLike) -> NDArray:
        """The gain from another intensity that counts as none: `SLACK` of what keeping does to a payoff's two terms."""
        own, hurt = (np.abs(effect[:, -1]) for effect in self.effects)
        return SLACK * (own + np.asarray(worth, float) * hurt) + 10 * self.negligible

    def bystanders(self) -> NDArray:
        """Places of all countries that are neither members nor target."""
        taken = np.concatenate([*self.roster.places, self.roster.target])
        return np.setdiff1d(np.arange(len(self.economy.countries)), taken)

    def named_bystanders(self) -> list[str]:
        """Those of `BYSTANDERS` in this world, or its first countries that are bystanders where none is."""
        outside = [self.economy.countries[at] for at in self.bystanders()]
        return [code for code in BYSTANDERS if code in outside] or outside[:8]

    def __repr__(self) -> str:
        return (
            f"Coalition of {', '.join(self.members)} against {self.target}: {2 ** len(self.members)} equilibria, "
            f"residual {self.residual:.1e}"
            + (f", {len(self.messages)} without a solution" if self.messages else "")
        )


# Computing it -----------------------------------------------------------------------------------------------


def coalition(
    economy: Economy,
    scenario: str | Scenario = "us-relief",
    members: str | Sequence[str] = MEMBERS,
    target: str = TARGET,
    *,
    tolerance: float = TOLERANCE,
    block: int = BLOCK,
    progress: Callable[[int], None] | None = None,
) -> Coalition:
    """Solve all 2^m coalitions of `members` against `target`.

    scenario: what is kept. Of a scenario that does nothing but lift, it is the situation that it is compared with, as
    `status-quo-2025` for `us-relief`; of any other, the scenario itself. members: up to 16 countries or groups (blocs);
    each keeps all it has there, or lifts all its measures on the target. The target keeps its own in all of them.
    progress: called with the number of coalitions done. With evasion or instruments, or where a coalition could fall apart,
    coalitions are solved one by one as scenarios, which is slower.
    Raises `InputError` for unknown names, members that overlap or have nothing to lift, and a scenario with outcomes;
    `ConvergenceError` where the coalition in which nobody keeps has no solution.
    """
    keep = kept(Scenario.load(scenario))
    target = canonical(target, economy.countries)
    who = roster(economy, members, target)
    lift = lifted(keep, who.names, target)
    shocks = [_shock(side, economy) for side in (keep, lift)]
    between = _between(economy, shocks, who.owner)
    m, how = len(who.names), {"names": NEEDED, "tolerance": tolerance, "block": block, "progress": progress}
    if between is not None:
        found = solve_mixture(economy, between, game.membership(m).astype(float), **how)
    else:
        found = solve_many(economy, _one_by_one(economy, keep, who, target), **how)
    return _labelled(economy, (keep, lift), who, target, found, tolerance, between)


def money_of(economy: Economy) -> str:
    """The unit of amounts of money for an economy."""
    return "USD billion" if economy.unit in UNITS_IN_USD else economy.unit


def unit_of(economy: Economy) -> float:
    """World factor income, the numéraire, in `money_of`."""
    return economy.unit_value * UNITS_IN_USD.get(economy.unit, 1e9) / 1e9


def _shock(side: Scenario, economy: Economy) -> Shock:
    try:
        return side.shock(economy)
    except InputError as problem:
        if "lifting ends nothing" not in str(problem):
            raise
        raise InputError(f"{problem} Leave out of the members whoever has nothing to lift.") from None


def _between(economy: Economy, shocks: Sequence[Shock], owner: NDArray) -> Mixture | None:
    """What lies between keep and lift, None where coalitions must be solved one by one."""
    if any(shock.instruments or shock.evasion is not None for shock in shocks):
        return None
    keep, lift = (situation(economy, shock) for shock in shocks)
    made = mixture(keep, lift, owner)
    return made if holds_together(economy, made) else None


def _one_by_one(economy: Economy, keep: Scenario, who: Roster, target: str) -> Iterable[Shock]:
    """The shock of every coalition, as a scenario of its own."""
    for mask in range(2 ** len(who.names)):
        out = [name for k, name in enumerate(who.names) if not mask >> k & 1]
        yield _shock(lifted(keep, out, target) if out else keep, economy)


def _labelled(
    economy: Economy,
    sides: tuple[Scenario, Scenario],
    who: Roster,
    target: str,
    found: Equilibria,
    tolerance: float,
    between: Mixture | None,
) -> Coalition:
    if not found.converged[0]:
        raise ConvergenceError(f"The situation in which nobody keeps has no solution: {found.message[0]}")
    income = found.values["income"][:, 0] * unit_of(economy)
    growth = found.values["real_income_change"]
    masks = np.arange(len(found))
    attrs = {
        "units": money_of(economy),
        "long_name": "Equivalent variation against the coalition in which nobody keeps",
    }
    places = {"country": list(economy.countries), "coalition": masks}
    worth = income[:, None] * (growth / growth[:, :1] - 1)
    return Coalition(
        economy=economy,
        keep=sides[0],
        lift=sides[1],
        roster=who,
        target=target,
        variation=xr.DataArray(worth, places, ("country", "coalition"), attrs=attrs),
        income=xr.DataArray(income, {"country": list(economy.countries)}, attrs={"units": money_of(economy)}),
        messages={int(k): found.message[k] for k in masks[~found.converged]},
        residual=float(np.nanmax(found.residual)),
        alone=int(found.alone.sum()),
        tolerance=tolerance,
        real_income=growth[:, 0],
        mixture=between,
    )
