"""Situations side by side on a last axis, what they share kept once.

Scenarios of one world differ in few trade weights: those of pairs with a target of sanctions. These are held apart, as
rows and columns with the axis (`terms.Cross`); the rest, and everything else that is the same in all, stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike, NDArray

from detente.terms import Cross, Situation, Strips, Transit

WIDEST = (
    6  # countries held apart at most; above that products with weights of each scenario's own are as quick
)
WEIGHTS = ("trade_weight", "sales_weight", "tariff_weight", "export_tax_weight")


class Stack(NamedTuple):
    """Situations on a last axis, and which of the leaves have it (in the order of `jax.tree.leaves`)."""

    situation: Situation
    has_axis: tuple[bool, ...]


class Shape(NamedTuple):
    """What is held apart even where all share it, so that programs compiled for one stack serve the next.

    apart: indices of countries; own: names of `Situation` fields with an axis.
    """

    apart: tuple[int, ...] = ()
    own: tuple[str, ...] = ()


ALIKE = Shape()


class Part(NamedTuple):
    """Rows [sector, row, exporter] and columns [sector, buyer, column] of one weight, and the rest with zeros there."""

    row: NDArray
    column: NDArray
    rest: NDArray


def stacked(situations: Sequence[Situation], shape: Shape = ALIKE) -> Stack:
    """One stack of situations of the same countries, sectors and closure. What is absent from some counts as nil there."""
    alike = _alike(situations)
    first = alike[0]
    weights = {name: [np.asarray(getattr(each, name)) for each in alike] for name in _present(first)}
    apart = tuple(sorted({*shape.apart, *cover(touched(list(weights.values())), len(first.value_added))}))
    whole: dict[str, Array] = {}
    if len(apart) > WIDEST:
        cross = None
        whole = {name: jnp.asarray(np.stack(each, axis=-1)) for name, each in weights.items()}
    else:
        places = places_of(apart, first)
        rows, columns = {}, {}
        for name, each in weights.items():
            parts = [strips(weight, *places) for weight in each]
            rows[name] = np.stack([row for row, _ in parts], axis=-1)
            columns[name] = np.stack([column for _, column in parts], axis=-1)
            whole[name] = jnp.asarray(split(each[0], *places).rest)
        cross = crossed(places, rows, columns)
    return _joined([_bare(each) for each in alike], whole, cross, shape)


def assembled(
    bare: Sequence[Situation],
    places: tuple[NDArray, NDArray],
    weights: tuple[dict[str, NDArray], dict[str, NDArray], dict[str, Array]],
    shape: Shape = ALIKE,
) -> Stack:
    """The stack of situations whose weights are at hand: rows and columns with the axis, and the rest, by name."""
    rows, columns, whole = weights
    return _joined(_alike(bare), whole, crossed(places, rows, columns), shape)


def _joined(bare: Sequence[Situation], whole: dict[str, Array], cross: Cross | None, shape: Shape) -> Stack:
    leaves = [jax.tree.leaves(each) for each in bare]
    shared = [_shared(each) for each in zip(*leaves, strict=True)]
    merged = jax.tree.unflatten(jax.tree.structure(bare[0]), [leaf for leaf, _ in shared])
    flags = jax.tree.unflatten(jax.tree.structure(bare[0]), [flag for _, flag in shared])
    for name in shape.own:
        if getattr(merged, name) is not None and not getattr(flags, name):
            whole_axis = jnp.asarray(np.stack([np.asarray(getattr(each, name)) for each in bare], axis=-1))
            merged, flags = _put(merged, name, whole_axis), _put(flags, name, True)
    weighed = [name in whole for name in WEIGHTS]
    merged = _with(merged, [whole.get(name) for name in WEIGHTS], cross)
    marks = _with(flags, [cross is None if there else None for there in weighed], marks_of(cross))
    return Stack(merged, tuple(jax.tree.leaves(marks)))


# Between two situations ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Mixture:
    """Two situations that differ in pairs of countries, each with an owner, and all that lies between them.

    The weights of an owned pair are (1 − x) lift + x keep at intensity x of its owner, exactly lift at 0 and keep at 1;
    everything else is the same in both. Made by `mixture`.
    """

    keep: Situation
    rest: Situation
    places: tuple[NDArray, NDArray]
    ends: dict[str, tuple[Part, Part]]
    owner: tuple[NDArray, NDArray]

    def at(self, intensity: NDArray) -> Stack:
        """The stack at intensities [owner, scenario]; the work grows with the rows and columns held apart alone."""
        share = np.concatenate([np.asarray(intensity, float), np.zeros((1, np.shape(intensity)[-1]))])
        rows = {name: _between(a.row, b.row, share[self.owner[0]]) for name, (a, b) in self.ends.items()}
        columns = {
            name: _between(a.column, b.column, share[self.owner[1]]) for name, (a, b) in self.ends.items()
        }
        cross = crossed(self.places, rows, columns)
        whole = [getattr(self.rest, name) for name in WEIGHTS]
        shared = jax.tree.map(lambda _: False, _with(self.rest, whole, None))
        marks = _with(shared, [None if each is None else False for each in whole], marks_of(cross))
        return Stack(_with(self.rest, whole, cross), tuple(jax.tree.leaves(marks)))

    def single(self, intensity: NDArray) -> Situation:
        """One situation at intensities [owner], its weights in one piece."""
        cross = self.at(np.asarray(intensity, float)[:, None]).situation.cross
        assert cross is not None
        strips = zip(WEIGHTS, (cross.trade, cross.sales, cross.tariff, cross.export_tax), strict=True)
        whole = [
            None if s is None else self._joined(name, s.row[..., 0], s.column[..., 0]) for name, s in strips
        ]
        return _with(self.rest, [None if each is None else jnp.asarray(each) for each in whole], None)

    def lowest(self) -> NDArray:
        """The lower of the two trade weights of every flow [sector, buyer, exporter]."""
        lift, keep = self.ends["trade_weight"]
        lower = np.minimum(lift.row, keep.row), np.minimum(lift.column, keep.column)
        return self._joined("trade_weight", *lower)

    def _joined(self, name: str, row: ArrayLike, column: ArrayLike) -> NDArray:
        """A weight in one piece."""
        weight = np.array(getattr(self.rest, name))
        buyers, exporters = self.places
        weight[:, :, exporters] = column
        weight[:, buyers, :] = row
        return weight


def mixed(keep: Situation, lift: Situation, owner: NDArray, intensity: NDArray) -> Stack:
    """The stack between two situations at intensities [owner, scenario]; see `mixture`, which says what is raised."""
    return mixture(keep, lift, owner).at(intensity)


def mixture(keep: Situation, lift: Situation, owner: NDArray) -> Mixture:
    """Two situations of one economy, ready to be mixed pair by pair.

    owner [importer, exporter]: who sets the weights of a pair, −1 for nobody. Raises `ValueError` where the situations
    differ in a pair without an owner (naming it by places), in anything but weights, or go around measures through hubs;
    and where more than `WIDEST` countries are needed to cover the owned pairs.
    """
    first, second = _alike([keep, lift])
    if first.transit is not None:
        raise ValueError("Situations whose goods go around measures cannot be mixed: solve each by itself.")
    names, uses = _present(first), first.trade_weight.shape[1] // len(owner)
    owned = np.tile(owner, (uses, 1))
    pairs = [[np.asarray(getattr(each, name)) for each in (first, second)] for name in names]
    stray = np.argwhere(touched(pairs) & (owned < 0))
    if stray.size:
        buyer, exporter = stray[0]
        raise ValueError(
            f"The situations differ in what importer {buyer % len(owner)} buys from exporter {exporter}, a pair that "
            "nobody owns."
        )
    if not all(
        np.array_equal(*both)
        for both in zip(*(jax.tree.leaves(_bare(s)) for s in (first, second)), strict=True)
    ):
        raise ValueError("The situations differ in more than weights of trade.")
    apart = cover(owned >= 0, len(owner))
    if len(apart) > WIDEST:
        raise ValueError(
            f"{len(apart)} countries are needed to cover the owned pairs; at most {WIDEST} can be held apart."
        )
    places = places_of(apart, first)
    ends = {name: (split(b, *places), split(a, *places)) for name, (a, b) in zip(names, pairs, strict=True)}
    rest = _with(_bare(first), [jnp.asarray(ends[n][1].rest) if n in ends else None for n in WEIGHTS], None)
    return Mixture(first, rest, places, ends, (owned[places[0]], owned[:, places[1]]))


def with_own(stack: Stack, own: Mapping[str, NDArray]) -> Stack:
    """The stack with something else in every scenario besides weights.

    own: by name of a field of `Situation` (endowment, claims, transfer), values with the scenario on the last axis.
    """
    at = stack.situation
    marks = jax.tree.unflatten(jax.tree.structure(at), stack.has_axis)
    for name, values in own.items():
        at, marks = _put(at, name, jnp.asarray(values)), _put(marks, name, True)
    return Stack(at, tuple(jax.tree.leaves(marks)))


def with_fields(at: Situation, values: Mapping[str, NDArray]) -> Situation:
    """A situation with other values in some fields, by name."""
    for name, value in values.items():
        at = _put(at, name, jnp.asarray(value))
    return at


def _between(lift: NDArray, keep: NDArray, share: NDArray) -> NDArray:
    """(1 − x) lift + x keep on a last axis, where they differ."""
    out = np.broadcast_to(lift[..., None], (*lift.shape, share.shape[-1])).copy()
    sector, at, other = np.nonzero(lift != keep)
    x = share[at, other]
    out[sector, at, other] = (1 - x) * lift[sector, at, other, None] + x * keep[sector, at, other, None]
    return out


# What is held apart ----------------------------------------------------------------------------------------


def touched(weights: Sequence[Sequence[NDArray]]) -> NDArray[np.bool_]:
    """Pairs in which any situation's weight differs from the first's [buyer, exporter]; one sequence a kind of
    weight."""
    found: NDArray[np.bool_] = np.zeros(weights[0][0].shape[1:], dtype=np.bool_)
    for each in weights:
        for other in each[1:]:
            if other is not each[0]:
                found |= (other != each[0]).any(axis=0)
    return found


def cover(pairs: NDArray[np.bool_], countries: int) -> tuple[int, ...]:
    """A few countries of which every touched pair has one (greedy)."""
    linked = pairs.reshape(-1, countries, countries).any(axis=0)
    left, found = np.array(linked | linked.T), []
    while left.any():
        most = int(left.sum(axis=1).argmax())
        found.append(most)
        left[most, :] = False
        left[:, most] = False
    return tuple(sorted(found))


def places_of(apart: tuple[int, ...], at: Situation) -> tuple[NDArray, NDArray]:
    """Buyers whose rows, and exporters whose columns, are held apart."""
    buyers, countries = at.trade_weight.shape[1], len(at.value_added)
    chosen = np.array(apart, int)
    rows = np.concatenate([chosen + use for use in range(0, buyers, countries)])
    return rows, chosen


def strips(weight: NDArray, buyers: NDArray, exporters: NDArray) -> tuple[NDArray, NDArray]:
    """The rows and columns held apart of a weight [sector, buyer, exporter]; a pair in both stands in the row."""
    row, column = weight[:, buyers, :], weight[:, :, exporters]
    column[:, buyers, :] = 0.0
    return row, column


def split(weight: NDArray, buyers: NDArray, exporters: NDArray) -> Part:
    """A weight [sector, buyer, exporter] in the rows and columns held apart, and the rest."""
    row, column = strips(weight, buyers, exporters)
    rest = weight.copy()
    rest[:, buyers, :] = 0.0
    rest[:, :, exporters] = 0.0
    return Part(row, column, rest)


def crossed(places: tuple[NDArray, NDArray], rows: dict[str, NDArray], columns: dict[str, NDArray]) -> Cross:
    """The strips of every weight as the equations read them; rows and columns by name of the weight."""
    buyers, countries = columns["trade_weight"].shape[1], rows["trade_weight"].shape[2]
    trade, sales, tariff, tax = (
        Strips(jnp.asarray(rows[name]), jnp.asarray(columns[name])) if name in rows else None
        for name in WEIGHTS
    )
    assert trade is not None
    row_place, column_place = np.eye(buyers)[places[0]], np.eye(countries)[places[1]]
    return Cross(jnp.asarray(row_place), jnp.asarray(column_place), trade, sales, tariff, tax)


def marks_of(cross: Cross | None) -> Cross | None:
    """For each leaf of a cross whether it has the axis."""
    if cross is None:
        return None
    marks = jax.tree.map(lambda _: True, cross)
    return eqx.tree_at(lambda c: (c.buyer, c.exporter), marks, (False, False))


def _present(at: Situation) -> list[str]:
    return [name for name in WEIGHTS if getattr(at, name) is not None]


def _alike(situations: Sequence[Situation]) -> list[Situation]:
    """The situations with the same weights, re-exports, endowments, transfers and claims present in all."""
    duties = any(each.tariff_weight is not None for each in situations)
    sales = any(each.sales_weight is not None for each in situations)
    grown = any(each.endowment is not None for each in situations)
    given = any(each.transfer is not None for each in situations)
    owned = any(each.claims is not None for each in situations)
    longest = [each.transit for each in situations if each.transit is not None]

    def filled(each: Situation) -> Situation:
        none = jnp.zeros_like(each.trade_weight) if duties else None
        nobody = jnp.zeros((len(each.value_added),) * 2)
        added = {
            "sales_weight": each.trade_weight if sales and each.sales_weight is None else each.sales_weight,
            "tariff_weight": none if duties and each.tariff_weight is None else each.tariff_weight,
            "export_tax_weight": none
            if duties and each.export_tax_weight is None
            else each.export_tax_weight,
            "endowment": jnp.ones_like(each.value_added)
            if grown and each.endowment is None
            else each.endowment,
            "transfer": jnp.zeros_like(each.value_added)
            if given and each.transfer is None
            else each.transfer,
            "claims": nobody if owned and each.claims is None else each.claims,
            "transit": _padded(each.transit, longest) if longest else None,
        }
        names = tuple(added)
        return eqx.tree_at(
            lambda s: tuple(getattr(s, name) for name in names),
            each,
            tuple(added.values()),
            is_leaf=lambda leaf: leaf is None,
        )

    return [filled(each) for each in situations]


def _padded(given: Transit | None, among: Sequence[Transit]) -> Transit:
    """Re-exports filled up with nothing to the largest number of cells and hubs among some."""
    shapes = [max(sizes) for sizes in zip(*(each.weight.shape for each in among), strict=True)]
    nothing = jax.tree.map(lambda leaf: jnp.zeros((0,) * leaf.ndim, leaf.dtype), among[0])
    here: Transit = nothing if given is None else given
    cells, hubs = shapes

    def fill(leaf: Array, *size: int) -> Array:
        return jnp.pad(leaf, [(0, more - had) for more, had in zip(size, leaf.shape, strict=True)])

    return Transit(
        sector=fill(here.sector, cells),
        buyer=fill(here.buyer, cells),
        exporter=fill(here.exporter, cells),
        weight=fill(here.weight, cells, hubs),
        rate=fill(here.rate, cells),
        hub=fill(here.hub, hubs),
    )


def _shared(leaves: Sequence[Array]) -> tuple[Array, bool]:
    """The leaf that all share, or all of them on a last axis."""
    first = leaves[0]
    if all(leaf is first for leaf in leaves) or all(np.array_equal(leaf, first) for leaf in leaves[1:]):
        return first, False
    return jnp.asarray(np.stack([np.asarray(leaf) for leaf in leaves], axis=-1)), True


def _put(at: Situation, name: str, value: object) -> Situation:
    return eqx.tree_at(lambda s: getattr(s, name), at, value, is_leaf=lambda leaf: leaf is None)


def _bare(at: Situation) -> Situation:
    return _with(at, [None] * len(WEIGHTS), None)


def _with(at: Situation, weights: Sequence[object], cross: object) -> Situation:
    return eqx.tree_at(
        lambda s: (*(getattr(s, name) for name in WEIGHTS), s.cross),
        at,
        (*weights, cross),
        is_leaf=lambda leaf: leaf is None,
    )
