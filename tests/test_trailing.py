"""Functions of one scenario applied to many on the last axis, against `jax.vmap`, which keeps nothing last."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from detente import numerics  # noqa: F401
from detente.trailing import along_last, one_by_one

ROUNDING = 1e-14  # the two sum in different orders

rng = np.random.default_rng(1)
SHARED, VECTOR, MATRIX = rng.random((3, 4)), rng.random((4, 5)), rng.random((3, 4, 5)) + 0.1


FUNCTIONS = {
    "shared matrix times vectors": lambda a, b: a @ b,
    "vectors times shared matrix": lambda a, b: b @ a.T,
    "shared and own by elements": lambda a, b: jnp.exp(-a) * b[None, :] + jnp.log1p(b).sum(),
    "nothing of its own": lambda a, b: (a.sum(), b),
    "own by own": lambda a, b: jnp.outer(b, b) @ b,
    "einsum with both shared and free axes": lambda a, b: jnp.einsum("ij,j->ij", a, b),
    "reshaped, turned, sliced, joined": lambda a, b: jnp.concatenate(
        [b.reshape(2, 2).T.ravel()[1:3], a[:, 0]]
    ),
    "chosen": lambda a, b: jnp.where(b > b.mean(), b, a[0]),
    "scattered": lambda a, b: jnp.zeros(4).at[jnp.array([1, 3])].add(b[:2]),
    "placed": lambda a, b: jnp.roll(b, 1).at[0].set(a[0, 0]),
    "largest": lambda a, b: jnp.max(jnp.abs(a * b[None])),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_same_as_vmap(name):
    function = FUNCTIONS[name]
    wanted = jax.vmap(function, in_axes=(None, -1), out_axes=-1)(SHARED, VECTOR)
    for way in (along_last, one_by_one):
        found = jax.jit(way(function, (False, True)))(SHARED, VECTOR)
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("axes", [(True, False), (True, True)])
def test_either_side_of_a_product_may_be_shared(axes):
    right = rng.random((4, 2, 5)) if axes[1] else rng.random((4, 2))
    found = along_last(jnp.matmul, axes)(MATRIX, right)
    wanted = jax.vmap(jnp.matmul, tuple(-1 if axis else None for axis in axes), -1)(MATRIX, right)
    np.testing.assert_allclose(found, wanted, rtol=ROUNDING)


def test_batched_products_keep_their_order_of_axes():
    def product(a, b):
        return jnp.einsum("nij,njk->nik", a, b), jnp.einsum("nkj,nij->nik", b.transpose(0, 2, 1), a)

    left, right = rng.random((6, 3, 4, 5)), rng.random((6, 4, 3))
    found = along_last(product, (True, False))(left, right)
    wanted = jax.vmap(product, (-1, None), -1)(left, right)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=ROUNDING)


def test_each_scenario_leaves_a_loop_by_itself():
    def halved(start, goal):
        return lax.while_loop(lambda c: c[0] > goal, lambda c: (c[0] / 2, c[1] + 1), (start, jnp.int32(0)))

    goals = jnp.array([0.9, 0.3, 0.01])
    left, count = jax.jit(along_last(halved, (False, True)))(jnp.asarray(1.0), goals)
    np.testing.assert_array_equal(count, [1, 2, 7])
    np.testing.assert_array_equal(left, 0.5 ** np.array([1, 2, 7]))


def test_a_tree_says_which_leaves_have_the_axis():
    given = {"a": jnp.asarray(SHARED), "b": jnp.asarray(VECTOR)}
    found = along_last(lambda tree: tree["a"] @ tree["b"], ({"a": False, "b": True},))(given)
    np.testing.assert_allclose(found, SHARED @ VECTOR, rtol=ROUNDING)
