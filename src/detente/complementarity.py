"""The wedges that make instruments hold: nil where a rule does not bind, and what it takes where it does.

Each instrument has one unknown, the log of what buyers pay over what sellers get, and one condition, written so that its
root is the complementarity: nothing is smoothed, and the slack is reported. The equilibrium is solved inside, each time
from where the last one stood; the few wedges move by Newton steps with Broyden's updates outside.

Wedges live in the trade weights: buyers see the price e^t over cost, sellers get (1 − ψ) of what is paid, and ψ is rent.

    cap       c = e min(m, p̄) + (1 − e) m/(1 + s), m = c e^t: sellers' mean receipts are their unit cost;
              ψ = e^(−t₀) − e^(−t) falls to the buyer, e^(−t₀) = e + (1 − e)/(1 + s); shadow costs are lost
              at e = 1, t = ∞ where c without these sales is above p̄: sellers stop selling
    quota     min(t, log q̄ − log q) = 0, ψ = 1 − e^(−t)
    producers t of either sign: world price (or own volume) stays, at most the spare capacity more; ψ stays with them
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from detente.instruments import Binding, Ceiling, PriceCap, Producers, Quota
from detente.terms import Rents, Situation, Transit

LARGEST_STEP = 1.0  # log points a wedge may move at once
SHORTEST_STEP = 1 / 64  # of a step, before the Jacobian is made anew
LOOK_AHEAD = 1e-4  # log points of wedge between two equilibria that give a derivative
MOST_STEPS = 60
FLAT = 1e-7  # slack below which a rule counts as binding


class Seen(NamedTuple):
    """What conditions read off an equilibrium: cost ĉ [country, sector], sales [importer, exporter, sector]."""

    cost: NDArray
    sales: NDArray


def wedged(base: Situation, instruments: Sequence[Ceiling], wedges: NDArray) -> Situation:
    """The situation with these wedges in its trade weights, and their rents."""
    trade, sales = (
        np.array(base.trade_weight),
        np.array(base.trade_weight if base.sales_weight is None else base.sales_weight),
    )
    taxes = [
        None if part is None else np.array(part) for part in (base.tariff_weight, base.export_tax_weight)
    ]
    theta, n = np.asarray(base.trade_elasticity), len(base.value_added)
    uses = range(0, trade.shape[1], n)
    transit = base.transit
    around = None if transit is None else np.array(transit.weight)
    sector, pools, importer, exporter, named = [], [], [], [], []
    for instrument, t in zip(instruments, wedges, strict=True):
        buyers = [place + use for use in uses for place in instrument.importers]
        for j in instrument.sectors:
            cells = np.ix_([j], buyers, instrument.exporters)
            for weight in (trade, sales, *taxes):
                if weight is not None:
                    weight[cells] *= np.exp(-theta[j] * t)
            if transit is not None and around is not None:
                around[_inside(transit, instrument, j, n)] *= np.exp(-theta[j] * t)
            part = rent_part(instrument, float(t))
            pool = np.zeros(trade.shape[1:])
            pool[np.ix_(buyers, instrument.exporters)] = sales[cells][0] * part
            sales[cells] *= 1 - part
            sector.append(j)
            pools.append(pool)
            to = (
                "exporter"
                if isinstance(instrument, Producers)
                else getattr(instrument, "rent_to", "importer")
            )
            importer.append(float(to == "importer"))
            exporter.append(float(to == "exporter"))
            named.append(np.eye(n)[to] if isinstance(to, int) else np.zeros(n))
    if transit is not None:
        base = eqx.tree_at(lambda s: s.transit.weight, base, jnp.asarray(around))
    rents = Rents(*(jnp.asarray(part) for part in (sector, pools, importer, exporter, named)))
    return eqx.tree_at(
        lambda s: (s.trade_weight, s.sales_weight, s.tariff_weight, s.export_tax_weight, s.rents),
        base,
        (
            jnp.asarray(trade),
            jnp.asarray(sales),
            *(None if part is None else jnp.asarray(part) for part in taxes),
            rents,
        ),
        is_leaf=lambda leaf: leaf is None,
    )


def _inside(transit: Transit, instrument: Ceiling, sector: int, countries: int) -> NDArray[np.bool_]:
    """Which cells of what goes around sanctions are flows of this sector that the instrument is about."""
    inside = np.asarray(transit.sector) == sector
    inside &= np.isin(np.asarray(transit.buyer) % countries, instrument.importers)
    return inside & np.isin(np.asarray(transit.exporter), instrument.exporters)


def rent_part(instrument: Ceiling, t: float) -> float:
    """ψ: the part of what is paid that is rent, at a wedge."""
    least = instrument.least_wedge if isinstance(instrument, PriceCap) else 0.0
    return float(np.exp(-least) - np.exp(-t))


def least_wedges(instruments: Sequence[Ceiling]) -> NDArray:
    """The wedges where nothing binds."""
    return np.array([i.least_wedge if isinstance(i, PriceCap) else 0.0 for i in instruments])


def prices(instruments: Sequence[Ceiling], wedges: NDArray, cost: NDArray) -> NDArray:
    """What goods go for abroad [country, sector]: cost, and the margin of producers or what a capped good is worth."""
    price = cost.copy()
    for instrument, t in zip(instruments, wedges, strict=True):
        if not isinstance(instrument, Quota) and np.isfinite(t):
            price[np.ix_(instrument.exporters, instrument.sectors)] *= np.exp(t)
    return price


def conditions(
    instruments: Sequence[Ceiling], wedges: NDArray, now: Seen, before: Seen
) -> tuple[NDArray, list[Binding]]:
    """Each instrument's condition, nil where it holds, and what came of it."""
    price = prices(instruments, wedges, now.cost)
    gaps, came = [], []
    for instrument, t in zip(instruments, wedges, strict=True):
        cells = np.ix_(instrument.importers, instrument.exporters, instrument.sectors)
        cost = now.cost[np.ix_(instrument.exporters, instrument.sectors)]
        sold, once = now.sales[cells], before.sales[cells]
        volume = float((sold / cost[None]).sum() / once.sum())
        mean = float((once * cost[None]).sum() / once.sum())
        crossing = before.sales[:, :, instrument.sectors].copy()
        crossing[np.arange(len(crossing)), np.arange(len(crossing))] = 0.0
        exported = crossing.sum(axis=0)
        world = float((exported * price[:, instrument.sectors]).sum() / exported.sum())
        gap, slack, ceiling = _condition(instrument, float(t), mean, volume, world)
        gaps.append(gap)
        came.append(
            Binding(
                instrument.name,
                float(t),
                slack,
                slack <= FLAT,
                mean,
                mean * float(np.exp(t)),
                ceiling,
                volume,
                world,
            )
        )
    return np.array(gaps), came


