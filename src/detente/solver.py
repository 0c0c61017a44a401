"""A solver for block-triangular systems, which knows nothing of the model it solves.

The unknowns are a short outer vector u and two long inner blocks x and y. Their gaps depend on each other in a triangle:
g_x(x; u), g_y(y; x, u) and g_u(u, x, y). Given u, the inner blocks are contractions, solved by Richardson steps with a
block-diagonal preconditioner; u moves by Newton steps with the inverse of a Jacobian factored once (a chord), mixed with
its last steps (Anderson acceleration); x and y are carried along by their sensitivity to u. All arrays stay small: one
step costs a few matrix–vector products with the model's own arrays.

Sources: Kelley (2003), Solving Nonlinear Equations with Newton's Method, ch. 2 (chord, inexact Newton); Walker & Ni (2011),
SIAM Journal on Numerical Analysis 49:4 (Anderson acceleration).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from detente.response import Preconditioner, System, apply_blocks, keep_positive

MEMORY = 6  # past outer steps mixed; the outer vector is short, so this is nearly free
LONG_MEMORY = 10  # where the outer vector has a tail, whose Jacobian is known only in part
LARGEST_STEP = 0.7  # log points an outer unknown may move at once: keeps a first step from overshooting
INNER_FORCING = 0.05  # inner gaps are brought below this fraction of the last outer gap
INNER_LIMIT = 40  # inner steps between two outer steps
SETTLE_LIMIT = 1000  # inner steps where the outer unknowns are held
SHORTEST_STEP = 1e-3  # of a Newton step, before the search gives up
IMPROVEMENT = 0.9  # a preconditioned inner step that gains less than this is followed by a plain one


class State(NamedTuple):
    """Where the search stands: unknowns, the gaps last seen, and counts of outer steps and inner sweeps."""

    outer: Array
    first: Array
    second: Array
    gap: Array
    best_gap: Array
    steps: Array
    sweeps: Array
    since_best: Array
    past_outer: Array
    past_move: Array


def _relax(
    gap_of: Callable[[Array], Array],
    start: Array,
    inverse: Array,
    size: Callable[[Array, Array], Array],
    target: Array,
    keep: Callable[[Array, Array], Array],
    limit: int = INNER_LIMIT,
) -> tuple[Array, Array, Array]:
    """Richardson steps x ← x + B g(x) until the gap's size is under `target`; plain steps where B does not help."""

    def step(carry):
        x, last, _, count = carry
        gap = gap_of(x)
        now = size(gap, x)
        move = jnp.where(now <= IMPROVEMENT * last, apply_blocks(inverse, gap), gap)
        return keep(x + move, x), now, now, count + 1

    def unfinished(carry):
        _, _, now, count = carry
        return (now > target) & (count < limit)

    infinite = jnp.asarray(jnp.inf)
    first = (start, infinite, infinite, jnp.int32(0))
    x, _, now, count = lax.while_loop(unfinished, step, first)
    return x, now, count


def _largest(gap: Array, _: Array) -> Array:
    return jnp.max(jnp.abs(gap))


def _largest_ratio(gap: Array, level: Array) -> Array:
    return jnp.max(jnp.abs(gap) / jnp.where(level == 0, 1.0, level))


def _keep(new: Array, _: Array) -> Array:
    return new


def _mix(outer: Array, move: Array, past_outer: Array, past_move: Array, count: Array) -> Array:
    """Anderson's move from the last points and moves (rows; unfilled rows are masked)."""
    memory = len(past_outer)
    filled = (jnp.arange(memory) < count)[:, None]
    d_move = jnp.where(filled, move[None, :] - past_move, 0.0)
    d_outer = jnp.where(filled, outer[None, :] - past_outer, 0.0)
    normal = d_move @ d_move.T
    ridge = 1e-14 * jnp.trace(normal) + jnp.finfo(outer.dtype).tiny
    weights = solve_small(normal + ridge * jnp.eye(memory), d_move @ move)
    mixed = move - weights @ (d_outer + d_move)
    return jnp.where(jnp.all(jnp.isfinite(mixed)), mixed, move)


def solve_small(matrix: Array, right: Array) -> Array:
    """Gauss–Jordan elimination of a small positive definite system, unrolled (no LAPACK: see `numerics`)."""
    size = right.size
    rows = jnp.concatenate([matrix, right[:, None]], axis=1)
    for k in range(size):
        pivot = rows[k] / rows[k, k]
        rows = rows - rows[:, k, None] * pivot[None, :]
        rows = rows.at[k].set(pivot)
    return rows[:, -1]


