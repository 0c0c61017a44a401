"""Kinds of quantities of a coalition's game: who must value what, who follows whom, who presses and who pays.

docs/study.md lists them, docs/coalition.md has the definitions.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from detente import game
from detente.cascade import Rules, pieces
from detente.digits import NEGLIGIBLE
from detente.errors import InputError, unknown_name
from detente.quantity import Setting, ratio
from detente.senders import Coalition


class Solved(Protocol):
    """Where coalitions are solved once and kept."""

    def coalition(self, setting: Setting, scenario: str) -> Coalition:
        """All coalitions of the senders at a setting."""
        ...


def _member(of: Coalition, party: str) -> int:
    if party not in of.members:
        raise unknown_name("member of the coalition", party, of.members)
    return of.members.index(party)


def needed_worth(
    bench: Solved, setting: Setting, scenario: str, party: str, exits: Sequence[str] = ()
) -> float:
    """What a dollar of the target's loss must be worth to a member for keeping to be rational, dollars."""
    of = bench.coalition(setting, scenario)
    leavers = [_member(of, each) for each in exits]
    column = "break_even_after" if leavers else "break_even"
    return float(of.frame(leavers)[column].iloc[_member(of, party)])


def needed_worth_rise(
    bench: Solved, setting: Setting, scenario: str, party: str, exits: Sequence[str]
) -> float:
    """By how much that rises when others leave, percent."""
    before, after = (needed_worth(bench, setting, scenario, party, each) for each in ((), exits))
    return 100 * (ratio(after, before) - 1)


def follow_slack(bench: Solved, setting: Setting, scenario: str, exits: Sequence[str]) -> float:
    """How far above its break-even every member's worth must lie for nobody to follow those who leave, percent of it."""
    of = bench.coalition(setting, scenario)
    leavers = tuple(_member(of, each) for each in exits)
    just = game.just_rational(of.effects, 0.0)
    for piece in pieces(of.effects, Rules(exits=leavers), just, (1.0, np.inf)):
        if len(piece.cascade.order) == len(leavers):
            return 100 * (piece.low - 1)
    raise InputError(
        "somebody follows whatever the loss of the target is worth; a slack has no meaning here."
    )


def followers(bench: Solved, setting: Setting, scenario: str, exits: Sequence[str], slack: float) -> float:
    """How many members leave after others have, if each values the loss a stated percentage above its break-even."""
    of = bench.coalition(setting, scenario)
    leavers = tuple(_member(of, each) for each in exits)
    just = game.just_rational(of.effects, 0.0)
    at = 1 + slack / 100
    for piece in pieces(of.effects, Rules(exits=leavers), just, (1.0, np.inf)):
        if piece.low <= at < piece.high:
            return float(len(piece.cascade.order) - len(leavers))
    raise InputError(f"the slack is {slack}; expected a percentage of at least 0.")


def exit_worth(bench: Solved, setting: Setting, scenario: str, exits: Sequence[str]) -> float:
    """What the exit of some members is worth to all that stay, USD billion a year."""
    of = bench.coalition(setting, scenario)
    leavers = [_member(of, each) for each in exits]
    table = of.frame(leavers)
    return float(table["exit_effect"].drop(index=list(exits)).to_numpy().sum())


def pressure_share(bench: Solved, setting: Setting, scenario: str, party: str) -> float:
    """Part of the target's loss that is due to a member (Shapley value), percent."""
    of = bench.coalition(setting, scenario)
    pressure = of.efficiency.pressure
    return 100 * float(pressure[_member(of, party)] / pressure.sum())


def cost_over_pressure(bench: Solved, setting: Setting, scenario: str, party: str) -> float:
    """A member's part of the senders' cost over its part of the pressure: above one it pays more than it presses."""
    of = bench.coalition(setting, scenario)
    place, cost = _member(of, party), of.efficiency.borne
    if not cost.sum() > NEGLIGIBLE:
        raise InputError("the senders together bear no cost; shares of it have no meaning here.")
    return float(cost[place] / cost.sum()) / (pressure_share(bench, setting, scenario, party) / 100)


GAME: dict[str, Callable[..., float]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        needed_worth, needed_worth_rise, follow_slack, followers, exit_worth, pressure_share, cost_over_pressure,
    )
}  # fmt: skip
