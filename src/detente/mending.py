"""What one pass over the unknowns leaves of their gaps, and what is missing there: for outer vectors with a long tail.

A pass settles the inner blocks in part, moves the outer unknowns by rows and columns of their Jacobian, and carries the
inner blocks along. Subspace iteration finds where such passes fail (deflation: Nicolaides 1987, SIAM Journal on Numerical
Analysis 24:2).
"""

from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from detente.response import Preconditioner, System, apply_blocks, responses, rough_move

RANK = 60  # directions in which steps are mended, and among which those are found in which passes are
KEPT = 20  # of these for passes: to read more of them costs more than it gains
STEPS, GAP_STEPS = 3, 6  # of the iterations that find them

Point = tuple[Array, Array, Array]
_Tree = TypeVar("_Tree")


def single(tree: _Tree) -> _Tree:
    """The same in single precision."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf, tree)


def ends(second: Array, like: Point) -> tuple[Callable[..., Array], Callable[[Array], Point]]:
    """How the parts of a point are put end to end, the second block relative to `second`, and taken apart again."""
    scale = jnp.where(second == 0, 1.0, second)
    shapes = [part.shape for part in like]
    cuts = like[0].size, like[0].size + like[1].size

    def joined(outer: Array, first: Array, second: Array) -> Array:
        return jnp.concatenate([outer, first.ravel(), (second / scale).ravel()])

    def parted(whole: Array) -> Point:
        head, middle, tail = whole[: cuts[0]], whole[cuts[0] : cuts[1]], whole[cuts[1] :]
        return head, middle.reshape(shapes[1]), scale * tail.reshape(shapes[2])

    return joined, parted


def a_pass(
    system: System, at: Point, linear: Callable[..., Point], by: Preconditioner
) -> Callable[[Point], Point]:
    """What gaps at a point ask for, where moves change them by `linear`: two steps of each inner block, then one of the
    outer unknowns, which carries the others along."""
    outer, first, second = at
    _, alone = jax.linearize(system.second_gap(first, outer), second)  # the same as `linear` has, and cheaper
    still, none = jnp.zeros_like(outer), jnp.zeros_like(second)
    assert by.tail is not None
    tail = by.tail

    def asked(gaps: Point) -> Point:
        x = apply_blocks(by.first_inverse, gaps[1])
        x = x + apply_blocks(by.first_inverse, gaps[1] + linear(still, x, none)[1])
        left = gaps[2] + linear(still, x, none)[2]
        y = apply_blocks(by.second_inverse, left)
        y = y + apply_blocks(by.second_inverse, left + alone(y))
        left = gaps[0] + linear(still, x, y)[0]
        u = rough_move(left[:, None], by.outer_step, tail)[:, 0]
        return (u, *by.respond(x, y, u))

    return asked


def mended(system: System, point: Point, pin: NDArray, made: Preconditioner) -> Preconditioner:
    """The preconditioner at `point` with the leading eigenspaces of what its rough steps and its passes leave.

    With R = I + M J for rough steps M and R Q ≈ Q H, steps (I + Q ((I − H)⁻¹ − I) Qᵀ) M leave nothing of errors in Q; and
    with R = I + J M for passes M, neither do passes M (I + Q ((I − H)⁻¹ − I) Qᵀ) of gaps in Q. pin [h, h]: subtracted from
    the head of the Jacobian J.
    """
    if made.tail is None:
        return made
    h, at, fixed = len(pin), single(point), jnp.asarray(pin, jnp.float32)
    rough, tail, outer_step = single(system), made.tail, made.outer_step

    def after_steps(basis: NDArray) -> NDArray:
        columns = responses(rough, at, made.first_inverse, made.second_inverse, jnp.asarray(basis.T))[2]
        columns = columns.at[:h].add(-fixed @ basis[:h])
        return basis + np.asarray(rough_move(columns, outer_step, tail))

    def after_passes(basis: NDArray) -> NDArray:
        return np.asarray(_left(rough, at, made, fixed, jnp.asarray(basis.T))).T

    basis, mend = _eigenspace(after_steps, point[0].size, STEPS, RANK)
    of_gaps, gap_mend = _eigenspace(after_passes, sum(part.size for part in point), GAP_STEPS, KEPT)
    found = tuple(jnp.asarray(part, jnp.float32) for part in (basis, mend, of_gaps.T, gap_mend))
    return eqx.tree_at(lambda p: (p.tail.basis, p.tail.mend, p.tail.gap_basis, p.tail.gap_mend), made, found)


def _eigenspace(
    left_over: Callable[[NDArray], NDArray], size: int, steps: int, kept: int
) -> tuple[NDArray, NDArray]:
    """Q [size, kept] and (I − H)⁻¹ − I [kept, kept] of an operator on columns.

    The last column is nil where it would take one of a pair.
    """
    image = np.random.default_rng(0).standard_normal((size, RANK))
    basis = image
    for _ in range(steps + 1):
        basis = np.linalg.qr(image)[0].astype(np.float32)
        image = left_over(basis)
    inside = basis.T.astype(np.float64) @ image
    if kept < RANK:
        from scipy.linalg import schur

        most = np.sort(np.abs(np.linalg.eigvals(inside)))[-kept - 1] * (1 + 1e-9)
        inside, turn, *found = schur(inside, sort=lambda re, im: np.hypot(re, im) > most)
        found = int(found[0])
        turn[:, found:] = 0.0
        inside, basis = np.array(inside[:kept, :kept]), basis @ turn[:, :kept]
        inside[found:] = inside[:, found:] = 0.0
    return basis, np.linalg.inv(np.eye(kept) - inside) - np.eye(kept)


@jax.jit
def _left(system: System, point: Point, made: Preconditioner, pin: Array, rows: Array) -> Array:
    """What a pass leaves of gaps [any, z] at a point."""
    joined, parted = ends(point[2], point)
    _, linear = jax.linearize(system.gaps, *point)
    asked, h = a_pass(system, point, linear, made), len(pin)

    def one(gaps: Array) -> Array:
        move = asked(parted(gaps))
        left = joined(*linear(*move))
        return gaps + left.at[:h].add(-pin @ move[0][:h])

    return jax.vmap(one)(rows)
