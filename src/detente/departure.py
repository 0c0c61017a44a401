"""What an exit does, from the few coalitions around it: to those who stay, to what keeps them, and who follows.

Figures need 2m + 1 coalitions in the place of 2^m: nobody, all, all but one, those who stay, and those but one. They are
read from a table [country, coalition] of welfare against coalition 0, of one year (`senders.Coalition`) or over years
(`standoff.Standoff`), so that both can stand side by side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detente.game import ROUNDING, Effects, bits, break_even, without_rounding
from detente.roster import Roster
from detente.senders import Coalition

Table = Callable[
    [Sequence[int]], NDArray
]  # coalitions as bit masks to welfare [country, coalition], in money


@dataclass(frozen=True, eq=False)
class Departure:
    """The exit of some members from the coalition of all. Amounts are in the table's money.

    table: welfare by coalition; roster: who is a member; income: what percentages are of [country]; leavers: places of
    the members that leave; negligible: effects of at most this size are nil.
    """

    table: Table = field(repr=False)
    roster: Roster
    income: NDArray = field(repr=False)
    leavers: tuple[int, ...]
    negligible: float = 0.0

    @property
    def whole(self) -> int:
        """The coalition of all."""
        return 2 ** len(self.roster.names) - 1

    @property
    def after(self) -> int:
        """The coalition of those who stay."""
        return self.whole - sum(1 << k for k in self.leavers)

    @property
    def stayers(self) -> tuple[int, ...]:
        """Places of those who stay."""
        return bits(self.after)

    @cached_property
    def known(self) -> dict[int, NDArray]:
        """Welfare [country] in the coalitions around the exit, solved in one go."""
        masks = around(len(self.roster.names), self.leavers)
        return dict(zip(masks, self.table(masks).T, strict=True))

    @cached_property
    def member_income(self) -> NDArray:
        """Income of each member [m]."""
        return np.array([self.income[at].sum() for at in self.roster.places])

    def own(self, coalition: int) -> NDArray:
        """Welfare of each member in one of the coalitions around the exit [m]."""
        return np.array([self.known[coalition][at].sum() for at in self.roster.places])

    def loss(self, coalition: int) -> float:
        """The target's loss in one of them."""
        return -float(self.known[coalition][self.roster.target].sum())

    @property
    def effect(self) -> NDArray:
        """What the exit does to each member [m]."""
        return self.own(self.after) - self.own(self.whole)

    @property
    def others(self) -> float:
        """What it does to all countries that are neither members nor target."""
        taken = np.concatenate([*self.roster.places, self.roster.target])
        return float(np.delete(self.known[self.after] - self.known[self.whole], taken).sum())

    def keeping(self, coalition: int) -> Effects:
        """What its keeping does to each member of a coalition, and to the target [m]; not a number for who is outside."""
        return self._keeping(coalition, self.known)

    def _keeping(self, coalition: int, known: dict[int, NDArray]) -> Effects:
        found = np.full((2, len(self.roster.names)), np.nan)
        for k in bits(coalition):
            change = known[coalition] - known[coalition & ~(1 << k)]
            found[:, k] = change[self.roster.places[k]].sum(), -change[self.roster.target].sum()
        return Effects(*np.where(np.abs(found) <= self.negligible, 0.0, found))

    @cached_property
    def level(self) -> NDArray:
        """Break-even λ of each member, all keeping [m] (`game.break_even`)."""
        return break_even(self.keeping(self.whole))

    @cached_property
    def level_after(self) -> NDArray:
        """The same after the exit; not a number for those who left [m]."""
        stays = np.isin(np.arange(len(self.roster.names)), self.stayers)
        return np.where(stays, break_even(self.keeping(self.after)), np.nan)

    @property
    def unheld(self) -> tuple[int, ...]:
        """Places of the stayers that no λ keeps even before the exit; nothing in the game explains that they keep."""
        return tuple(k for k in self.stayers if self.level[k] == np.inf)

    @property
    def rises(self) -> dict[int, float]:
        """By how many percent the break-even λ of each stayer that some λ keeps is higher after the exit, by place."""
        return {k: rise(self.level[k], self.level_after[k]) for k in self.stayers if k not in self.unheld}

    @property
    def slack(self) -> float:
        """The percentage above its break-even at which each stayer's λ must lie for none of these to follow."""
        return max([0.0, *self.rises.values()])

    def followers(self, slack: float = 0.0) -> tuple[int, ...]:
        """Who follows, in order, if each values the target's loss `slack` percent above its break-even (`cascade.PLAIN`).

        Those that no λ keeps are taken to keep whatever comes. Solves the coalitions on the way.
        """
        worth = np.where(np.isfinite(self.level), np.maximum(self.level, 0.0), 0.0) * (1 + slack / 100)
        here, known, order = self.after, dict(self.known), []
        while here:
            left = [mask for mask in (here & ~(1 << k) for k in bits(here)) if mask not in known]
            if left:
                known |= dict(zip(left, self.table(left).T, strict=True))
            own, hurt = self._keeping(here, known)
            gains = without_rounding(own, worth * hurt)
            gains[list(self.unheld)] = np.inf
            if not (gains < 0).any():
                break
            order.append(int(np.nanargmin(gains)))
            here &= ~(1 << order[-1])
        return tuple(order)


def around(members: int, leavers: Sequence[int]) -> list[int]:
    """All, those who stay, and both less one: the coalitions around an exit, as bit masks."""
    whole = 2**members - 1
    sides = whole, whole - sum(1 << k for k in leavers)
    return list(dict.fromkeys([*sides, *(here & ~(1 << k) for here in sides for k in bits(here))]))


def rise(before: float, after: float) -> float:
    """By how many percent a break-even λ rises, infinite from one that any λ meets or to one that none does."""
    if max(before, after) <= 0 or before == after:
        return 0.0
    if before <= 0 or np.isinf(after):
        return np.inf
    change = after / before - 1
    return 0.0 if abs(change) <= ROUNDING else 100 * change


def of_year(found: Coalition, leavers: Sequence[int]) -> Departure:
    """The exit in a coalition all of whose parts are solved. Raises `ConvergenceError` where one is not."""
    found.effects  # noqa: B018  (refuses a coalition without a solution)
    values = found.variation.to_numpy()
    return Departure(
        lambda masks: values[:, list(masks)],
        found.roster,
        found.income.to_numpy(),
        tuple(leavers),
        found.negligible,
    )
