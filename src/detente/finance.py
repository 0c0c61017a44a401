"""Finance in the simplest explicit form: reserves that are released, payments that cost more, capital that costs more.

Each is an array for one year of a path, nil where nothing is in force; figures are in `data/capital_2022.yaml`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def released(amount: NDArray, target: int, held: Sequence[NDArray[np.bool_]], years: int) -> list[NDArray]:
    """Transfers by year [country] that release frozen reserves: holders give what is the target's; sums to zero.

    amount [country]: what each holds, world factor income; held [year][country]: who has measures in force. A holder whose
    measures end pays out in equal parts over `years`, and stops where they come back. Frozen reserves themselves move
    nothing: the baseline's deficits do not draw on them.
    """
    left, found = np.array(amount, float), []
    ever = np.zeros(len(left), bool)
    for now in held:
        ever |= now
        paid = np.where(ever & ~now & (left > 0), amount / years, 0.0)
        left = np.where(left - paid > 1e-9 * amount, left - paid, 0.0)
        flow = -paid
        flow[target] += paid.sum()
        found.append(flow)
    return found


def payment_cost(cost: float, target: int, held: NDArray[np.bool_]) -> NDArray:
    """Ratio of trade costs [importer, exporter, 1] on all flows between the target and those with measures in force."""
    found = np.ones((len(held), len(held), 1))
    partners = held.copy()
    partners[target] = False
    found[target, partners] = found[partners, target] = 1 + cost
    return found


def thrift(premium: float, target: int, part: float, rate: float, depreciation: NDArray) -> NDArray:
    """φ̂ [country]: the target invests (r+δ)/(r+δ+premium) of its usual share, others theirs.

    part: of the target's capital that pays the premium, from 0 to 1. In the long run capital a unit of output is η over the
    user cost of capital, r + δ (Hall & Jorgenson 1967, American Economic Review 57:3, with Cobb–Douglas production), and
    investment keeps that capital up; so the elasticity of the investment share to the user cost is minus one.
    """
    found = np.ones(len(depreciation))
    cost = rate + depreciation[target]
    found[target] = cost / (cost + premium * part)
    return found