@partial(jax.jit, static_argnames=("max_steps", "patience"))
def solve(
    system: System,
    start: tuple[Array, Array, Array],
    preconditioner: Preconditioner,
    tolerance: float | Array,
    max_steps: int = 80,
    patience: int = 12,
) -> State:
    """Drive all three gaps below `tolerance` (relative), or stop at `max_steps` or after `patience` steps without gain.

    Returns the last state with the gap it measured; the caller decides what a large gap means.
    """

    def step(state: State) -> State:
        target = jnp.minimum(INNER_FORCING * state.gap, 1e-2)
        target = jnp.maximum(target, 0.5 * tolerance)
        first, first_gap, n_first = _relax(
            system.first_gap(state.outer),
            state.first,
            preconditioner.first_inverse,
            _largest,
            target,
            _keep,
        )
        second, second_gap, n_second = _relax(
            system.second_gap(first, state.outer),
            state.second,
            preconditioner.second_inverse,
            _largest_ratio,
            target,
            keep_positive,
        )
        outer_gap = system.outer_gap(state.outer, first, second)
        move = preconditioner.move(outer_gap)
        gap = jnp.maximum(jnp.max(jnp.abs(outer_gap)), jnp.maximum(first_gap, second_gap))
        done = gap <= tolerance

        mixed = _mix(state.outer, move, state.past_outer, state.past_move, state.steps)
        mixed = mixed * jnp.minimum(1.0, LARGEST_STEP / jnp.max(jnp.abs(mixed)))
        moved = system.normalise(state.outer + mixed)
        shift = jnp.where(done, 0.0, moved - state.outer)
        carried = preconditioner.carry(first, second, shift)
        improved = gap < 0.9 * state.best_gap
        return State(
            outer=state.outer + shift,
            first=carried[0],
            second=carried[1],
            gap=gap,
            best_gap=jnp.where(improved, gap, state.best_gap),
            steps=state.steps + 1,
            sweeps=state.sweeps + jnp.maximum(n_first, n_second),
            since_best=jnp.where(improved, 0, state.since_best + 1),
            past_outer=jnp.roll(state.past_outer, 1, axis=0).at[0].set(state.outer),
            past_move=jnp.roll(state.past_move, 1, axis=0).at[0].set(move),
        )

    def unfinished(state: State) -> Array:
        going = (state.gap > tolerance) & jnp.isfinite(state.gap)
        return (going | (state.steps == 0)) & (state.steps < max_steps) & (state.since_best < patience)

    outer, first, second = start
    memory = MEMORY if preconditioner.tail is None else LONG_MEMORY
    history = jnp.zeros((memory, outer.size), outer.dtype)
    zero = jnp.int32(0)
    infinite = jnp.asarray(jnp.inf)
    begin = State(outer, first, second, infinite, infinite, zero, zero, zero, history, history)
    return lax.while_loop(unfinished, step, begin)


@jax.jit
def _settle(
    system: System, point: tuple[Array, Array, Array], preconditioner: Preconditioner, target: Array
) -> tuple[Array, Array, Array, Array]:
    """Both inner blocks solved at fixed outer unknowns; returns them, the outer gap and the sweeps it took."""
    outer, first, second = point
    first, _, n_first = _relax(
        system.first_gap(outer), first, preconditioner.first_inverse, _largest, target, _keep, SETTLE_LIMIT
    )
    second, _, n_second = _relax(
        system.second_gap(first, outer),
        second,
        preconditioner.second_inverse,
        _largest_ratio,
        target,
        keep_positive,
        SETTLE_LIMIT,
    )
    return first, second, system.outer_gap(outer, first, second), jnp.maximum(n_first, n_second)


def newton(
    system: System,
    start: tuple[Array, Array, Array],
    precondition: Callable[[tuple[Array, Array, Array]], Preconditioner],
    tolerance: float,
    max_steps: int = 40,
) -> tuple[tuple[Array, Array, Array], int, int]:
    """Newton steps on the outer unknowns with the inner blocks solved, a fresh Jacobian each, and backtracking.

    Slower than `solve` and sturdier. Returns the point reached, the steps and the sweeps; the caller measures the residual.
    """
    target = jnp.asarray(0.1 * tolerance)
    outer, first, second = start
    made = precondition(start)
    first, second, gap, count = _settle(system, start, made, target)
    size, sweeps, steps = float(jnp.max(jnp.abs(gap))), int(count), 0
    while np.isfinite(size) and size > 0.5 * tolerance and steps < max_steps:
        made = precondition((outer, first, second))
        move = made.move(gap)
        share = min(1.0, 2 * LARGEST_STEP / float(jnp.max(jnp.abs(move))))
        steps += 1
        while share > SHORTEST_STEP:
            trial = system.normalise(outer + share * move)
            shift = trial - outer
            settled = _settle(system, (trial, *made.carry(first, second, shift)), made, target)
            sweeps += int(settled[3])
            new = float(jnp.max(jnp.abs(settled[2])))
            if new < (1 - 0.1 * share) * size:
                break
            share *= 0.5
        else:
            break  # no descent: a minimum of the gap that is not a root, or the accuracy of the arithmetic
        outer, (first, second, gap, _), size = trial, settled, new
    return (outer, first, second), steps, sweeps
