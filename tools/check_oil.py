"""A return of oil to the market against a published one: `python -m tools.check_oil`.

Ianchovichina, E., Devarajan, S. and Lakatos, C. (2016), Lifting Economic Sanctions on Iran: Global Effects and
Strategic Responses, World Bank Policy Research Working Paper 7549, find that the return of Iran lowers the price of oil
by 13 % if the Gulf does not react. Iran is in no table, so Russia stands in: a quota withholds as much of the world's
exports of crude as Iran brought back, and the return is its end. Printed: what that does to the mean price of all others.
"""

import numpy as np

import detente as dt
from detente.equilibrium import baseline_sales, solve
from detente.instruments import Quota

RETURN = 0.024  # of the world's exports: one million barrels a day of about 42 (both unverified)
HORIZONS = (
    {"base": "medium", "oil": "kilian-murphy"},
    {"base": "medium", "oil": "caldara-cavallo-iacoviello"},
    {"base": "medium", "oil": "baumeister-hamilton"},
    {"base": "short"},
    {"base": "energy-crisis"},
)


def price_fall(economy: dt.Economy, part: float = RETURN) -> float:
    """Change in the mean price of crude of all other exporters, percent, when `part` of the world's exports returns."""
    place, crude = economy.countries.index("RUS"), economy.sectors.index("B06O")
    others = [k for k in range(len(economy.countries)) if k != place]
    once = baseline_sales(economy)[:, :, crude]
    exports = once.sum(axis=0) - np.diagonal(once)
    ceiling = 1 - part * exports.sum() / exports[place]
    quota = Quota(tuple(others), (place,), (crude,), "withheld", ceiling=ceiling, rent_to="exporter")
    found = solve(economy, dt.Shock(instruments=(quota,)))
    price = np.asarray(found.cost_change)[others, crude] @ exports[others] / exports[others].sum()
    return 100 * float(1 / price - 1)


def main() -> None:
    """One line a set of elasticities."""
    world = dt.World.load("energy")
    for horizon in HORIZONS:
        name = ", oil ".join(horizon.values())
        print(f"{name:40} {price_fall(dt.calibrate(world, horizon=horizon)):+.1f} %")
    print(f"{'Ianchovichina et al. (2016)':40} -13.0 %")


if __name__ == "__main__":
    main()
