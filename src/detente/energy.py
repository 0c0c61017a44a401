"""The sector of crude oil and gas (B06) split into crude oil, pipeline gas and LNG by public figures.

The table's flows keep their size; figures of 2022 (`detente.sources.energy_figures`) say what each consists of, and
users' needs (refineries take crude, power stations gas) are the other side. Both are bent as little as it takes for
supply and use of each fuel to meet in each country. Method, sources and doubts: docs/energy.md.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from detente.errors import ConvergenceError
from detente.sources import energy_figures
from detente.sources.energy_figures import FUELS, LNG, OIL, PIPE, WHOLE, Figures

Array = NDArray[np.float64]
STEPS, CLOSED = 100, 1e-13
FIRM = 4.0  # how much dearer it is to bend the make-up of a pair that has figures of its own
UNLISTED = (
    0.05  # at least this part of a country's exports of a fuel goes to buyers without figures of their own
)
OWN_GAS = 0.5  # liquefaction gets at most this part of the gas that extraction itself uses
NOTES = (
    "Crude oil, pipeline gas and LNG (B06O, B06P, B06L) are split from one sector of the table by public figures of 2022, "
    "most of them not checked again at their source: the table’s flows keep their size, only their make-up is estimated "
    "(docs/energy.md).",
    "What a fuel costs to make is not known apart: all three have the inputs of oil and gas extraction in their country, "
    "except that liquefaction burns gas.",
)


def split(data: xr.Dataset, figures: Figures | None = None) -> xr.Dataset:
    """A world's data without tariffs, its sector B06 replaced by three that add up to what was there.

    Raises `ConvergenceError` if supply and use cannot be made to meet; figures that pass their checks don't cause that.
    """
    figures = figures or energy_figures.read()
    countries, sectors = data["country"].values.tolist(), data["sector"].values.tolist()
    b = sectors.index(WHOLE)
    share = supply_share(countries, figures)
    firm = np.where(_listed(countries, figures), FIRM, 1.0)
    intermediate, final, use = (
        data[name].values for name in ("intermediate_trade", "final_trade", "input_use")
    )
    taste = np.array([_taste(code, figures) for code in sectors])
    to_users, used = _by_fuel(intermediate[:, b], share, firm, use[:, b], taste)
    bought = final[:, b].sum(axis=0)[:, None]
    to_final, _ = _by_fuel(final[:, b], share, firm, bought, _taste("final", figures)[None])
    output = (to_users + to_final).sum(axis=1)  # country, fuel
    codes = [*sectors[:b], *FUELS, *sectors[b + 1 :]]
    values = {
        "intermediate_trade": _instead(intermediate, 1, b, to_users.transpose(0, 2, 1)),
        "final_trade": _instead(final, 1, b, to_final.transpose(0, 2, 1)),
        "input_use": _columns(use, used.transpose(0, 2, 1), output, b, figures),
        "output": _instead(data["output"].values, 1, b, output),
    }
    values["value_added"] = values["output"] - values["input_use"].sum(axis=1)
    old = data["value_added"].values
    values["value_added"] = np.where(
        np.abs(values["value_added"]) <= 1e-9 * values["output"], 0.0, values["value_added"]
    )
    others = [k for k in range(len(sectors)) if k != b]  # of all other sectors it is what it was
    kept = [codes.index(sectors[k]) for k in others]
    values["value_added"][:, kept] = old[:, others]
    coords = dict.fromkeys(("exporter", "importer", "country"), countries) | {
        "sector": codes,
        "input": codes,
    }
    size = f"{len(countries)} countries × {len(codes)} sectors"
    attrs = data.attrs | {
        "title": f"{data.attrs.get('title', '')}; crude oil, pipeline gas and LNG apart: {size}",
        "source": f"{data.attrs.get('source', '')}; split by public energy figures of 2022 (energy_2022.csv)",
        "limits": "\n".join([*_limits(data), *NOTES]),
    }
    return xr.Dataset({name: (data[name].dims, array) for name, array in values.items()}, coords, attrs)


def _limits(data: xr.Dataset) -> list[str]:
    """The limits of the unsplit table that still hold."""
    return [
        line for line in str(data.attrs.get("limits", "")).splitlines() if "are one sector (B06)" not in line
    ]


def supply_share(countries: Sequence[str], figures: Figures) -> Array:
    """What each flow of oil and gas consists of by value, as figures have it: [exporter, importer, fuel], sums to one.

    A pair with flow rows has just these. Any other pair gets what its exporter sells beyond the rows, as far as it can
    get there. At home: output less exports. Where nothing is known: crude and, where there is a pipe, gas alike.
    """
    values = np.zeros((len(countries), len(countries), len(FUELS)))
    listed = _listed(countries, figures)
    for i, origin in enumerate(countries):
        rest = _rest(origin, figures)
        for n, destination in enumerate(countries):
            if i == n:
                values[i, n] = _at_home(origin, figures)
            elif listed[i, n]:
                flows = [figures.get("flow", origin, destination, fuel) or 0.0 for fuel in FUELS]
                values[i, n] = [
                    figures.value(origin, destination, fuel, q) for fuel, q in zip(FUELS, flows, strict=True)
                ]
            else:
                able = np.array([figures.possible(origin, destination, fuel) for fuel in FUELS], float)
                values[i, n] = rest * able
            if not values[i, n].any():
                values[i, n, 0] = 1.0
    return values / values.sum(axis=2, keepdims=True)


def _listed(countries: Sequence[str], figures: Figures) -> NDArray[np.bool_]:
    """Which pairs [exporter, importer] have flow rows."""
    pairs = {(row.origin, row.destination) for row in figures.of("flow")}
    return np.array([[(i, n) in pairs for n in countries] for i in countries])


def _rest(origin: str, figures: Figures) -> Array:
    """USD million by fuel that a country exports beyond its flow rows; crude and gas alike if its exports are not known."""
    totals = [figures.get("exports", origin, fuel=fuel) for fuel in FUELS]
    if totals == [None] * len(FUELS):
        return np.array([1.0, 1.0, 0.0])
    listed = [
        sum(row.value for row in figures.of("flow") if row.origin == origin and row.fuel == fuel)
        for fuel in FUELS
    ]
    exports = np.array([total or 0.0 for total in totals])
    left = np.maximum(exports - np.array(listed), UNLISTED * exports)
    return np.array([figures.value(origin, "", fuel, q) for fuel, q in zip(FUELS, left, strict=True)])


def _at_home(country: str, figures: Figures) -> Array:
    """USD million by fuel that a country's own output leaves for itself; crude and gas alike where it is not known."""
    made = {fuel: figures.get("production", country, fuel=fuel) for fuel in (OIL, PIPE)}
    sold = {fuel: figures.get("exports", country, fuel=fuel) or 0.0 for fuel in FUELS}
    oil = max((made[OIL] or 0.0) - sold[OIL], 0.0)
    gas = max((made[PIPE] or 0.0) - sold[PIPE] - figures.cubic_metres(sold[LNG]), 0.0)
    if not oil and not gas:
        return np.array([1.0, 1.0, 0.0])
    return np.array(
        [figures.value(country, country, OIL, oil), figures.value(country, country, PIPE, gas), 0.0]
    )


