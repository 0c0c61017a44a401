"""Who holds the keys: for each authority, what it alone could end, how much trade that covers, and what it is worth.

Worth: the part of Russia's simulated loss that is undone when this authority ends all it can and nothing else changes.
Parts do not add up to the whole: where two measures lie on top of each other, ending one alone frees nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detente.calibration import calibrate
from detente.equilibrium import solve
from detente.errors import InputError
from detente.flows import trade
from detente.law import LegalMeasure
from detente.regime import Authority, Regime
from detente.scenario import Scenario
from detente.world import World

SETS = ("caliendo-parro-2015", "uniform-4")
TARGET = "RUS"


@dataclass(frozen=True)
class Lock:
    """One authority. rule: a lift rule, or "" for all of a sender's measures together.

    reading: how many of the measures have an economic reading. trade: USD billion of the data year in the flows that
    these act on. undone: {elasticity set: share of the loss that this authority alone could undo}.
    """

    sender: str
    rule: str
    who: tuple[str, ...]
    days: tuple[int, int]
    measures: int
    reading: int
    trade: float
    undone: dict[str, float]


@dataclass(frozen=True)
class Locks:
    """All authorities on a day. loss: {elasticity set: the target's real income, percent, below a world without any}."""

    date: str
    year: int
    target: str
    loss: dict[str, float]
    rows: tuple[Lock, ...]


def locks(
    regime: Regime,
    world: World,
    day: str,
    *,
    sets: Sequence[str] = SETS,
    target: str = TARGET,
    progress: Callable[[str], Any] = lambda text: None,
) -> Locks:
    """The authorities of a day by sender and lift rule, with a sum for each sender that has several.

    progress is told what is being solved. Raises `InputError` for a day, a set or a world that cannot be used, and
    for a day on which no measure touches trade.
    """
    state = regime.on(day)
    if not _read(state.measures):
        raise InputError(
            f"No measure that touches trade is in force on {state.date}, so nobody holds a key. Choose a later day."
        )
    groups = _with_sums(state.by_authority())
    loss: dict[str, float] = {}
    undone: list[dict[str, float]] = [{} for _ in groups]
    for name in sets:
        economy = calibrate(world, name)
        place = list(economy.countries).index(target)

        def income(*lifted: dict[str, Any]) -> float:
            shock = _scenario(day, lifted).shock(economy)  # noqa: B023 used within its turn of the loop
            return float(np.log(solve(economy, shock).real_income_change[place]))  # noqa: B023

        progress(f"{name}: the regime as it is, and without any measure")
        now, free = income(), income({"by": "all"})
        loss[name] = 100 * (1 - np.exp(now - free))
        for at, group in enumerate(groups):
            progress(f"{name}: {at + 1} of {len(groups)} authorities")
            gain = income(_lifting(group)) - now if _read(group.measures) else 0.0
            undone[at][name] = gain / (free - now) if free != now else 0.0
    flows = trade(world).transpose("importer", "exporter", "sector").values
    codes = list(world.countries), list(world.sectors)
    rows = tuple(
        Lock(
            group.sender,
            group.rule,
            group.who,
            group.days,
            len(group.measures),
            len(_read(group.measures)),
            float(flows[regime.cells(_read(group.measures), *codes)].sum()),
            undone[at],
        )
        for at, group in enumerate(groups)
    )
    return Locks(f"{state.date}", int(world.data.attrs.get("year", 0)), target, loss, rows)


def _with_sums(found: Sequence[Authority]) -> list[Authority]:
    """The authorities, each sender's followed by their sum; the sender with most measures first."""
    senders: dict[str, list[Authority]] = {}
    for group in found:
        senders.setdefault(group.sender, []).append(group)
    rows = []
    for groups in sorted(senders.values(), key=lambda own: -sum(len(g.measures) for g in own)):
        rows += groups
        if len(groups) > 1:
            every = tuple(measure for group in groups for measure in group.measures)
            days = min(g.days[0] for g in groups), max(g.days[1] for g in groups)
            rows.append(Authority(groups[0].sender, "", (), days, every))
    return rows


def _read(measures: Sequence[LegalMeasure]) -> list[str]:
    """Ids of those that mean something for trade."""
    return [measure.id for measure in measures if measure.reading]


def _lifting(group: Authority) -> dict[str, Any]:
    return {"by": group.sender} | ({"authority": group.rule} if group.rule else {})


def _scenario(day: str, lifted: Sequence[dict[str, Any]]) -> Scenario:
    content = {"name": "locks", "title": "What one authority can end", "regime": {"as-of": day}}
    return Scenario.load({**content, "measures": [{"lift": keys} for keys in lifted]})
