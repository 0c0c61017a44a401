"""Newton steps of all unknowns of a block-triangular system at once, where the outer vector has a long tail.

`solver.solve` settles the inner blocks after each move of the outer unknowns: most of its passes repair what that move did
to them. Here the linear equations of a Newton step are solved in part only, in single precision, by conjugate residuals
(Eisenstat, Elman & Schultz 1983, SIAM Journal on Numerical Analysis 20:2), whose directions are what a sweep of the inner
blocks and a move of the outer unknowns ask for. How far depends on how near the answer is (inexact Newton: Eisenstat &
Walker 1996, SIAM Journal on Scientific Computing 17:1). The gaps themselves are in double precision. Quicker near an
answer, and less sturdy.
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
LOOSEST, TIGHTEST = 0.1, 1e-3  # of the largest gap, what a step may leave of its linear equations
ENOUGH = 0.3  # of the tolerance, which nothing need be closer than

Point = tuple[Array, Array, Array]
_Tree = TypeVar("_Tree")


class Progress(NamedTuple):
    """Where the search stands: the point, the gaps there, the largest of them, and counts of steps without gain, of steps,
    and of directions."""

    point: Point
    gaps: Point
    gap: Array
    best_gap: Array
    since_best: Array
    steps: Array
    sweeps: Array


class _Solve(NamedTuple):
    """Linear equations in part: what is left of them [z], directions with what combinations of these close, orthonormal
    [k, z], the combinations [k, k], how much of each is taken [k]."""

    left: Array
    directions: Array
    closed: Array
    combination: Array
    taken: Array
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


def _largest(gaps: Point, second: Array) -> Array:
    """The largest relative gap; the second block's are relative to the block itself."""
    ratio = gaps[2] / jnp.where(second == 0, 1.0, second)
    return jnp.max(jnp.stack([jnp.max(jnp.abs(each)) for each in (gaps[0], gaps[1], ratio)]))


def _sweep(
    system: System, at: Point, linear: Callable[..., Point], by: Preconditioner
) -> Callable[[Point], Point]:
    """What gaps at a point ask for: the inner blocks by sweeps, then an outer move that carries them along."""
    outer, first, second = at
    _, alone = jax.linearize(system.second_gap(first, outer), second)  # the same as `linear` has, and cheaper
    still, none = jnp.zeros_like(outer), jnp.zeros_like(second)

    def asked(gaps: Point) -> Point:
        x = apply_blocks(by.first_inverse, gaps[1])
        x = x + apply_blocks(by.first_inverse, gaps[1] + linear(still, x, none)[1])
        left = gaps[2] + linear(still, x, none)[2]
        y = apply_blocks(by.second_inverse, left)
        y = y + apply_blocks(by.second_inverse, left + alone(y))
        u = by.move(gaps[0] + linear(still, x, y)[0])
        return (u, *by.respond(x, y, u))

    return asked


def _step(
    rough: System, point: Point, gaps: Point, by: Preconditioner, unit: Array, goal: Array
) -> tuple[Point, Array]:
    """The Newton step from a point with these gaps, and the directions that it took.

    What moves do to gaps is linear, and of `rough`. goal: what may be left, as a part of `unit`.
    """
    at = _single(point)
    joined, parted = _ends(at[2], at)
    _, linear = jax.linearize(rough.gaps, *at)
    asked = _sweep(rough, at, linear, by)

    def step(state: _Solve) -> _Solve:
        direction, k = joined(*asked(parted(state.left))), state.count
        closed = -joined(*linear(*parted(direction)))
        known = state.closed @ closed
        closed = closed - known @ state.closed
        length = jnp.sqrt(jnp.sum(closed * closed))
        scale = jnp.where(length > 0, 1 / length, 0.0)
        closed = closed * scale
        part = jnp.sum(closed * state.left)
        own = (jnp.arange(DIRECTIONS) == k).astype(closed.dtype)
        return _Solve(
            state.left - part * closed,
            state.directions.at[k].set(direction),
            state.closed.at[k].set(closed),
            state.combination.at[k].set(scale * (own - known @ state.combination)),
            state.taken.at[k].set(part),
            k + 1,
        )

    def unfinished(state: _Solve) -> Array:
        return (jnp.max(jnp.abs(state.left)) > goal) & (state.count < DIRECTIONS)

    left = joined(*_single(jax.tree.map(lambda each: each / unit, gaps)))
    rows = jnp.zeros((DIRECTIONS, left.size), left.dtype)
    small = jnp.zeros((DIRECTIONS, DIRECTIONS), left.dtype)
    end = lax.while_loop(unfinished, step, _Solve(left, rows, rows, small, small[0], jnp.int32(0)))
    moves = (end.taken @ end.combination) @ end.directions
    return parted(moves.astype(unit.dtype) * unit), end.count


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
        goal = jnp.maximum(jnp.clip(state.gap, TIGHTEST, LOOSEST), ENOUGH * tolerance / state.gap)
        move, count = _step(rough, state.point, state.gaps, preconditioner, state.gap, goal)
        part = jnp.minimum(1.0, LARGEST_STEP / jnp.max(jnp.abs(move[0])))
        to = outer + part * move[0]
        there = system.normalise(to)
        inner = preconditioner.respond(first + part * move[1], second + part * move[2], there - to)
        point = there, inner[0], keep_positive(inner[1], second)
        gaps = system.gaps(*point)
        gap = _largest(gaps, point[2])
        improved = gap < 0.9 * state.best_gap
        return Progress(
            point,
            gaps,
            gap,
            best_gap=jnp.where(improved, gap, state.best_gap),
            since_best=jnp.where(improved, 0, state.since_best + 1),
            steps=state.steps + 1,
            sweeps=state.sweeps + count,
        )

    def unfinished(state: Progress) -> Array:
        going = (state.gap > tolerance) & jnp.isfinite(state.gap)
        return going & (state.steps < max_steps) & (state.since_best < patience)

    gaps, none = system.gaps(*start), jnp.int32(0)
    gap = _largest(gaps, start[2])
    return lax.while_loop(unfinished, step, Progress(start, gaps, gap, gap, none, none, none))