def _taste(user: str, figures: Figures) -> Array:
    """Shares in which a user would take crude and gas."""
    crude = figures.get("use", destination=user, fuel=OIL)
    if crude is None:
        crude = figures.get("use", destination="other", fuel=OIL) or 0.0
    return np.array([crude, 1 - crude])


def _by_fuel(trade: Array, share: Array, firm: Array, use: Array, taste: Array) -> tuple[Array, Array]:
    """Flows [exporter, importer, fuel] and uses [importer, user, fuel], crude and gas as `meet` has them.

    To users gas is gas, however it came: within it, flows have the make-up of the figures, and all users of a country
    what that comes to.
    """
    gas = share[:, :, 1:].sum(axis=2, keepdims=True)
    supplied, used = meet(trade, np.concatenate([share[:, :, :1], gas], axis=2), firm, use, taste)
    way = np.divide(share[:, :, 1:], gas, out=np.zeros_like(share[:, :, 1:]), where=gas > 0)
    by_way = supplied[:, :, 1:] * way
    total = by_way.sum(axis=0)
    came = np.divide(total, total.sum(axis=1, keepdims=True), out=np.zeros_like(total), where=total > 0)
    flows = np.concatenate([supplied[:, :, :1], by_way], axis=2)
    return flows, np.concatenate([used[:, :, :1], used[:, :, 1:] * came[:, None]], axis=2)


