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
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from detente.mending import Point, a_pass, ends, single
from detente.response import Preconditioner, System, keep_positive
from detente.solver import LARGEST_STEP

DIRECTIONS = 10  # at most in a step
LOOSEST, TIGHTEST = 0.1, 1e-3  # of the largest gap, what a step may leave of its linear equations
ENOUGH = 0.3  # of the tolerance, which nothing need be closer than
NEAR = 0.05  # the largest gap from which a step may end where double precision tells the gap


class Progress(NamedTuple):
    """Where the search stands: the point, the gaps there and the largest of them, if known, and counts of steps without
    gain, of steps, and of directions. Where they are not known, gap is that of the point before."""

    point: Point
    gaps: Point
    gap: Array
    known: Array
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


def _largest(gaps: Point, second: Array) -> Array:
    """The largest relative gap; the second block's are relative to the block itself."""
    ratio = gaps[2] / jnp.where(second == 0, 1.0, second)
    return jnp.max(jnp.stack([jnp.max(jnp.abs(each)) for each in (gaps[0], gaps[1], ratio)]))


def _step(
    rough: System, at: Point, linear: Callable[..., Point], gaps: Point, by: Preconditioner, goal: Array
) -> tuple[Point, Array]:
    """The Newton step from a point with these gaps, which moves change by `linear`, and the directions that it took.

    All in single precision. goal: what may be left, as a part of the largest gap, which is one.
    """
    joined, parted = ends(at[2], at)
    asked = a_pass(rough, at, linear, by)
    assert by.tail is not None
    basis, mend = by.tail.gap_basis, by.tail.gap_mend

    def step(state: _Solve) -> _Solve:
        mended = state.left + (mend @ (basis @ state.left)) @ basis
        direction, k = joined(*asked(parted(mended))), state.count
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

    left = joined(*gaps)
    rows = jnp.zeros((DIRECTIONS, left.size), left.dtype)
    small = jnp.zeros((DIRECTIONS, DIRECTIONS), left.dtype)
    end = lax.while_loop(unfinished, step, _Solve(left, rows, rows, small, small[0], jnp.int32(0)))
    return parted((end.taken @ end.combination) @ end.directions), end.count


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
    rough = single(system)

    def step(state: Progress) -> Progress:
        outer, first, second = state.point
        at = single(state.point)
        seen, linear = jax.linearize(rough.gaps, *at)
        gap = jnp.where(state.known, state.gap, _largest(seen, at[2]).astype(outer.dtype))
        gaps = jax.tree.map(lambda here, there: jnp.where(state.known, here, there) / gap, state.gaps, seen)
        goal = jnp.maximum(jnp.clip(gap, TIGHTEST, LOOSEST), ENOUGH * tolerance / gap)
        move, count = _step(rough, at, linear, single(gaps), preconditioner, goal)
        move = jax.tree.map(lambda each: each.astype(outer.dtype) * gap, move)
        part = jnp.minimum(1.0, LARGEST_STEP / jnp.max(jnp.abs(move[0])))
        to = system.rescale(outer + part * move[0], first + part * move[1], second + part * move[2])
        point = (*to[:2], keep_positive(to[2], second))
        improved, known = gap < 0.9 * state.best_gap, gap < NEAR
        gaps, left = lax.cond(known, measured, lambda _: (state.gaps, gap), point)
        return Progress(
            point,
            gaps,
            left,
            known,
            best_gap=jnp.where(improved, gap, state.best_gap),
            since_best=jnp.where(improved, 0, state.since_best + 1),
            steps=state.steps + 1,
            sweeps=state.sweeps + count,
        )

    def measured(point: Point) -> tuple[Point, Array]:
        gaps = system.gaps(*point)
        return gaps, _largest(gaps, point[2])

    def unfinished(state: Progress) -> Array:
        going = ~(state.known & (state.gap <= tolerance)) & jnp.isfinite(state.gap)
        return going & (state.steps < max_steps) & (state.since_best < patience)

    (gaps, gap), none = measured(start), jnp.int32(0)
    unknown = jnp.full_like(gap, jnp.inf)
    begin = Progress(start, gaps, gap, jnp.asarray(True), unknown, none, none, none)
    return lax.while_loop(unfinished, step, begin)
