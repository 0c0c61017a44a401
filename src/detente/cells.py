"""Situations by the few cells of trade that measures touch: what is common stands once, and each path sets its cells in it.

A sanction touches a few thousand of the flows of the world. For paths of many years and draws the trade weights of these
alone are worked out, and put into the rows and columns that `detente.stack` holds apart; the rest is the baseline's.
What does not fit (ways through hubs, instruments, cells all over the world, users left without supplier) is left to
`batch.solve_many`, and so is every path that does not converge beside the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from detente.customers import checked, kept
from detente.economy import Economy
from detente.shock import Labels, Shock
from detente.situation import bare, situation
from detente.stack import WIDEST, Shape, Stack, assembled, cover, places_of, split

Key = tuple[int, ...]
FIELDS = {
    "trade_cost_change": 1.0,
    "blocked": False,
    "tariff_new": 0.0,
    "export_tax_new": 0.0,
    "entry": 0.0,
}  # untouched


class Scattered:
    """A few cells of an array over [importer, exporter, sector], as an array where one is asked for.

    cell: flat indices, in order; value [cell]: what stands there, `fill` elsewhere.
    """

    def __init__(self, shape: tuple[int, int, int], cell: NDArray, value: NDArray, fill: float | bool = 1.0):
        self.shape, self.cell, self.value, self.fill = shape, cell, value, fill

    def __array__(self, dtype: object = None, copy: bool | None = None) -> NDArray:
        made = np.full(self.shape, self.fill)
        made.reshape(-1)[self.cell] = self.value
        return made if dtype is None else made.astype(dtype)  # pyright: ignore[reportArgumentType, reportCallIssue]


class Lost(Scattered):
    """Weights with the factors that lost customers leave in a few cells; under: the weights without, None for ones."""

    def __init__(self, shape: tuple[int, int, int], cell: NDArray, value: NDArray, under: ArrayLike | None):
        super().__init__(shape, cell, value)
        self.under = under

    def __array__(self, dtype: object = None, copy: bool | None = None) -> NDArray:
        factors = super().__array__(dtype)
        return factors if self.under is None else factors * np.asarray(self.under, float)


def compact(shocks: Sequence[Shock], shape: tuple[int, int, int]) -> list[Shock]:
    """The same shocks with their arrays of trade scattered: what many paths that wait for their turn are kept as."""
    known: dict[int, ArrayLike | None] = {}

    def small(given: ArrayLike | None, fill: float | bool) -> ArrayLike | None:
        if given is None or np.shape(given) != shape:
            return given
        if id(given) not in known:
            array = np.asarray(given)
            cell = np.flatnonzero(array != fill)
            known[id(given)] = Scattered(shape, cell, array.reshape(-1)[cell], fill)
        return known[id(given)]

    found = []
    for shock in shocks:
        weight = shock.weight_change
        if isinstance(weight, Lost):
            weight = Lost(shape, weight.cell, weight.value, small(weight.under, 1.0))
        else:
            weight = small(weight, 1.0)
        parts = {name: small(getattr(shock, name), fill) for name, fill in FIELDS.items()}
        found.append(replace(shock, weight_change=weight, **parts))
    return found


class Touched(NamedTuple):
    """What a shock does to trade, where it does anything.

    cell: flat indices of [importer, exporter, sector], in order; direct [cell]: κ̂^(−θ) without duties, 0 where banned;
    entry [cell]: share that stands in for a flow that is nil; tariff, export_tax [cell]: rates in the new situation, or
    None where there are no duties in the baseline either.
    """

    cell: NDArray[np.int_]
    direct: NDArray
    entry: NDArray
    tariff: NDArray | None
    export_tax: NDArray | None


def touched(economy: Economy, shock: Shock) -> Touched:
    """The cells that a shock touches, without ways around it and instruments. Raises `InputError` for a bad cell."""
    labels, shape = Labels(economy.countries, economy.sectors), _shape(economy)
    cost, weight, blocked = shock.cost(shape, labels), shock.weight(shape, labels), shock.ban(shape, labels)
    entry = shock.entering(np.asarray(economy.trade_share), labels)
    old = {"tariff": economy.tariff, "export_tax": economy.export_tax}
    new = {"tariff": shock.tariff(shape, labels), "export_tax": shock.export_tax(shape, labels)}
    mask = np.zeros(shape, bool)
    for array, none in ((cost, 1), (weight, 1), (blocked, False), (entry, 0)):
        if array is not None:
            mask |= array != none
    for name, rate in new.items():
        if rate is not None:
            mask |= rate != (0.0 if old[name] is None else np.asarray(old[name]))
    cell = np.flatnonzero(mask)

    def at(array: NDArray | None, none: float) -> NDArray:
        return np.full(len(cell), none) if array is None else array[mask].astype(float)

    theta = np.asarray(economy.trade_elasticity)[cell % shape[2]]
    direct = np.where(at(blocked, 0.0) > 0, 0.0, at(cost, 1.0) ** -theta * at(weight, 1.0))
    rates: list[NDArray | None] = [None, None]
    if any(rate is not None for rate in (*old.values(), *new.values())):
        rates = [at(new[k] if new[k] is not None else _rate(old[k]), 0.0) for k in old]
    return Touched(cell, direct, at(entry, 0.0), *rates)


def remembering(economy: Economy, shocks: Sequence[Shock], persistence: ArrayLike) -> list[Shock]:
    """The shocks of a path, year by year, with the weights that lost customers leave (`detente.customers`).

    persistence: ρ [sector] or a number. Raises `InputError` for another ρ and for a bad cell.
    """
    rho = checked(persistence, len(economy.sectors))
    distinct = {id(shock): shock for shock in shocks}
    known = {key: touched(economy, shock) for key, shock in distinct.items()}
    cell = np.unique(np.concatenate([each.cell for each in known.values()]))
    weights = {key: np.ones(len(cell)) for key in known}
    for key, each in known.items():
        weights[key][np.searchsorted(cell, each.cell)] = each.direct
    factors = kept(np.stack([weights[id(shock)] for shock in shocks]), rho[cell % len(rho)])
    shape = _shape(economy)
    found = []
    for shock, factor in zip(shocks, factors, strict=True):
        lost = factor != 1
        more = Lost(shape, cell[lost], factor[lost], shock.weight_change)
        found.append(replace(shock, weight_change=more) if lost.any() else shock)
    return found


def _shape(economy: Economy) -> tuple[int, int, int]:
    n = len(economy.countries)
    return n, n, len(economy.sectors)


def _rate(given: object) -> NDArray | None:
    return None if given is None else np.asarray(given)


class Sheet(NamedTuple):
    """The cells that a path touches in some year, and the weights there by year.

    cell: flat indices; weights: by name of `stack.WEIGHTS`, [year, use, cell]; of trade alone where there are no duties.
    """

    cell: NDArray[np.int_]
    weights: dict[str, NDArray]


def sheet(economy: Economy, shocks: Sequence[Shock]) -> Sheet | None:
    """The sheet of a path's shocks, year by year; None where goods go through hubs or instruments bind.

    Raises `InputError` for a bad cell.
    """
    if any(shock.evasion is not None or shock.instruments for shock in shocks):
        return None
    known: dict[Key, Touched] = {}
    keys = [_key(shock) for shock in shocks]
    for key, shock in zip(keys, shocks, strict=True):
        if key not in known:
            known[key] = touched(economy, _without_memory(shock))
    lost = [_lost(shock) for shock in shocks]
    parts = [each.cell for each in (*known.values(), *filter(None, lost))]
    cell = np.unique(np.concatenate(parts)) if parts else np.zeros(0, int)
    rows = {key: _spread(each, cell, economy) for key, each in known.items()}
    direct, entry, tariff, tax = (np.stack([rows[key][k] for key in keys]) for k in range(4))
    for t, each in enumerate(lost):
        if each is not None:
            direct[t, np.searchsorted(cell, each.cell)] *= each.value
    duties = any(each.tariff is not None for each in known.values())
    return Sheet(cell, _weights(economy, cell, (direct, entry), (tariff, tax) if duties else None))


def _lost(shock: Shock) -> Lost | None:
    """The factors of lost customers, None where there are none."""
    return shock.weight_change if isinstance(shock.weight_change, Lost) else None


def _given(shock: Shock) -> ArrayLike | None:
    """The weights without these."""
    lost = _lost(shock)
    return shock.weight_change if lost is None else lost.under


def _key(shock: Shock) -> Key:
    return (id(_given(shock)), *(id(getattr(shock, name)) for name in FIELDS))


def _without_memory(shock: Shock) -> Shock:
    return Shock(weight_change=_given(shock), **{name: getattr(shock, name) for name in FIELDS})


def _spread(of: Touched, cell: NDArray, economy: Economy) -> list[NDArray]:
    """What is touched, on more cells: direct weight, entry, tariff, export tax [cell]."""
    at = np.searchsorted(cell, of.cell)
    found = []
    for values, base in (
        (of.direct, 1.0),
        (of.entry, 0.0),
        (of.tariff, economy.tariff),
        (of.export_tax, economy.export_tax),
    ):
        if base is None:
            full = np.zeros(len(cell))
        else:
            full = np.asarray(base).reshape(-1)[cell] if np.ndim(base) else np.full(len(cell), base)
        full = np.array(full)
        if values is not None:
            full[at] = values
        found.append(full)
    return found


def _weights(
    economy: Economy,
    cell: NDArray,
    moved: tuple[NDArray, NDArray],
    rates: tuple[NDArray, NDArray] | None,
) -> dict[str, NDArray]:
    """Weights by name [year, use, cell], as `situation.situation` has them."""
    direct, entry = moved
    sectors = len(economy.sectors)
    share = economy.buyer_share.reshape(-1, economy.trade_share.size)[:, cell]  # one for each mix of sellers
    trade = (share + entry[:, None]) * direct[:, None]
    if rates is None:
        return {"trade_weight": trade}
    theta = np.asarray(economy.trade_elasticity)[cell % sectors]
    before = 1.0
    for rate in (economy.tariff, economy.export_tax):
        before = before * (1.0 if rate is None else 1 + np.asarray(rate).reshape(-1)[cell])
    t, e = (rate[:, None] for rate in rates)
    trade = trade * ((1 + t) * (1 + e) / before) ** -theta
    return {
        "trade_weight": trade,
        "sales_weight": trade / ((1 + t) * (1 + e)),
        "tariff_weight": trade * t / (1 + t),
        "export_tax_weight": trade * e / ((1 + t) * (1 + e)),
    }


@dataclass(frozen=True, eq=False)
class Frame:
    """What all paths have in common: the baseline in the rows and columns held apart, and where each path's cells go.

    economies, sheets: one a path; shape: as `stack` takes it. Made by `frame`.
    """

    economies: Sequence[Economy]
    sheets: Sequence[Sheet]
    shape: Shape
    places: tuple[NDArray, NDArray]
    strips: dict[str, tuple[NDArray, NDArray, NDArray]]
    homes: tuple[tuple[NDArray, NDArray], ...]

    def stack(self, shocks: Sequence[Shock], year: int, paths: Sequence[int]) -> Stack:
        """The situations of some paths in a year, side by side. Raises `InputError` for what is no trade and wrong."""
        situations = [bare(self.economies[p], shock) for p, shock in zip(paths, shocks, strict=True)]
        names = [name for name in self.strips if any(name in self.sheets[p].weights for p in paths)]
        rows, columns = {}, {}
        for name in names:
            row, column, _ = self.strips[name]
            rows[name] = np.repeat(row[..., None], len(paths), axis=-1)
            columns[name] = np.repeat(column[..., None], len(paths), axis=-1)
            for k, p in enumerate(paths):
                self._set(rows[name][..., k], columns[name][..., k], p, year, name)
        whole = {name: jnp.asarray(self.strips[name][2]) for name in names}
        return assembled(situations, self.places, (rows, columns, whole), self.shape)

    def _set(self, row: NDArray, column: NDArray, p: int, year: int, name: str) -> None:
        weights, (in_row, at) = self.sheets[p].weights, self.homes[p]
        values = weights.get(name)
        if values is None:  # no duties here, though beside it
            values = weights["trade_weight"] if name == "sales_weight" else 0 * weights["trade_weight"]
        now = values[year].reshape(-1)
        row[tuple(at[:, in_row])] = now[in_row]
        column[tuple(at[:, ~in_row])] = now[~in_row]


def frame(economies: Sequence[Economy], sheets: Sequence[Sheet | None], shape: Shape) -> Frame | None:
    """The frame of paths of one baseline, or None where they do not fit into one."""
    first = economies[0]
    given = [each for each in sheets if each is not None]
    if len(given) < len(sheets) or not all(_sound(first, each) for each in given):
        return None
    n, s = len(first.countries), len(first.sectors)
    pairs = np.zeros(n * n, bool)
    for each in given:
        pairs[each.cell // s] = True
    pairs[:: n + 1] = False
    if any((each.cell // s % (n + 1) == 0).any() for each in given):
        return None  # trade at home is changed
    linked = pairs.reshape(n, n)
    linked[list(shape.apart)], linked[:, list(shape.apart)] = False, False
    apart = tuple(sorted({*shape.apart, *cover(linked, n)}))
    if not apart or len(apart) > WIDEST:
        return None
    base = situation(first, Shock(tariff_new=0.0) if _taxed(given) and first.tariff is None else Shock())
    places = places_of(apart, base)
    strips = {}
    for name in ("trade_weight", "sales_weight", "tariff_weight", "export_tax_weight"):
        weight = getattr(base, name)
        if weight is not None:
            part = split(np.asarray(weight), *places)
            strips[name] = part.row, part.column, part.rest
    homes = tuple(_home(each.cell, (n, s), np.array(apart), len(base.trade_weight[0]) // n) for each in given)
    return Frame(economies, given, shape, places, strips, homes)


def _taxed(sheets: Sequence[Sheet]) -> bool:
    return any("tariff_weight" in each.weights for each in sheets)


def _home(
    cell: NDArray, size: tuple[int, int], apart: NDArray, uses: int
) -> tuple[NDArray[np.bool_], NDArray]:
    """Whether each use's cell lies in a row held apart, and its index there or in a column [3, use × cell]."""
    n, s = size
    importer, exporter, sector = cell // (n * s), cell // s % n, cell % s
    in_row = np.isin(importer, apart)
    found = []
    for use in range(uses):
        row = np.searchsorted(apart, importer).clip(max=len(apart) - 1) + use * len(apart)
        column = np.searchsorted(apart, exporter).clip(max=len(apart) - 1)
        second, third = np.where(in_row, row, importer + use * n), np.where(in_row, exporter, column)
        found.append(np.stack([sector, second, third]))
    return np.tile(in_row, uses), np.concatenate(found, axis=1)


def _sound(economy: Economy, of: Sheet) -> bool:
    """Whether in every year each user has a supplier, and some country trades with all in both directions.

    Flows are counted, none is added up: counts are exact.
    """
    n, s = len(economy.countries), len(economy.sectors)
    share = economy.buyer_share.reshape(-1, n, n, s)
    used = economy.buyer_spending.reshape(-1, n, s) > 0
    before = share.reshape(len(share), -1)[:, of.cell] > 0
    suppliers, links = (share > 0).sum(axis=2), (share > 0) & used[:, :, None]
    links = links.sum(axis=(0, 3))
    importer, exporter, sector = of.cell // (n * s), of.cell // s % n, of.cell % s
    seen = b""
    for now in of.weights["trade_weight"] > 0:
        if now.tobytes() == seen:
            continue
        seen, change = now.tobytes(), now.astype(int) - before
        left, linked = suppliers.copy(), links.copy()
        for use, each in enumerate(change):
            np.add.at(left[use], (importer, sector), each)
            np.add.at(linked, (importer, exporter), each * used[use, importer, sector])
        if ((left <= 0) & used).any() or not ((linked > 0) & (linked.T > 0)).all(axis=1).any():
            return False
    return True
