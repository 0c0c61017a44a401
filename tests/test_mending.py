"""Passes over all unknowns where factors are stuck: what is found to be missing is what they leave."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from detente import mending, search
from detente.shock import Shock
from detente.situation import situation
from detente.system import start, system

SINGLE = 1e-3  # passes are in single precision, and the eigenspace is found by few steps


@pytest.mark.slow
def test_mended_passes_leave_little_of_the_gaps_that_plain_ones_leave_most_of(economy):
    stuck = economy.with_behaviour(factor_mobility=1.0)
    made = search.baseline_preconditioner(stuck)
    at = situation(stuck, Shock())
    of = mending.single(system(at, np.zeros(len(stuck.countries), int)))
    point = mending.single(start(stuck, at))
    tail = made.tail
    assert tail is not None
    earned = np.asarray(stuck.value_added)
    pin = jnp.asarray(np.ones((len(earned), 1)) * earned / earned.sum(), jnp.float32)

    def left(gaps: jax.Array) -> jax.Array:
        return mending._left(of, point, made, pin, gaps[None])[0]

    inside = np.linalg.inv(np.asarray(tail.gap_mend, float) + np.eye(mending.KEPT))  # I − H
    for k in range(3):
        gaps = tail.gap_basis[k]
        mended = gaps + (tail.gap_mend @ (tail.gap_basis @ gaps)) @ tail.gap_basis
        before = float(jnp.linalg.norm(left(gaps)))
        after = float(jnp.linalg.norm(gaps + left(mended) - mended))
        assert before > 0.2
        assert after < 0.1 * before
    assert np.abs(np.linalg.eigvals(np.eye(mending.KEPT) - inside)).max() < 1 - SINGLE


def test_an_eigenspace_that_is_known():
    """Eigenvalues 0.9, 0.8, 0.7 and a pair that turns: with the mend nothing is left of gaps that lie in the space."""
    size, draw = 200, np.random.default_rng(3)
    turn = np.linalg.qr(draw.standard_normal((size, size)))[0]
    values = np.diag(np.concatenate([[0.9, 0.8, 0.7], np.full(size - 3, 0.01)]))
    values[3:5, 3:5] = [[0.5, 0.3], [-0.3, 0.5]]
    operator = turn @ values @ turn.T
    for kept, found in ((5, 5), (4, 3)):  # a pair is taken whole or not at all
        basis, mend = mending._eigenspace(lambda q: operator @ q, size, 20, kept)
        assert basis.shape == (size, kept)
        assert np.count_nonzero(np.linalg.norm(basis, axis=0) > 0.5) == found
        for k in range(found):
            gaps = basis[:, k]
            mended = gaps + basis @ (mend @ (basis.T @ gaps))
            np.testing.assert_allclose(
                mended - operator @ mended, gaps, atol=1e-5
            )  # bases are in single precision
