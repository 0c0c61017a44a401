"""Kinds of quantities of paths over years: what comes back, how late relief is worth less, what a risk of reversal takes.

docs/study.md lists them, docs/paths.md has the definitions.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from detente import labels
from detente.departure import Departure
from detente.errors import InputError, unknown_name
from detente.quantity import Setting, ratio
from detente.transition import Transition


class Followed(Protocol):
    """Where paths are solved once and kept."""

    def transition(
        self, setting: Setting, scenario: str, against: str, lift_years: tuple[int, ...], chance: float
    ) -> Transition:
        """The paths of a scenario lifted in some years, or with a chance of reversal a year."""
        ...

    def departure(self, setting: Setting, scenario: str, exits: tuple[str, ...]) -> Departure:
        """What the exit of some senders does over years."""
        ...


def path_income(
    bench: Followed, setting: Setting, scenario: str, against: str, party: str, lifted: list[int], year: int
) -> float:
    """Real income of a party in a year, lifted in the first of the years, against the path that keeps, percent."""
    found = bench.transition(setting, scenario, against, tuple(lifted), 0.0)
    return float(found.group(_codes(found, party))[1, found.years.index(year)])


def path_long_run(
    bench: Followed, setting: Setting, scenario: str, against: str, party: str, lifted: list[int]
) -> float:
    """The same in the long run, when capital, owners and customers have settled, percent."""
    found = bench.transition(setting, scenario, against, tuple(lifted), 0.0)
    return float(found.long_run_of(_codes(found, party))[1])


def late_gain(
    bench: Followed, setting: Setting, scenario: str, against: str, party: str, lifted: list[int]
) -> float:
    """By how much a party's gain at the date of lifting is larger in the last of the years than in the first, percent.

    Consumption gained over the same number of years and after, discounted to that date.
    """
    found = bench.transition(setting, scenario, against, tuple(lifted), 0.0)
    dates = found.gain_by_date(_codes(found, party))
    first, last = (date["transition"] + date["terminal"] for date in (dates[0], dates[-1]))
    return 100 * (ratio(last, first) - 1)


def stock_back(
    bench: Followed,
    setting: Setting,
    scenario: str,
    against: str,
    owner: str,
    lifted: list[int],
    chance: float = 0.0,
    kept: bool = False,
) -> float:
    """What an owner holds in the target in the last year, in percent of the first year's.

    Under a chance of reversal, expected over reversals; with `kept`, on the path that keeps.
    """
    found = bench.transition(setting, scenario, against, () if chance else tuple(lifted), chance)
    if "foreign_capital" not in found.data:
        raise InputError("these paths have no foreign capital.")
    stock = found.data["foreign_capital"].sel(country=_codes(found, owner)).sum("country").values
    by_path = stock[:, -1]
    last = float(found.headline(by_path)) if chance else float(by_path[0 if kept else 1])
    return 100 * ratio(last, float(stock[0, 0]))


def expected_part(
    bench: Followed, setting: Setting, scenario: str, against: str, party: str, chance: float
) -> float:
    """A party's expected gain in consumption, discounted, in percent of that of relief that is sure to stay."""
    sure = bench.transition(setting, scenario, against, (), 0.0)
    risky = bench.transition(setting, scenario, against, (), chance)
    return 100 * ratio(_gain(risky, party), _gain(sure, party))


def owners_back(bench: Followed, setting: Setting, scenario: str, against: str, chance: float) -> float:
    """The share of owners who return under a chance of reversal a year, of those who would if it were sure, percent."""
    return 100 * bench.transition(setting, scenario, against, (), chance).maker.returning


def path_exit_effect(
    bench: Followed, setting: Setting, scenario: str, exits: Sequence[str], party: str = ""
) -> float:
    """What the exit of some senders does over years to a sender that stays, or to all of them, percent of consumption."""
    of = bench.departure(setting, scenario, tuple(exits))
    at = [_place(of, party)] if party else list(of.stayers)
    return 100 * ratio(float(of.effect[at].sum()), float(of.member_income[at].sum()))


def path_exit_worth(bench: Followed, setting: Setting, scenario: str, exits: Sequence[str]) -> float:
    """What it is worth to all that stay, as an annuity, USD billion a year."""
    of = bench.departure(setting, scenario, tuple(exits))
    return float(of.effect[list(of.stayers)].sum())


def path_needed_worth(
    bench: Followed, setting: Setting, scenario: str, party: str, exits: Sequence[str], before: bool = False
) -> float:
    """What a dollar of the target's loss must be worth over years to a sender, once others left or `before`, dollars."""
    of = bench.departure(setting, scenario, tuple(exits))
    return float((of.level if before else of.level_after)[_place(of, party)])


def path_followers(
    bench: Followed, setting: Setting, scenario: str, exits: Sequence[str], slack: float
) -> float:
    """How many senders leave after others have, if each values the loss a percentage above its break-even over years."""
    return float(len(bench.departure(setting, scenario, tuple(exits)).followers(slack)))


def path_unheld(bench: Followed, setting: Setting, scenario: str, exits: Sequence[str]) -> float:
    """How many of those who stay keep at no worth of the target's loss, even before the exit."""
    return float(len(bench.departure(setting, scenario, tuple(exits)).unheld))


def _place(of: Departure, party: str) -> int:
    if party not in of.roster.names:
        raise unknown_name("member of the coalition", party, of.roster.names)
    return of.roster.names.index(party)


def _gain(found: Transition, party: str) -> float:
    codes = _codes(found, party)
    value = found.present_value(found.begins(1))
    by_path = found.summed(value["transition"] + value["terminal"], codes)
    return float(found.headline(by_path))


def _codes(found: Transition, party: str) -> list[str]:
    return labels.resolve_countries(party, list(found.economy.countries))


PATH: dict[str, Callable[..., float]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        path_income, path_long_run, late_gain, stock_back, expected_part, owners_back, path_exit_effect,
        path_exit_worth, path_needed_worth, path_followers, path_unheld,
    )
}  # fmt: skip
