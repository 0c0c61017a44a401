"""Whether an equilibrium can exist at all, before anyone looks for it.

Two things are seen from the data alone: a user left without any supplier, and a group of countries whose trade links
contradict its external balance. Both are refused with the names of those concerned.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from detente.accounts import over_uses
from detente.economy import Economy
from detente.errors import InfeasibleError, InputError


def refuse_stranded(economy: Economy, trade_weight: NDArray) -> None:
    """A user who buys a good and is left with no source for it has no finite price.

    trade_weight [use, importer, exporter, sector], with a single use where all share one mix.
    """
    spending = economy.buyer_spending.reshape(len(trade_weight), *economy.spending.shape)
    stranded = ((trade_weight.sum(axis=2) <= 0) & (spending > 0)).any(axis=0)
    if stranded.any():
        cells = [f"{economy.countries[n]} sector {economy.sectors[j]}" for n, j in np.argwhere(stranded)]
        more = f" and {len(cells) - 3} more" if len(cells) > 3 else ""
        raise InputError(
            f"The shock leaves {', '.join(cells[:3])}{more} without any supplier: every source bought from in the "
            "baseline is banned and there is none at home. Leave one source open, use a deep cut instead of a ban "
            "(cut: 0.99), or take the sector out of the measure."
        )


def components(economy: Economy, trade_weight: NDArray, balance: NDArray) -> NDArray:
    """Groups of countries that trade with each other at all, as a label per country [country].

    trade_weight [sector, buyer, exporter]; balance [country]: what each spends above its income, as deficits are.

    Relative wages between two groups mean nothing, so each keeps its own numéraire. Raises `InfeasibleError` where trade
    balance cannot hold: a group that only buys or only sells while its deficit says otherwise, or a closed group whose
    deficits do not sum to zero.
    """
    bought = np.einsum("jni,nj->ni", trade_weight, economy.buyer_spending)
    linked = over_uses(bought, len(economy.countries)) > 0
    if (linked & linked.T).all(axis=1).any():  # someone trades with everyone in both directions
        return np.zeros(len(linked), int)
    count, mutual = connected_components(linked, directed=True, connection="strong")
    by_size = np.argsort(np.bincount(mutual), kind="stable")  # name the country cut off, not everyone else
    for group in by_size if count > 1 else ():
        _refuse_cut_off(economy, linked, mutual == group, balance)
    return connected_components(linked, directed=False)[1]


def _refuse_cut_off(economy: Economy, linked: NDArray, inside: NDArray, deficit: NDArray) -> None:
    imports, exports = linked[inside][:, ~inside].any(), linked[~inside][:, inside].any()
    balance = float(deficit[inside].sum())
    if not imports and not exports:
        stuck, what = abs(balance) > 1e-12, "neither imports nor exports"
    elif imports and not exports:
        stuck, what = balance <= 0, "cannot export"
    else:
        stuck, what = exports and not imports and balance >= 0, "cannot import"
    if stuck:
        names = np.asarray(economy.countries)[inside]
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        verb = "it" if len(names) == 1 else "this group"
        raise InfeasibleError(
            f"The shock cuts {shown} off: {verb} {what} any more, yet its external balance under the closure "
            f"'{economy.closure}' is {-balance * economy.unit_value:,.6g} {economy.unit}. No prices make these agree. "
            "Use deficits='balanced', or leave some trade open in both directions."
        )
