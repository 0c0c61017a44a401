"""A return of oil to the market against a published one: `python -m tools.check_oil`.

Ianchovichina, E., Devarajan, S. and Lakatos, C. (2016), Lifting Economic Sanctions on Iran: Global Effects and
Strategic Responses, World Bank Policy Research Working Paper 7549, find that the return of Iran lowers the price of oil
by 13 % if the Gulf does not react. Iran is in no table, so Russia stands in, in two ways. Oil is lost: of all that Russia
sells, at home too, a part melts away until as much is missing as Iran brought back, and the return is its end. Or exports
are withheld: a quota on Russia's exports does the same, but Russian refineries take what is left over and sell products.
Printed: what the return does to the mean price of all other exporters, what part more oil the world then has, net of what
others sell less, and, for oil that was lost, what the price must do by the elasticities of supply and demand alone,
(1 − q)^(1/(η_s + η_d)) − 1 with q the lost part of the world's oil.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import detente as dt
from detente.demand import derived_demand
from detente.equilibrium import Equilibrium, baseline_sales, solve
from detente.implied import spread, supply_elasticities
from detente.instruments import Quota

RETURN = 0.024  # of the world's exports: one million barrels a day of about 42 (both unverified)
ESTIMATES = ("kilian-murphy", "baumeister-hamilton", "caldara-cavallo-iacoviello")
HORIZONS = (
    {"base": "medium"},
    *({"base": "medium", "oil": name, "oil_demand": name} for name in ESTIMATES),
    {"base": "short"},
    {"base": "short", "oil": ESTIMATES[-1], "oil_demand": ESTIMATES[-1]},
    {"base": "energy-crisis"},
)


class Return(NamedTuple):
    """Change in the price of all others' crude, percent, and the world's oil more than before, percent."""

    price: float
    oil: float


class _Sales(NamedTuple):
    """Baseline sales of crude [buyer, seller], its place among sectors, and Russia's among countries."""

    value: NDArray
    crude: int
    place: int

    @property
    def exports(self) -> NDArray:
        """By seller."""
        return self.value.sum(axis=0) - np.diagonal(self.value)

    def others(self, found: Equilibrium) -> float:
        """Mean price of all other exporters, a ratio."""
        weight = np.delete(self.exports, self.place)
        return float(
            np.delete(np.asarray(found.cost_change)[:, self.crude], self.place) @ weight / weight.sum()
        )

    def made(self, found: Equilibrium) -> NDArray:
        """Output, by seller, before anything melts away, in the units of `value`."""
        return found.trade()[:, :, self.crude].sum(axis=0) / np.asarray(found.cost_change)[:, self.crude]


def lost(economy: dt.Economy, part: float = RETURN) -> Return:
    """Oil of the size of `part` of the world's exports returns, of which nothing was sold."""
    sales = _sales(economy)
    missing = part * sales.exports.sum()
    whole = sales.value[:, sales.place].sum()
    cost, found = 1.0, None
    for _ in range(4):  # output answers, little; each round leaves a small part of the gap
        made = whole if found is None else sales.made(found)[sales.place]
        cost = made / (whole - missing)
        change = np.ones(economy.trade_share.shape)
        change[:, sales.place, sales.crude] = cost
        found = solve(economy, dt.Shock(trade_cost_change=change))
    assert found is not None
    made = sales.made(found)
    made[sales.place] /= cost
    return Return(100 * (1 / sales.others(found) - 1), 100 * (sales.value.sum() / made.sum() - 1))


def withheld(economy: dt.Economy, part: float = RETURN) -> Return:
    """Exports of the size of `part` of the world's return to the market, which the seller's refineries had in part."""
    sales = _sales(economy)
    buyers = tuple(k for k in range(len(economy.countries)) if k != sales.place)
    ceiling = 1 - part * sales.exports.sum() / sales.exports[sales.place]
    seller = (sales.place,)
    quota = Quota(buyers, seller, (sales.crude,), "withheld", ceiling=ceiling, rent_to="exporter")
    found = solve(economy, dt.Shock(instruments=(quota,)))
    return Return(
        100 * (1 / sales.others(found) - 1), 100 * (sales.value.sum() / sales.made(found).sum() - 1)
    )


def elasticities(economy: dt.Economy) -> tuple[float, float]:
    """Supply of crude, the mean by output, and derived demand, without its sign."""
    crude = economy.sectors.index("B06O")
    supply = spread(supply_elasticities(economy)[:, crude], np.asarray(economy.output)[:, crude])
    assert supply is not None
    return supply[0], -derived_demand(economy, (crude,))


def _sales(economy: dt.Economy) -> _Sales:
    crude = economy.sectors.index("B06O")
    return _Sales(baseline_sales(economy)[:, :, crude], crude, economy.countries.index("RUS"))


def main() -> None:
    """One line a set of elasticities."""
    world = dt.World.load("energy")
    print(
        f"{'':36}{'supply':>8}{'demand':>8}{'lost: price':>14}{'oil':>9}{'by hand':>9}{'withheld: price':>18}{'oil':>9}"
    )
    for horizon in HORIZONS:
        economy = dt.calibrate(world, horizon=horizon)
        supply, demand = elasticities(economy)
        whole, leaky = lost(economy), withheld(economy)
        sales = _sales(economy)
        gone = RETURN * sales.exports.sum() / sales.value.sum()
        by_hand = 100 * ((1 - gone) ** (1 / (supply + demand)) - 1)
        name = horizon["base"] + (f", {horizon['oil']}" if "oil" in horizon else "")
        print(
            f"{name:36}{supply:8.3f}{-demand:8.2f}{whole.price:+12.1f} %{whole.oil:+7.2f} %{by_hand:+7.1f} %"
            f"{leaky.price:+16.1f} %{leaky.oil:+7.2f} %",
            flush=True,
        )
    print(f"{'Ianchovichina et al. (2016)':36}{'':16}{-13.0:+12.1f} %")


if __name__ == "__main__":
    main()
