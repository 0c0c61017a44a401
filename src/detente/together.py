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
ROUGH = 1e-4  # relative gap down to which steps are in single precision, whose rounding is a tenth of it
CLOSER = 0.1  # relative gap above which that counts for nothing and the search begins anew

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


def _swept(system: System, point: Point, by: Preconditioner) -> tuple[Point, Array]:
    """The outer gap and both inner blocks after a few sweeps, and the largest relative gap, inner ones before the last."""
    outer, first, second = point
    gap, linear = jax.linearize(system.first_gap(outer), first)
    largest = jnp.max(jnp.abs(gap))
    move = apply_blocks(by.first_inverse, gap)
    for _ in range(FIRST_SWEEPS - 1):
        move = move + apply_blocks(by.first_inverse, gap + linear(move))
    first = first + move
    gaps_of, ratio = system.later_gaps(first, outer), jnp.zeros_like(second)
    for _ in range(SECOND_SWEEPS):
        gap = gaps_of(second)[0]
        ratio = jnp.abs(gap) / jnp.where(second == 0, 1.0, second)
        second = keep_positive(second + apply_blocks(by.second_inverse, gap), second)
    left = gaps_of(second)[1]
    largest = jnp.max(jnp.stack([largest, jnp.max(ratio), jnp.max(jnp.abs(left))]))
    return (left, first, second), largest


def _single(tree: _Tree) -> _Tree:
    """The same in single precision."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf, tree)


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

    The first steps, down to `ROUGH`, are in single precision, which takes half the time; a start that is as near as that
    stays as it is. Returns the last state with the gap it measured; the caller decides what a large gap means.
    """
    first = _steps(_single(system), _single(start), preconditioner, ROUGH, (max_steps, patience))
    near = (first.gap <= CLOSER) & (first.steps > 1)
    begin = jax.tree.map(lambda at, new: jnp.where(near, new.astype(at.dtype), at), start, first.point)
    end = _steps(system, begin, preconditioner, tolerance, (max_steps, patience))
    return end._replace(steps=first.steps + end.steps)


def _steps(
    system: System,
    start: Point,
    preconditioner: Preconditioner,
    tolerance: float | Array,
    limits: tuple[int, int],
) -> Progress:
    """The search in the start's precision; limits: of all steps, and of those without gain."""
    max_steps, patience = limits
    scale = jnp.where(start[2] == 0, 1.0, start[2])

    def joined(outer: Array, first: Array, second: Array) -> Array:
        return jnp.concatenate([outer, first.ravel(), (second / scale).ravel()])

    def step(state: Progress) -> Progress:
        outer, first, second = state.point
        (outer_gap, swept, other), gap = _swept(system, state.point, preconditioner)
        move = preconditioner.move(outer_gap)
        carried = preconditioner.carry(swept, other, move)
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
            point=jax.tree.map(partial(jnp.where, done), (outer, swept, other), moved),
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