def _condition(
    instrument: Ceiling, t: float, cost: float, volume: float, world: float
) -> tuple[float, float, float]:
    """(condition, slack, ceiling)."""
    if isinstance(instrument, PriceCap):
        worth = cost * np.exp(t)  # infinite where a full cap ends the sales
        if instrument.cap is not None:
            cap = instrument.cap
        else:
            reference = worth if instrument.reference == "own" else instrument.reference_ratio * world
            cap = (1 - (instrument.below or 0.0)) * reference
        if np.isinf(t):
            return min(float(np.log(cost / cap)), 0.0), 0.0, cap
        e, s = instrument.enforced, instrument.shadow_cost
        received = e * min(worth, cap) + (1 - e) * worth / (1 + s)
        return float(np.log(received / cost)), max(float(np.log(cap / worth)), 0.0), cap
    if isinstance(instrument, Quota):
        room = float(np.log(instrument.ceiling / volume))
        return min(t, room), max(room, 0.0), instrument.ceiling
    assert isinstance(instrument, Producers)
    most = float(np.log((1 + instrument.spare) / volume))
    if instrument.rule == "hold-volume":
        return float(np.log(volume)), 0.0, 1.0
    return max(-float(np.log(world)), -most), max(most, 0.0), 1.0


def find_wedges(
    gap_of: Callable[[NDArray], NDArray], begin: NDArray, tolerance: float
) -> tuple[NDArray, NDArray]:
    """Wedges at which all conditions hold, and the gaps left; where there is no way on, the best wedges found.

    gap_of: solves the equilibrium at wedges and returns the conditions; NaN where there is none.
    """
    x, gap = begin.astype(float), gap_of(begin)
    jacobian, fresh = None, False
    for _ in range(MOST_STEPS):
        if abs(gap).max() <= tolerance:
            break
        if jacobian is None:
            jacobian, fresh = _differences(gap_of, x, gap), True
        try:
            step = -np.linalg.solve(jacobian, gap)
        except np.linalg.LinAlgError:
            step = np.full_like(x, np.nan)
        if not np.isfinite(step).all():
            break
        step *= min(1.0, LARGEST_STEP / abs(step).max())
        share = 1.0
        while share >= SHORTEST_STEP:
            trial = gap_of(x + share * step)
            if np.isfinite(trial).all() and abs(trial).max() < (1 - 0.1 * share) * abs(gap).max():
                break
            share *= 0.5
        else:
            if fresh:
                break
            jacobian = None
            continue
        taken, change = share * step, trial - gap
        jacobian = jacobian + np.outer(change - jacobian @ taken, taken) / (taken @ taken)
        x, gap, fresh = x + taken, trial, False
    return x, gap


def closing(instruments: Sequence[Ceiling], wedges: NDArray, gaps: NDArray) -> NDArray:
    """The wedges with those of full caps that sellers do not accept set to infinity: at the cap they sell nothing.

    A corner of the complementarity, exact where unit costs without these sales are above the cap (`conditions` checks it).
    """
    refused = [
        isinstance(i, PriceCap) and i.enforced == 1 and i.reference_is_fixed and gap < 0
        for i, gap in zip(instruments, gaps, strict=True)
    ]
    return np.where(refused, np.inf, wedges)


def unmet(instruments: Sequence[Ceiling], wedges: NDArray, gaps: NDArray) -> str:
    """What to say when a condition does not hold."""
    worst = int(abs(gaps).argmax())
    return (
        f"No wedge was found at which `{instruments[worst].name}` holds: its condition is off by {gaps[worst]:.1e} at a "
        f"wedge of {wedges[worst]:.3g} log points. The rule may contradict the rest of the scenario, as a cap far below "
        "what sellers can live with; loosen it, or allow leakage (`enforced` below 1)."
    )


def _differences(gap_of: Callable[[NDArray], NDArray], x: NDArray, gap: NDArray) -> NDArray:
    columns = []
    for k in range(len(x)):
        ahead = x.copy()
        ahead[k] += LOOK_AHEAD
        columns.append((gap_of(ahead) - gap) / LOOK_AHEAD)
    return np.array(columns).T
