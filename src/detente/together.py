"""Steps of all unknowns of a block-triangular system at once, where the outer vector has a long tail.

`solver.solve` settles the inner blocks after each move of the outer unknowns: most of its passes repair what that move did
to them. Here a step is a few inner sweeps and one outer move, and what is mixed with the last steps is the whole of it,
inner blocks included (Anderson acceleration: Walker & Ni 2011, SIAM Journal on Numerical Analysis 49:4). Quicker near an
answer, and less sturdy.
"""

from functools import partial
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, lax

from detente.response import Preconditioner, System, apply_blocks, keep_positive
from detente.solver import LARGEST_STEP, solve_small

MEMORY = 6  # past steps mixed
FIRST_SWEEPS = (
    3  # of the first inner block in a step, all but one with its gap's linear part, which is cheaper
)
SECOND_SWEEPS = 2  # of the second inner block in a step

Point = tuple[Array, Array, Array]
_Tree = TypeVar("_Tree")


class Progress(NamedTuple):
    """Where the search stands: the point, the gap last seen, and counts of steps without gain and of all steps."""

    point: Point
    gap: Array
    best_gap: Array
    since_best: Array
    steps: Array
    past: "Past"


class Past(NamedTuple):
    """What mixing remembers, all unknowns end to end [z], the second block relative to its start.

    at, move: the last step's start and what it asked for; reached, change [MEMORY, z]: how starts plus moves, and moves,
    differed from one step to the next; products [MEMORY, MEMORY] of the changes; count of the steps seen.
    """

    at: Array
    move: Array
    reached: Array
    change: Array
    products: Array
    count: Array


def _forget(like: Array) -> Past:
    none = jnp.zeros_like(like)
    rows = jnp.zeros((MEMORY, like.size), like.dtype)
    return Past(none, none, rows, rows, jnp.zeros((MEMORY, MEMORY), like.dtype), jnp.int32(0))


def _mixed(at: Array, move: Array, past: Past) -> tuple[Array, Past]:
    """Anderson's move in the place of `move`; the oldest memory goes when there are too many."""
    row = (past.count - 1) % MEMORY
    new = jnp.where(past.count > 0, move - past.move, 0.0)
    reached = past.reached.at[row].set(jnp.where(past.count > 0, at - past.at + new, 0.0))
    change = past.change.at[row].set(new)
    product = change @ new
    products = past.products.at[row].set(product).at[:, row].set(product)
    ridge = (1e-14 if at.dtype == jnp.float64 else 1e-7) * jnp.trace(products) + jnp.finfo(at.dtype).tiny
    mixed = move - solve_small(products + ridge * jnp.eye(MEMORY, dtype=at.dtype), change @ move) @ reached
    usable = jnp.all(jnp.isfinite(mixed))
    return jnp.where(usable, mixed, move), Past(at, move, reached, change, products, past.count + 1)


def _single(tree: _Tree) -> _Tree:
    """The same in single precision."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf, tree)


def _swept(system: System, rough: System, point: Point, by: Preconditioner) -> tuple[Point, Array]:
    """What the point asks for: moves of both inner blocks, the outer gap after them, and the largest relative gap before.

    Gaps are those of `system` at the point; what moves do to them is computed in single precision with `rough`.
    """
    left, gap_1, gap_2 = system.gaps(*point)
    ratio = jnp.abs(gap_2) / jnp.where(point[2] == 0, 1.0, point[2])
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(gap)) for gap in (left, gap_1, ratio)]))
    left, gap_1, gap_2 = _single((left, gap_1, gap_2))
    outer, *inner = _single(point)
    _, linear = jax.linearize(lambda x, y: rough.gaps(outer, x, y), *inner)
    move_1, move_2 = apply_blocks(by.first_inverse, gap_1), jnp.zeros_like(gap_2)
    for _ in range(FIRST_SWEEPS - 1):
        move_1 = move_1 + apply_blocks(by.first_inverse, gap_1 + linear(move_1, move_2)[1])
    for _ in range(SECOND_SWEEPS):
        move_2 = move_2 + apply_blocks(by.second_inverse, gap_2 + linear(move_1, move_2)[2])
    return (left + linear(move_1, move_2)[0], move_1, move_2), largest


@partial(jax.jit, static_argnames=("max_steps", "patience"))
def solve_together(
    system: System,
    start: Point,
    preconditioner: Preconditioner,
    tolerance: float | Array,
    max_steps: int = 80,
    patience: int = 12,
) -> Progress:
    """Drive all three gaps below `tolerance` (relative), or stop at `max_steps` or after `patience` steps without gain.

    Returns the last state with the gap it measured; the caller decides what a large gap means.
    """
    rough = _single(system)
    scale = jnp.where(start[2] == 0, 1.0, start[2])

    def joined(outer: Array, first: Array, second: Array) -> Array:
        return jnp.concatenate([outer, first.ravel(), (second / scale).ravel()])

    def step(state: Progress) -> Progress:
        outer, first, second = state.point
        (left, *moves), gap = _swept(system, rough, state.point, preconditioner)
        moves = tuple(move.astype(gap.dtype) for move in moves)
        move = preconditioner.move(left.astype(gap.dtype))
        carried = preconditioner.carry(first + moves[0], keep_positive(second + moves[1], second), move)
        at = joined(*state.point)
        mixed, past = _mixed(at, joined(outer + move, *carried) - at, state.past)
        mixed = mixed * jnp.minimum(1.0, LARGEST_STEP / jnp.max(jnp.abs(mixed[: outer.size])))
        ends = outer.size, outer.size + first.size
        moved = (
            system.normalise(outer + mixed[: ends[0]]),
            first + mixed[ends[0] : ends[1]].reshape(first.shape),
            keep_positive(second + scale * mixed[ends[1] :].reshape(second.shape), second),
        )
        done, improved = gap <= tolerance, gap < 0.9 * state.best_gap
        return Progress(
            point=jax.tree.map(partial(jnp.where, done), state.point, moved),
            gap=gap,
            best_gap=jnp.where(improved, gap, state.best_gap),
            since_best=jnp.where(improved, 0, state.since_best + 1),
            steps=state.steps + 1,
            past=past,
        )

    def unfinished(state: Progress) -> Array:
        going = (state.gap > tolerance) & jnp.isfinite(state.gap)
        return (going | (state.steps == 0)) & (state.steps < max_steps) & (state.since_best < patience)

    none, infinite = jnp.int32(0), jnp.asarray(jnp.inf, start[0].dtype)
    begin = Progress(start, infinite, infinite, none, none, _forget(joined(*start)))
    return lax.while_loop(unfinished, step, begin)
