"""Newton steps of all unknowns of a block-triangular system at once, where the outer vector has a long tail.

`solver.solve` settles the inner blocks after each move of the outer unknowns: most of its passes repair what that move did
to them. Here the linear equations of a Newton step are solved in part only, in single precision, by conjugate residuals
(Eisenstat, Elman & Schultz 1983, SIAM Journal on Numerical Analysis 20:2), whose directions are what a sweep of the inner
blocks and a move of the outer unknowns ask for. How far depends on how near the answer is (inexact Newton: Eisenstat &
Walker 1996, SIAM Journal on Scientific Computing 17:1). The gaps themselves are in double precision. Quicker near an answer,
and less sturdy.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, lax

from detente.response import Preconditioner, System, apply_blocks, keep_positive
from detente.solver import LARGEST_STEP

DIRECTIONS = 12  # at most in a step
LOOSEST, TIGHTEST = 0.1, 1e-3  # of the gaps, what a step may leave of its linear equations

Point = tuple[Array, Array, Array]
_Tree = TypeVar("_Tree")


class Progress(NamedTuple):
    """Where the search stands: the point, the gap last seen, and counts of steps without gain, steps, and directions."""

    point: Point
    gap: Array
    best_gap: Array
    since_best: Array
    steps: Array
    sweeps: Array


class _Solve(NamedTuple):
    """Linear equations in part: the moves so far, what they leave [z], and directions with what they close [k, z]."""

    moves: Array
    left: Array
    directions: Array
    closed: Array
    count: Array


def _single(tree: _Tree) -> _Tree:
    """The same in single precision."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf, tree)


def _ends(second: Array, like: Point) -> tuple[Callable[..., Array], Callable[[Array], Point]]:
    """How the parts of a point are put end to end, the second block relative to `second`, and taken apart again."""
    scale = jnp.where(second == 0, 1.0, second)
    shapes = [part.shape for part in like]
    ends = like[0].size, like[0].size + like[1].size

    def joined(outer: Array, first: Array, second: Array) -> Array:
        return jnp.concatenate([outer, first.ravel(), (second / scale).ravel()])

    def parted(whole: Array) -> Point:
        head, middle, tail = whole[: ends[0]], whole[ends[0] : ends[1]], whole[ends[1] :]
        return head, middle.reshape(shapes[1]), scale * tail.reshape(shapes[2])

    return joined, parted


def _sweep(system: System, at: Point, by: Preconditioner) -> Callable[[Point], Point]:
    """What gaps at a point ask for: the inner blocks by sweeps, then an outer move that carries them along."""
    outer, first, second = at
    _, of_first = jax.linearize(system.first_gap(outer), first)
    _, of_second = jax.linearize(lambda x, y: system.later_gaps(x, outer)(y)[0], first, second)
    _, of_outer = jax.linearize(lambda x, y: system.later_gaps(x, outer)(y)[1], first, second)

    def asked(gaps: Point) -> Point:
        x = apply_blocks(by.first_inverse, gaps[1])
        x = x + apply_blocks(by.first_inverse, gaps[1] + of_first(x))
        y = apply_blocks(by.second_inverse, gaps[2] + of_second(x, jnp.zeros_like(second)))
        u = by.move(gaps[0] + of_outer(x, y))
        return (u, *by.respond(x, y, u))

    return asked


def _move(
    system: System, rough: System, point: Point, by: Preconditioner, tolerance: float | Array
) -> tuple[Point, Array, Array]:
    """The Newton step from a point, the largest relative gap there, and the directions that it took.

    Gaps are those of `system`. What moves do to them is linear, and of `rough`.
    """
    gaps = system.gaps(*point)
    size = jnp.max(jnp.abs(gaps[2]) / jnp.where(point[2] == 0, 1.0, point[2]))
    gap = jnp.max(jnp.stack([size, *(jnp.max(jnp.abs(each)) for each in gaps[:2])]))
    at = _single(point)
    joined, parted = _ends(at[2], at)
    _, linear = jax.linearize(rough.gaps, *at)
    asked = _sweep(rough, at, by)
    unit = jnp.where(gap > 0, gap, 1.0)
    goal = jnp.maximum(jnp.clip(gap, TIGHTEST, LOOSEST), 0.3 * tolerance / unit).astype(jnp.float32)

    def step(state: _Solve) -> _Solve:
        direction = joined(*asked(parted(state.left)))
        closed = -joined(*linear(*parted(direction)))
        known = state.closed @ closed
        direction, closed = direction - known @ state.directions, closed - known @ state.closed
        length = jnp.sqrt(jnp.sum(closed * closed))
        scale = jnp.where(length > 0, 1 / length, 0.0)
        direction, closed = direction * scale, closed * scale
        part = jnp.sum(closed * state.left)
        return _Solve(
            state.moves + part * direction,
            state.left - part * closed,
            state.directions.at[state.count].set(direction),
            state.closed.at[state.count].set(closed),
            state.count + 1,
        )

    def unfinished(state: _Solve) -> Array:
        return (jnp.max(jnp.abs(state.left)) > goal) & (state.count < DIRECTIONS)

    left = joined(*_single(jax.tree.map(lambda each: each / unit, gaps)))
    rows = jnp.zeros((DIRECTIONS, left.size), left.dtype)
    done = gap <= tolerance
    begin = _Solve(jnp.zeros_like(left), jnp.where(done, 0.0, left), rows, rows, jnp.int32(0))
    end = lax.while_loop(unfinished, step, begin)
    return parted(end.moves.astype(gap.dtype) * unit), gap, end.count


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

    def step(state: Progress) -> Progress:
        outer, first, second = state.point
        move, gap, count = _move(system, rough, state.point, preconditioner, tolerance)
        part = jnp.minimum(1.0, LARGEST_STEP / jnp.max(jnp.abs(move[0])))
        asked = outer + part * move[0]
        there = system.normalise(asked)
        inner = preconditioner.respond(first + part * move[1], second + part * move[2], there - asked)
        moved = there, inner[0], keep_positive(inner[1], second)
        done, improved = gap <= tolerance, gap < 0.9 * state.best_gap
        return Progress(
            point=jax.tree.map(partial(jnp.where, done), state.point, moved),
            gap=gap,
            best_gap=jnp.where(improved, gap, state.best_gap),
            since_best=jnp.where(improved, 0, state.since_best + 1),
            steps=state.steps + 1,
            sweeps=state.sweeps + count,
        )

    def unfinished(state: Progress) -> Array:
        going = (state.gap > tolerance) & jnp.isfinite(state.gap)
        return (going | (state.steps == 0)) & (state.steps < max_steps) & (state.since_best < patience)

    none, infinite = jnp.int32(0), jnp.asarray(jnp.inf, start[0].dtype)
    return lax.while_loop(unfinished, step, Progress(start, infinite, infinite, none, none, none))
