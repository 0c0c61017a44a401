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
from typing import NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

MEMORY = 4  # past outer steps mixed; the outer vector is short, so this is nearly free
LONG_MEMORY = 10  # where the outer vector has a tail, whose Jacobian is known only in part
LARGEST_STEP = 0.7  # log points an outer unknown may move at once: keeps a first step from overshooting
INNER_FORCING = 0.05  # inner gaps are brought below this fraction of the last outer gap
INNER_LIMIT = 40  # inner steps between two outer steps
SETTLE_LIMIT = 1000  # inner steps where the outer unknowns are held
SHORTEST_STEP = 1e-3  # of a Newton step, before the search gives up
EXACT = 700  # outer unknowns up to which the model should ask for their whole Jacobian
RESPONSE_ACCURACY = 1e-7  # of the linear responses: they steer the search, the gaps decide
ROUGH_ACCURACY = 1e-4  # of those in single precision
RESPONSE_LIMIT = 200
RANK = 120  # directions in which steps built of rows are mended
SUBSPACE_STEPS = 3  # of the iteration that finds them
IMPROVEMENT = 0.9  # a preconditioned inner step that gains less than this is followed by a plain one


Gap = Callable[[Array], Array]


class System(Protocol):
    """The model's side: three gaps, and how to keep the unknowns in their domain.

    outer [m], or [m + m k] where a tail [m, k] follows the head; first and second [m, k]. An inner gap is the change that a
    plain fixed-point step would make.
    """

    def first_gap(self, outer: Array) -> Gap:
        """The first block's gap [m, k] as a function of that block."""
        ...

    def second_gap(self, first: Array, outer: Array) -> Gap:
        """The second block's gap [m, k], in the block's units, as a function of that block."""
        ...

    def outer_gap(self, outer: Array, first: Array, second: Array) -> Array:
        """The outer gap [m]."""
        ...

    def normalise(self, outer: Array) -> Array:
        """The outer unknowns, shifted onto the numéraire."""
        ...


class Rows(NamedTuple):
    """What the model knows of the outer unknowns beyond the head, [m, k], row by row, each [m, k, k] but the last.

    jacobian: of a row's gaps by its own unknowns; first, second: what these move in the inner blocks' same row;
    weight [m, k]: what a tail's own movement adds to the head's gap.
    """

    jacobian: NDArray
    first: NDArray
    second: NDArray
    weight: NDArray


class Tail(eqx.Module):
    """Linear response of outer unknowns [m, k] beyond the head [h]: rows exactly, the rest by its leading directions.

    step [m, k, k]: minus the inverse of each row's Jacobian; response [m, k, h]: how the solved rows move with the head;
    first, second, weight: see `Rows`. basis [h + m k, r]: directions in which steps built of these contract least;
    mend [r, r]: what is missing there.
    """

    step: Array
    response: Array
    first: Array
    second: Array
    weight: Array
    basis: Array
    mend: Array


class Preconditioner(eqx.Module):
    """Linear response at a reference point.

    first_inverse, second_inverse [m, k, k]: inverses of the block-diagonal part of each inner Jacobian.
    first_response, second_response [m, k, p]: how the solved inner blocks move with the first p outer unknowns.
    outer_step [p, p]: minus the inverse of the outer gap's total derivative, its first p rows and columns where a
    tail holds the others.
    All but outer_step are in single precision: they steer the search and are most of its memory traffic; the gaps, in
    double precision, decide where it ends.
    """

    first_inverse: Array
    second_inverse: Array
    first_response: Array
    second_response: Array
    outer_step: Array
    tail: Tail | None = None

    def move(self, gap: Array) -> Array:
        """The outer step that this gap asks for."""
        if self.tail is None:
            return self.outer_step @ gap
        made = _rough_move(gap.astype(self.tail.basis.dtype)[:, None], self.outer_step, self.tail)[:, 0]
        made = made + self.tail.basis @ (self.tail.mend @ (self.tail.basis.T @ made))
        return made.astype(gap.dtype)

    def carry(self, first: Array, second: Array, shift: Array) -> tuple[Array, Array]:
        """The inner blocks carried along when the outer unknowns shift; the second stays positive."""
        head = shift[: self.outer_step.shape[0]]
        moved = first + _respond(self.first_response, head)
        other = second + _respond(self.second_response, head)
        if self.tail is not None:
            tail = shift[self.outer_step.shape[0] :].reshape(self.tail.weight.shape)
            moved, other = moved + _apply(self.tail.first, tail), other + _apply(self.tail.second, tail)
        return moved, _keep_positive(other, second)