def meet(trade: Array, share: Array, firm: Array, use: Array, taste: Array) -> tuple[Array, Array]:
    """Flows and uses by fuel: A_inf = T_in s_inf λ_nf^(1/f_in) / Σ and B_nkf = U_nk p_kf / λ_nf / Σ, with Σ_i A = Σ_k B.

    trade, firm [exporter, importer], share [exporter, importer, fuel], use [importer, user], taste [user, fuel]; trade
    and use have the same sums by importer. Of all ways to meet, this bends shares and tastes least: in information
    (Kullback-Leibler) weighted by value, for shares times `firm`. λ is the root of a convex problem, found by Newton's
    method on its logarithm, all importers at once. Returns [exporter, importer, fuel] and [importer, user, fuel].
    Raises `ConvergenceError` where no λ lets them meet.
    """
    here = np.einsum("in,inf->nf", trade, share) > 0
    total = trade.sum(axis=0)
    x = np.zeros(here.shape)
    for _ in range(STEPS):
        supplied, used = (
            _parts(share, x[None] / firm[:, :, None]),
            _parts(taste[None] * here[:, None], -x[:, None]),
        )
        a, b = trade[:, :, None] * supplied, use[:, :, None] * used
        gap = a.sum(axis=0) - b.sum(axis=1)
        if (np.abs(gap) <= CLOSED * total[:, None]).all():
            return a, b
        soft = a / firm[:, :, None]
        slope = -np.einsum("inf,ing->nfg", soft, supplied) - np.einsum("nkf,nkg->nfg", b, used)
        f = np.arange(here.shape[1])
        slope[:, f, f] += soft.sum(axis=0) + b.sum(axis=1)
        scale = np.where(total > 0, total, 1.0)
        # only ratios of λ count, and a fuel that is not here has none: a level is fixed in both directions
        slope = slope / scale[:, None, None] + 1.0 + np.eye(here.shape[1]) * ~here[:, None, :]
        step = np.linalg.solve(slope, (gap / scale[:, None])[:, :, None])[:, :, 0]
        largest = np.abs(step).max(axis=1, keepdims=True)
        x = x - step / np.maximum(largest, 1.0)
    worst = float(np.abs(gap).max())
    raise ConvergenceError(
        f"Crude oil and gas could not be split: supply and use of a fuel differ by {worst:.3g} after {STEPS} steps. "
        "Look for figures that leave a country with one fuel that none of its users takes."
    )


def _parts(weight: Array, log_factor: Array) -> Array:
    """Shares of fuels (last axis) after their weights are multiplied by a factor."""
    product = weight * np.exp(log_factor)
    total = product.sum(axis=-1, keepdims=True)
    return np.divide(product, total, out=np.zeros_like(product), where=total > 0)


def _instead(values: Array, axis: int, place: int, new: Array) -> Array:
    """`values` with one entry of an axis replaced by the three of `new`, which has them on the same axis."""
    before, _, after = np.split(values, [place, place + 1], axis=axis)
    return np.concatenate([before, new, after], axis=axis)


def _columns(use: Array, used: Array, output: Array, place: int, figures: Figures) -> Array:
    """Use [country, input, user] with both axes split: users alike in proportion to their output, but for gas burnt.

    used [country, fuel, user] is the use of each fuel, its users not yet split; output [country, fuel].
    """
    rows = _instead(use, 1, place, used)
    total = output.sum(axis=1, keepdims=True)
    part = np.divide(output, total, out=np.zeros_like(output), where=total > 0)
    new = rows[:, :, place, None] * part[:, None, :]
    gas = rows[:, place + FUELS.index(PIPE), place]
    burnt = (figures.get("liquefaction-use", fuel=PIPE) or 0.0) * output[:, FUELS.index(LNG)]
    wells = output[:, :2].sum(axis=1, keepdims=True)
    alike = np.divide(output[:, :2], wells, out=np.zeros_like(output[:, :2]), where=wells > 0)
    burnt = np.where(wells[:, 0] > 0, np.minimum(burnt, OWN_GAS * gas), gas)
    new[:, place + FUELS.index(PIPE)] = np.concatenate(
        [alike * (gas - burnt)[:, None], burnt[:, None]], axis=1
    )
    return _instead(rows, 2, place, new)
