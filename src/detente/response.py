"""The linear response of a block-triangular system at a point: what steers the solver, which knows nothing of the model.

The unknowns are an outer vector u and two long inner blocks x and y, whose gaps depend on each other in a triangle:
g_x(x; u), g_y(y; x, u) and g_u(u, x, y). Where u is short its whole Jacobian is computed; where it has a long tail, rows
and columns of the tail are, and `detente.mending` finds the directions in which steps built of these fail.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

EXACT = 700  # outer unknowns up to which the model should ask for their whole Jacobian
RESPONSE_ACCURACY = 1e-7  # of the linear responses: they steer the search, the gaps decide
ROUGH_ACCURACY = 1e-4  # of those in single precision
RESPONSE_LIMIT = 200

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

    def gaps(self, outer: Array, first: Array, second: Array) -> tuple[Array, Array, Array]:
        """The outer gap and those of both blocks at one point, what they share computed once."""
        ...

    def normalise(self, outer: Array) -> Array:
        """The outer unknowns, shifted onto the numéraire."""
        ...

    def rescale(self, outer: Array, first: Array, second: Array) -> tuple[Array, Array, Array]:
        """The same with both blocks in step."""
        ...


class Rows(NamedTuple):
    """What the model knows of the outer unknowns beyond the head, [m, k].

    jacobian [m, k, k]: of a row's gaps by its own unknowns; first, second [m, k, k]: what these move in the inner blocks'
    same row; weight [m, k]: what a tail's own movement adds to the head's gap; across [k, m, m]: derivatives of a column's
    gaps by its own unknowns, its diagonal not used.
    """

    jacobian: NDArray
    first: NDArray
    second: NDArray
    weight: NDArray
    across: NDArray


class Tail(eqx.Module):
    """Linear response of outer unknowns [m, k] beyond the head [h]: rows and columns, the rest by its leading directions.

    With rows J_r and columns J_c that share the diagonal D, the Jacobian is J_r D⁻¹ J_c but for what an unknown does to
    others by way of both. step [m, k, k]: −J_r⁻¹; across [k, m, m]: J_c⁻¹ D; response [m, k, h]: how the solved tail moves
    with the head; first, second, weight: see `Rows`. basis [h + m k, r]: outer directions in which steps built of these
    contract least; mend [r, r]: what is missing there. gap_basis [r, h + 3 m k], gap_mend [r, r]: the same of the gaps of
    all unknowns, outer, first and second, that one pass leaves.
    """

    step: Array
    across: Array
    response: Array
    first: Array
    second: Array
    weight: Array
    basis: Array
    mend: Array
    gap_basis: Array
    gap_mend: Array


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
        """The outer step that this gap asks for, the inner blocks being solved."""
        if self.tail is None:
            return self.outer_step.astype(gap.dtype) @ gap
        made = rough_move(gap.astype(self.tail.basis.dtype)[:, None], self.outer_step, self.tail)[:, 0]
        made = made + self.tail.basis @ (self.tail.mend @ (made @ self.tail.basis))
        return made.astype(gap.dtype)

    def carry(self, first: Array, second: Array, shift: Array) -> tuple[Array, Array]:
        """The inner blocks carried along when the outer unknowns shift; the second stays positive."""
        moved, other = self.respond(first, second, shift)
        return moved, keep_positive(other, second)

    def respond(self, first: Array, second: Array, shift: Array) -> tuple[Array, Array]:
        """The inner blocks with what the outer unknowns' shift does to them, to first order."""
        head = shift[: self.outer_step.shape[0]]
        moved = first + _respond(self.first_response, head)
        other = second + _respond(self.second_response, head)
        if self.tail is not None:
            tail = shift[self.outer_step.shape[0] :].reshape(self.tail.weight.shape)
            moved, other = (
                moved + apply_blocks(self.tail.first, tail),
                other + apply_blocks(self.tail.second, tail),
            )
        return moved, other


def rough_move(gaps: Array, outer_step: Array, tail: Tail) -> Array:
    """Steps for gaps [h + m k, any] by elimination of the head, with rows that do not see each other."""
    h, shape = outer_step.shape[0], tail.weight.shape
    below = gaps[h:].reshape(*shape, -1)
    alone = jnp.einsum("knm,mkp->nkp", tail.across, jnp.einsum("nkl,nlp->nkp", tail.step, below))
    head = outer_step.astype(gaps.dtype) @ (gaps[:h] + jnp.einsum("nk,nkp->np", tail.weight, alone - below))
    whole = alone + jnp.einsum("nkh,hp->nkp", tail.response, head)
    return jnp.concatenate([head, whole.reshape(gaps.shape[0] - h, -1)])


def apply_blocks(blocks: Array, vector: Array) -> Array:
    """Block-diagonal [m, k, k] times [m, k], in the blocks' precision."""
    return jnp.einsum("nab,nb->na", blocks, vector.astype(blocks.dtype)).astype(vector.dtype)


def _respond(response: Array, shift: Array) -> Array:
    return (response @ shift.astype(response.dtype)).astype(shift.dtype)


def keep_positive(new: Array, old: Array) -> Array:
    """A step that never loses more than 99 % of a positive unknown."""
    return jnp.maximum(new, 0.01 * old)


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
    first, second, columns = responses(system, point, first_inverse, second_inverse, directions)
    jacobian = np.array(columns)
    jacobian[:h, :h] -= pin
    if whole:
        step, tail = -np.linalg.inv(jacobian), None
    else:
        assert rows is not None
        known = rows()
        row_step = -np.linalg.inv(known.jacobian)
        below = jacobian[h:].reshape(*known.weight.shape, h)
        across = _across(known)
        response = np.einsum("nkl,nlh->nkh", row_step, below, optimize=True)
        response = np.einsum("knm,mkh->nkh", across, response, optimize=True)
        step = -np.linalg.inv(jacobian[:h] + np.einsum("nk,nkh->nh", known.weight, response - below))
        parts = row_step, across, response, *known[1:4]
        none = (
            np.zeros((size, 0)),
            np.zeros((0, 0)),
            np.zeros((0, sum(part.size for part in point))),
            np.zeros((0, 0)),
        )
        tail = Tail(*(jnp.asarray(part, jnp.float32) for part in (*parts, *none)))
    return Preconditioner(
        first_inverse=first_inverse.astype(jnp.float32),
        second_inverse=second_inverse.astype(jnp.float32),
        first_response=first.astype(jnp.float32),
        second_response=second.astype(jnp.float32),
        outer_step=jnp.asarray(step),
        tail=tail,
    )


def _across(known: Rows) -> NDArray:
    """J_c⁻¹ D of every column [k, m, m], its diagonal that of the rows."""
    own = np.einsum("nkk->kn", known.jacobian)
    columns = np.array(known.across)
    at = np.arange(columns.shape[1])
    columns[:, at, at] = own
    return np.linalg.solve(columns, own[:, :, None] * np.eye(len(at)))


@jax.jit
def responses(
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