def _rough_move(gaps: Array, outer_step: Array, tail: Tail) -> Array:
    """Steps for gaps [h + m k, any] by elimination of the head, with rows that do not see each other."""
    h, shape = outer_step.shape[0], tail.weight.shape
    below = gaps[h:].reshape(*shape, -1)
    alone = jnp.einsum("nkl,nlp->nkp", tail.step, below)
    head = outer_step.astype(gaps.dtype) @ (gaps[:h] + jnp.einsum("nk,nkp->np", tail.weight, alone - below))
    whole = alone + jnp.einsum("nkh,hp->nkp", tail.response, head)
    return jnp.concatenate([head, whole.reshape(gaps.shape[0] - h, -1)])


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


def _apply(blocks: Array, vector: Array) -> Array:
    return jnp.einsum("nab,nb->na", blocks, vector.astype(blocks.dtype)).astype(vector.dtype)


def _respond(response: Array, shift: Array) -> Array:
    return (response @ shift.astype(response.dtype)).astype(shift.dtype)


def _relax(
    gap_of: Gap,
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
        move = jnp.where(now <= IMPROVEMENT * last, _apply(inverse, gap), gap)
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


def _keep_positive(new: Array, old: Array) -> Array:
    return jnp.maximum(new, 0.01 * old)


def _mix(outer: Array, move: Array, past_outer: Array, past_move: Array, count: Array) -> Array:
    """Anderson's move from the last points and moves (rows; unfilled rows are masked)."""
    memory = len(past_outer)
    filled = (jnp.arange(memory) < count)[:, None]
    d_move = jnp.where(filled, move[None, :] - past_move, 0.0)
    d_outer = jnp.where(filled, outer[None, :] - past_outer, 0.0)
    normal = d_move @ d_move.T
    ridge = 1e-14 * jnp.trace(normal) + jnp.finfo(outer.dtype).tiny
    weights = _solve_small(normal + ridge * jnp.eye(memory), d_move @ move)
    mixed = move - weights @ (d_outer + d_move)
    return jnp.where(jnp.all(jnp.isfinite(mixed)), mixed, move)


def _solve_small(matrix: Array, right: Array) -> Array:
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
            _keep_positive,
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
        _keep_positive,
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


def linear_response(
    system: System,
    point: tuple[Array, Array, Array],
    first_inverse: Array,
    second_inverse: Array,
    pin: NDArray,
    rows: Callable[[], Rows] | None = None,
) -> Preconditioner:
    """The preconditioner at `point`; raises `numpy.linalg.LinAlgError` where the outer Jacobian is singular.

    pin [h, h] is subtracted from the head of the outer Jacobian to fix directions that the equations leave free (the
    numéraire). rows: needed where there are more than `EXACT` outer unknowns.
    """
    size, h = point[0].size, len(pin)
    whole = size <= EXACT
    directions = jnp.eye(size if whole else h, size)
    first, second, columns = _responses(system, point, first_inverse, second_inverse, directions)
    jacobian = np.array(columns)
    jacobian[:h, :h] -= pin
    if whole:
        step, tail = -np.linalg.inv(jacobian), None
    else:
        assert rows is not None
        known = rows()
        row_step = -np.linalg.inv(known.jacobian)
        below = jacobian[h:].reshape(*known.weight.shape, h)
        response = np.einsum("nkl,nlh->nkh", row_step, below, optimize=True)
        step = -np.linalg.inv(jacobian[:h] + np.einsum("nk,nkh->nh", known.weight, response - below))
        parts = row_step, response, *known[1:], np.zeros((size, 0)), np.zeros((0, 0))
        tail = Tail(*(jnp.asarray(part, jnp.float32) for part in parts))
        tail = _mended(system, point, (first_inverse, second_inverse), pin, jnp.asarray(step), tail)
    return Preconditioner(
        first_inverse=first_inverse.astype(jnp.float32),
        second_inverse=second_inverse.astype(jnp.float32),
        first_response=first.astype(jnp.float32),
        second_response=second.astype(jnp.float32),
        outer_step=jnp.asarray(step),
        tail=tail,
    )


def _mended(
    system: System,
    point: tuple[Array, Array, Array],
    inverses: tuple[Array, Array],
    pin: NDArray,
    step: Array,
    tail: Tail,
) -> Tail:
    """The tail with the leading eigenspace of what rough steps leave of an error, found by subspace iteration.

    With R = I + M J for rough steps M and R Q ≈ Q H, steps (I + Q ((I − H)⁻¹ − I) Qᵀ) M leave nothing of errors in Q.
    """
    single, at, solved = jax.tree.map(
        lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf,
        (system, point, inverses),
    )
    size, h = at[0].size, len(pin)
    rank = min(RANK, size - h)
    left_over = np.random.default_rng(0).standard_normal((size, rank))
    basis = left_over
    for _ in range(SUBSPACE_STEPS + 1):
        basis = np.linalg.qr(left_over)[0].astype(np.float32)
        columns = _responses(single, at, *solved, jnp.asarray(basis.T))[2]
        columns = columns.at[:h].add(-jnp.asarray(pin, jnp.float32) @ basis[:h])
        left_over = basis + np.asarray(_rough_move(columns, step, tail))
    inside = basis.T.astype(np.float64) @ left_over
    mend = np.linalg.inv(np.eye(rank) - inside) - np.eye(rank)
    return eqx.tree_at(
        lambda t: (t.basis, t.mend), tail, (jnp.asarray(basis), jnp.asarray(mend, jnp.float32))
    )


@jax.jit
def _responses(
    system: System,
    point: tuple[Array, Array, Array],
    first_inverse: Array,
    second_inverse: Array,
    directions: Array,
) -> tuple[Array, Array, Array]:
    """Responses [m, k, p] of the inner blocks to p directions of the outer unknowns, and the outer gap's derivative [., p].

    All directions [p, outer] at once, by Richardson steps on the linearised gaps.
    """
    outer, first, second = point
    accuracy = RESPONSE_ACCURACY if outer.dtype == jnp.float64 else ROUGH_ACCURACY

    def respond(linear: Callable[[Array], Array], forcing: Array, inverse: Array, scale: Array) -> Array:
        """Solve linear(S) + forcing = 0 for S [m(direction), m, k]."""

        def step(carry):
            s, _, count = carry
            gap = jax.vmap(linear)(s) + forcing
            return (
                s + jnp.einsum("nab,wnb->wna", inverse, gap),
                jnp.max(jnp.abs(gap) / scale[None]),
                count + 1,
            )

        def unfinished(carry):
            return (carry[1] > accuracy) & (carry[2] < RESPONSE_LIMIT)

        begin = jnp.zeros_like(forcing), jnp.asarray(jnp.inf, forcing.dtype), jnp.int32(0)
        return lax.while_loop(unfinished, step, begin)[0]

    _, by_first = jax.linearize(system.first_gap(outer), first)
    _, by_outer = jax.linearize(lambda u: system.first_gap(u)(first), outer)
    first_response = respond(by_first, jax.vmap(by_outer)(directions), first_inverse, jnp.ones_like(first))

    _, by_second = jax.linearize(system.second_gap(first, outer), second)
    _, by_others = jax.linearize(lambda x, u: system.second_gap(x, u)(second), first, outer)
    forcing = jax.vmap(by_others)(first_response, directions)
    scale = jnp.sum(second, axis=1, keepdims=True)
    second_response = respond(by_second, forcing, second_inverse, scale)

    _, by_all = jax.linearize(system.outer_gap, outer, first, second)
    jacobian = jax.vmap(by_all)(directions, first_response, second_response).T
    return jnp.moveaxis(first_response, 0, -1), jnp.moveaxis(second_response, 0, -1), jacobian
