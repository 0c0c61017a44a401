"""First-order, second-order and exact losses from losing energy: `python -m tools.second_order`.

To first order a loss of log x in an input's quantity, or a rise in its price, costs its share of spending times log x
(Hulten 1978). To second order the share moves on the way (Baqaee & Farhi 2019, Econometrica 87:4, theorem 1):

    Δ log W ≈ (s + ½ Δs) Δ log x

With energy and everything else in a CES nest of elasticity σ the exact loss has a closed form, used for the energy stop
of 2022 by Bachmann et al. (2024, Economica): W = [(1 − s) + s x^((σ−1)/σ)]^(σ/(σ−1)). The first table prints it beside
the engine's answer in a closed economy in which gas is a sector with stuck factors. The second does the same on the
embedded world, where energy from one seller becomes dearer for one buyer: there the first-order change is that of the terms
of trade and the cost of the friction at the trade of before, and the second-order one takes the mean of before and after.
"""

import argparse
import sys

import numpy as np
from numpy.typing import NDArray

from detente.calibration import calibrate
from detente.economy import Economy
from detente.equilibrium import Equilibrium, solve
from detente.nests import Substitution
from detente.shock import Shock
from detente.world import World

ENERGY = ("B05", "B06", "C19")
GAS, REST = 0, 1
QUANTITIES = (0.99, 0.9, 0.7, 0.5, 0.3)
ELASTICITIES = (1.0, 0.5, 0.2)
COSTS = (1.01, 1.1, 1.5, 3.0, 30.0)
SHORT = {"value_added": 0.5, "inputs": 0.2, "energy": 0.1, "consumption": 0.9, "consumption_energy": 0.2}


def closed_form(share: float, elasticity: float, quantity: float) -> float:
    """log W of a two-input CES whose one input, of that share of spending, falls to `quantity` of what it was."""
    if elasticity == 1:
        return share * float(np.log(quantity))
    power = (elasticity - 1) / elasticity
    return float(np.log((1 - share) + share * quantity**power) / power)


def share_after(share: float, elasticity: float, quantity: float) -> float:
    """The input's share of spending once its quantity has changed."""
    scarce = share * quantity ** ((elasticity - 1) / elasticity)
    return scarce / (1 - share + scarce)


def two_inputs(share: float, elasticity: float) -> Economy:
    """A closed economy that consumes gas and everything else, each made by factors stuck in its sector."""
    return Economy.from_shares(
        countries=["HOME"],
        sectors=["gas", "rest"],
        trade_share=np.ones((1, 1, 2)),
        input_share=np.zeros((1, 2, 2)),
        value_added_share=np.ones((1, 2)),
        consumption_share=[[share, 1 - share]],
        value_added=[1.0],
        deficit=[0.0],
        trade_elasticity=4.0,
        substitution=Substitution.of(consumption=elasticity),
        factor_mobility=1.0,
    )


def less_gas(quantity: float) -> Shock:
    """What reaches users of the gas that factors make falls to `quantity`."""
    cost = np.ones((1, 1, 2))
    cost[0, 0, GAS] = 1 / quantity
    return Shock(trade_cost_change=cost)


def orders(economy: Economy, cost: NDArray) -> dict[str, NDArray]:
    """Log change of real income [country] when trade costs rise by `cost`: first, second order and exact.

    For economies without deficits and duties. By the envelope theorem d log W_n = [Σ_j E_nj d log c_nj −
    Σ_ij M_nij (d log c_ij + d log d_nij)]/I_n, with sales E to all and purchases M from all, itself included; at the sales
    and purchases of before, and at the mean of before and after.
    """
    before, after = (
        solve(economy, shock, tolerance=1e-12) for shock in (Shock(), Shock(trade_cost_change=cost))
    )
    dearer = np.log(np.asarray(after.cost_change))
    paid = dearer[None, :, :] + np.log(np.broadcast_to(cost, economy.trade_share.shape))

    def slope(at: Equilibrium) -> NDArray:
        trade = at.trade()
        gained = (trade.sum(axis=0) * dearer).sum(axis=1) - (trade * paid).sum(axis=(1, 2))
        return gained / np.asarray(at.income)

    return {
        "first": slope(before),
        "second": 0.5 * (slope(before) + slope(after)),
        "exact": np.log(np.asarray(after.real_income_change)),
    }


def closed_economy_table(share: float) -> str:
    """Losses by remaining quantity and elasticity, percent of real income."""
    rows = [f"Gas is {100 * share:g} % of spending; log change of real income, percent", ""]
    rows.append(f"{'gas left':>8}{'σ':>6}{'first':>10}{'second':>10}{'closed form':>14}{'engine':>12}")
    for quantity in QUANTITIES:
        for sigma in ELASTICITIES:
            found = solve(two_inputs(share, sigma), less_gas(quantity), tolerance=1e-12)
            move = 0.5 * (share_after(share, sigma, quantity) - share)
            first, second = share * np.log(quantity), (share + move) * np.log(quantity)
            exact, engine = (
                closed_form(share, sigma, quantity),
                float(np.log(found.real_income_change[0])),
            )
            rows.append(
                f"{quantity:>8g}{sigma:>6g}{100 * first:>10.4f}{100 * second:>10.4f}{100 * exact:>14.6f}"
                f"{100 * engine:>12.6f}"
            )
    return "\n".join(rows)


def world_table(buyer: str, seller: str) -> str:
    """The buyer's loss as energy from the seller becomes dearer, by behaviour, percent of real income."""
    plain = calibrate(World.load(), deficits="balanced")
    goods = [plain.sectors.index(good) for good in ENERGY if good in plain.sectors]
    n, i = plain.countries.index(buyer), plain.countries.index(seller)
    short = Substitution.of(**SHORT, energy_goods=tuple(goods), gas_goods=())
    behaviours = {
        "Cobb–Douglas, one wage": plain,
        "complements, one wage": plain.with_behaviour(substitution=short),
        "complements, stuck": plain.with_behaviour(substitution=short, factor_mobility=1.0),
    }
    rows = [f"{buyer}'s energy ({', '.join(ENERGY)}) from {seller}: log change of real income, percent", ""]
    rows.append(f"{'cost':>6}  {'':<24}{'first':>10}{'second':>10}{'exact':>10}")
    for size in COSTS:
        cost = np.ones(plain.trade_share.shape)
        cost[n, i, goods] = size
        for name, economy in behaviours.items():
            found = {key: 100 * value[n] for key, value in orders(economy, cost).items()}
            rows.append(
                f"{'×' + format(size, 'g'):>6}  {name:<24}{found['first']:>10.4f}{found['second']:>10.4f}"
                f"{found['exact']:>10.4f}"
            )
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.second_order", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--share", type=float, default=0.02, help="of gas in spending (default 0.02)")
    parser.add_argument("--buyer", default="DEU", help="importer (default DEU)")
    parser.add_argument("--seller", default="RUS", help="exporter (default RUS)")
    parser.add_argument("--closed-only", action="store_true", help="leave out the embedded world")
    options = parser.parse_args(arguments)
    print(closed_economy_table(options.share))
    if not options.closed_only:
        print(f"\n{world_table(options.buyer, options.seller)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
