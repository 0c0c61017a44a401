"""Who is in a coalition of senders, what it keeps, and what is left when members lift."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detente import labels
from detente.acts import Keeping, Snapback
from detente.economy import Economy
from detente.errors import InputError
from detente.game import MOST_MEMBERS
from detente.measure import Lifting
from detente.scenario import BASELINE, Scenario, several

MEMBERS = ("USA", "EU27", "GBR", "JPN", "CAN", "AUS", "KOR", "CHE", "NOR", "NZL")
TARGET = "RUS"


class Roster(NamedTuple):
    """Members by name with the places of their countries, those of the target, and whose a pair is [importer, exporter].

    A pair of a member and the target is the member's, in both directions; all others are nobody's, −1.
    """

    names: tuple[str, ...]
    places: tuple[NDArray, ...]
    target: NDArray
    owner: NDArray


def kept(scenario: Scenario) -> Scenario:
    """The situation before relief. Raises `InputError` for a scenario with outcomes."""
    if scenario.outcomes:
        raise InputError(several(scenario, "situation"))
    relief = all(isinstance(s, Lifting) and not isinstance(s, Keeping | Snapback) for s in scenario.measures)
    if not scenario.measures or not relief:
        return scenario
    if scenario.against != BASELINE:
        return Scenario.load(scenario.against)
    return scenario.base or scenario


def lifted(keep: Scenario, members: Sequence[str], target: str) -> Scenario:
    """`keep` with everything lifted that these members have on the target."""
    steps = [Lifting(by=name, on=target) for name in members]
    name = f"{keep.name}, lifted by {', '.join(members)}"
    return Scenario(name, base=keep, measures=steps, focus=keep.focus, cuts=keep.cuts)


def leavers(scenario: Scenario, who: Roster, countries: Sequence[str]) -> tuple[int, ...]:
    """Places of the members that a scenario of relief alone makes lift, none where it is all or nobody."""
    names = [
        step.by for step in scenario.measures if isinstance(step, Lifting) and kept(scenario) is not scenario
    ]
    by = {code for each in names for code in labels.resolve_countries(each, countries)}
    found = [k for k, at in enumerate(who.places) if {countries[n] for n in at} <= by]
    return tuple(found) if len(found) < len(who.names) else ()


def roster(economy: Economy, members: str | Sequence[str], target: str) -> Roster:
    """Who is a member. Raises `InputError` for unknown names, members that overlap, none, or more than 16."""
    countries = list(economy.countries)
    names = members.split(",") if isinstance(members, str) else list(members)
    names = [canonical(name.strip(), countries) for name in names if name.strip()]
    if not 1 <= len(names) <= MOST_MEMBERS:
        raise InputError(
            f"{len(names)} members are named; expected 1 to {MOST_MEMBERS}, which are 65 536 coalitions."
        )
    aimed = [countries.index(code) for code in labels.resolve_countries(target, countries)]
    owner = np.full((len(countries), len(countries)), -1)
    taken = dict.fromkeys(aimed, f"the target `{target}`")
    places = []
    for k, name in enumerate(names):
        at = [countries.index(code) for code in labels.resolve_countries(name, countries)]
        for n in at:
            if n in taken:
                raise InputError(
                    f"{labels.country_name(countries[n])} is in `{name}` and in {taken[n]}. Name every country once."
                )
        taken |= dict.fromkeys(at, f"`{name}`")
        owner[np.ix_(at, aimed)] = owner.T[np.ix_(at, aimed)] = k
        places.append(np.array(at))
    return Roster(tuple(names), tuple(places), np.array(aimed), owner)


def canonical(name: str, countries: Sequence[str]) -> str:
    """A country's code, or a group's name as the catalogue writes it. Raises `InputError` for an unknown name."""
    found = labels.resolve_countries(name, countries)
    groups = {group.casefold(): group for group in labels.country_groups()}
    return groups.get(name.casefold(), name) if len(found) > 1 else found[0]
