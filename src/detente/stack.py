"""Situations side by side on a last axis, what they share kept once.

Scenarios of one world differ in few trade weights: those of pairs with a target of sanctions. These are held apart, as
rows and columns with the axis (`equations.Cross`); the rest, and everything else that is the same in all, stays as it is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from detente.equations import Cross, Situation, Strips, Transit

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
            parts = [split(weight, *places) for weight in each]
            rows[name] = np.stack([part.row for part in parts], axis=-1)
            columns[name] = np.stack([part.column for part in parts], axis=-1)
            whole[name] = jnp.asarray(parts[0].rest)
        cross = crossed(first, places, rows, columns)
    bare = [_bare(each) for each in alike]
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


def touched(weights: Sequence[Sequence[NDArray]]) -> NDArray[np.bool_]:
    """Pairs in which any situation's weight differs from the first's [buyer, exporter]; one sequence a kind of weight."""
    found = np.zeros(weights[0][0].shape[1:], bool)
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
        left[most] = left[:, most] = False
    return tuple(sorted(found))


def places_of(apart: tuple[int, ...], at: Situation) -> tuple[NDArray, NDArray]:
    """Buyers whose rows, and exporters whose columns, are held apart."""
    buyers, countries = at.trade_weight.shape[1], len(at.value_added)
    chosen = np.array(apart, int)
    rows = np.concatenate([chosen + use for use in range(0, buyers, countries)])
    return rows, chosen


def split(weight: NDArray, buyers: NDArray, exporters: NDArray) -> Part:
    """A weight [sector, buyer, exporter] in the rows and columns held apart, and the rest."""
    row, column = weight[:, buyers, :], weight[:, :, exporters]
    column[:, buyers, :] = 0.0
    rest = weight.copy()
    rest[:, buyers, :] = 0.0
    rest[:, :, exporters] = 0.0
    return Part(row, column, rest)


def crossed(
    at: Situation, places: tuple[NDArray, NDArray], rows: dict[str, NDArray], columns: dict[str, NDArray]
) -> Cross:
    """The strips of every weight as the equations read them; rows and columns by name of the weight."""
    buyers, countries = at.trade_weight.shape[1], len(at.value_added)
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
        none, nobody = jnp.zeros_like(each.trade_weight), jnp.zeros((len(each.value_added),) * 2)
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
    return eqx.tree_at(lambda s: getattr(s, name), at, value)


def _bare(at: Situation) -> Situation:
    return _with(at, [None] * len(WEIGHTS), None)


def _with(at: Situation, weights: Sequence[object], cross: object) -> Situation:
    return eqx.tree_at(
        lambda s: (*(getattr(s, name) for name in WEIGHTS), s.cross),
        at,
        (*weights, cross),
        is_leaf=lambda leaf: leaf is None,
    )
