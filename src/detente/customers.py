"""Market positions that are lost at once and won back slowly: trade weights with a memory.

A flow's sellers have customers, whose stock m (in logs, 0 at the baseline) follows the weight w = κ̂^(−θ) that measures
leave:

    m_t = ρ m_{t−1} + (1−ρ) log w_t,        weight in force: min(w_t, exp m_t)

A cut bites in the year in which it comes: its size is what is observed, customers lost within it. The longer it lasts the
more customers are gone; once it ends, ρ of what is missing is still missing a year later, as `Positions.persistence` has
it. After a cut to w that lasted T years, ρ^k (1 − ρ^T) of log w is left in the k-th year without it. ρ = 0 has no memory.
What rivals have gained they give back as sellers return: expenditure shares follow from the weights.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detente.errors import InputError

LEAST = 0.01  # of the weight, below which customers of a cut or banned flow do not fall: own assumption


def lasting(weights: Sequence[NDArray], persistence: ArrayLike, least: float = LEAST) -> list[NDArray | None]:
    """By year, the factor on the weights that lost customers make [importer, exporter, sector], or None for 1.

    weights: by year, w [importer, exporter, sector], 1 where nothing is changed, 0 where trade is banned; persistence: ρ
    [sector] or a number, in [0, 1). Only what measures touch is looked at. Raises `InputError` for another ρ.
    """
    rho = checked(persistence, weights[0].shape[-1])
    touched = np.zeros(weights[0].shape, bool)
    for weight in weights:
        touched |= weight != 1
    part = np.broadcast_to(rho, touched.shape)[touched]
    found: list[NDArray | None] = []
    for left in kept(np.stack([weight[touched] for weight in weights]), part, least):
        if (left == 1).all():
            found.append(None)
            continue
        whole = np.ones(touched.shape)
        whole[touched] = left
        found.append(whole)
    return found


def kept(weights: NDArray, persistence: NDArray, least: float = LEAST) -> NDArray:
    """The same factors for some flows alone: w [year, flow] and ρ [flow] in, factors [year, flow] out."""
    stock, found = np.zeros(weights.shape[1]), np.ones(weights.shape)
    for now, left in zip(weights, found, strict=True):
        stock = persistence * stock + (1 - persistence) * np.log(np.maximum(now, least))
        missing = np.minimum(np.exp(stock) / np.where(now > 0, now, 1.0), 1.0)
        left[:] = np.where((now > 0) & (persistence > 0) & (missing <= 1 - 1e-15), missing, 1.0)
    return found


def checked(persistence: ArrayLike, sectors: int) -> NDArray:
    """ρ [sector]. Raises `InputError` for one outside [0, 1)."""
    rho = np.broadcast_to(np.asarray(persistence, float), (sectors,))
    if not ((rho >= 0) & (rho < 1)).all():
        raise InputError(f"Persistence is {rho.max():g}; expected from 0 (no memory) to below 1.")
    return rho
