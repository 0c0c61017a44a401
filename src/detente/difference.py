"""What differs between two scenarios: in words, and in the trade of the data year that is treated differently.

A flow is treated differently where its trade weight, at unchanged prices, is another one: cuts and bans, and the
costs and duties turned into weights by the sector's trade elasticity. Nothing is solved. Of a scenario with possible
outcomes it is the expected weight, the mean over them by their probabilities.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from detente import labels
from detente.flows import trade
from detente.scenario import Scenario

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detente.economy import Economy
    from detente.shock import Shock
    from detente.world import World

SAME = 1e-9  # relative; rounding of products of weights stays far below it


@dataclass(frozen=True)
class Difference:
    """The comparison of two scenarios.

    only_first, only_second, both: sentences. freer, tighter [exporter, importer, sector]: trade of the data year,
    USD billion, of the flows that the second leaves freer, or holds tighter, than the first. direct: the change at
    unchanged prices of all flows, same axes and unit: the second's trade less the first's. expected: names of those that
    have possible outcomes, whose trade is the expected one.
    """

    first: str
    second: str
    only_first: list[str]
    only_second: list[str]
    both: list[str]
    freer: xr.DataArray
    tighter: xr.DataArray
    direct: xr.DataArray
    expected: tuple[str, ...] = ()

    def partners(self, trade: xr.DataArray, most: int = 8) -> list[tuple[str, str, float]]:
        """(exporter, importer, USD billion) of the largest parts of `trade`; the EU's members count as one."""
        total = trade.sum("sector")
        sums: dict[tuple[str, str], float] = {}
        for exporter, importer in np.argwhere(total.values > 0):
            key = _side(str(total.exporter.values[exporter])), _side(str(total.importer.values[importer]))
            sums[key] = sums.get(key, 0.0) + float(total.values[exporter, importer])
        return [(*key, value) for key, value in sorted(sums.items(), key=lambda entry: -entry[1])[:most]]

    def products(self, trade: xr.DataArray, most: int = 5) -> list[tuple[str, float]]:
        """(sector, USD billion) of the largest parts of `trade`."""
        total = trade.sum(("exporter", "importer")).to_series().sort_values(ascending=False)
        return [(str(code), float(value)) for code, value in total.items() if value > 0][:most]


def compare(first: Scenario, second: Scenario, world: "World", economy: "Economy") -> Difference:
    """Raises `InputError` where a scenario names what the world does not have."""
    mine, other = first.sentences(), second.sentences()
    flows = trade(world)
    before, after = (expected_weight(scenario, economy).transpose(1, 0, 2) for scenario in (first, second))
    freer, tighter = after > before * (1 + SAME), after < before * (1 - SAME)
    return Difference(
        first.name,
        second.name,
        [line for line in mine if line not in other],
        [line for line in other if line not in mine],
        [line for line in mine if line in other],
        flows.where(freer, 0.0),
        flows.where(tighter, 0.0),
        flows * (after - before),
        tuple(dict.fromkeys(side.name for side in (first, second) if side.outcomes)),
    )


def expected_weight(scenario: Scenario, economy: "Economy") -> "NDArray":
    """The trade weight of a scenario [importer, exporter, sector], the mean over its outcomes where it has them."""
    if not scenario.outcomes:
        return weight(scenario.shock(economy), economy)
    parts = zip(scenario.outcomes, scenario.branches().values(), strict=True)
    return np.sum([o.probability * weight(branch.shock(economy), economy) for o, branch in parts], axis=0)


def weight(shock: "Shock", economy: "Economy") -> "NDArray":
    """The trade weight against the data year at unchanged prices [importer, exporter, sector]; 0 where banned."""
    from detente.situation import direct_weight, evaded

    theta = np.asarray(economy.trade_elasticity)
    found, duty = direct_weight(shock, economy), np.ones(economy.trade_share.shape)
    for new, old in ((shock.tariff_new, economy.tariff), (shock.export_tax_new, economy.export_tax)):
        if new is not None:
            duty = duty * ((1 + np.asarray(new)) / (1 + (0.0 if old is None else np.asarray(old)))) ** -theta
    around = evaded(economy, shock)
    if around is not None:
        found[around.cells] = around.weight
    return found * duty


def _side(code: str) -> str:
    return "EU27" if code in labels.country_groups()["EU27"] else code
