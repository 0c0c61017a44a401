"""Functions of one scenario, applied to many that lie side by side on the last axis.

`jax.vmap` does the same and is what everything here falls back on, but it moves the scenarios to the front wherever an
array of one scenario meets one that all share. Kept last, they are the columns of one matrix: a product of shared shares
with the prices of all scenarios is a single product of matrices, and nothing is transposed between two of them.

The function is traced once for a single scenario; then each of its operations is given a last axis.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend import core

Values = Sequence[Any]
Flags = Sequence[bool]

ELEMENTWISE = frozenset(
    "abs add and clamp convert_element_type copy div eq exp expm1 ge gt integer_pow is_finite le log log1p lt max min "
    "mul ne neg not or pow select_n sign sqrt square stop_gradient sub".split()
)
SAME = frozenset("cumsum reduce_and reduce_max reduce_min reduce_or reduce_sum rev".split())
CALLS = {"pjit": "jaxpr", "jit": "jaxpr", "closed_call": "call_jaxpr", "custom_jvp_call": "call_jaxpr"}


def along_last(function: Callable[..., Any], has_axis: Any) -> Callable[..., Any]:
    """`function` of arrays of one scenario, as a function of arrays with scenarios on their last axis.

    has_axis: for each argument True, False or a tree of these like it (or a part of it): whether the arrays there have
    the axis; the others are shared. All arrays returned have it.
    """

    def call(*args: Any) -> Any:
        leaves, tree = jax.tree.flatten(args)
        flags = _flags(has_axis, args)
        size = next(leaf.shape[-1] for leaf, flag in zip(leaves, flags, strict=True) if flag)
        single = [
            jax.ShapeDtypeStruct(jnp.shape(leaf)[:-1] if flag else jnp.shape(leaf), jnp.result_type(leaf))
            for leaf, flag in zip(leaves, flags, strict=True)
        ]
        traced, shape = jax.make_jaxpr(function, return_shape=True)(*jax.tree.unflatten(tree, single))
        values, given = _evaluate(traced.jaxpr, traced.consts, leaves, flags, size)
        out = [_spread(value, flag, size) for value, flag in zip(values, given, strict=True)]
        return jax.tree.unflatten(jax.tree.structure(shape), out)

    return call


def one_by_one(function: Callable[..., Any], has_axis: Any) -> Callable[..., Any]:
    """The same as `along_last`, each scenario after the other: quicker where they are few."""

    def call(*args: Any) -> Any:
        leaves, tree = jax.tree.flatten(args)
        flags = _flags(has_axis, args)
        size = next(leaf.shape[-1] for leaf, flag in zip(leaves, flags, strict=True) if flag)

        def at(k: Array) -> Any:
            own = [
                lax.dynamic_index_in_dim(leaf, k, axis=-1, keepdims=False) if flag else leaf
                for leaf, flag in zip(leaves, flags, strict=True)
            ]
            return function(*jax.tree.unflatten(tree, own))

        return jax.tree.map(lambda found: jnp.moveaxis(found, 0, -1), lax.map(at, jnp.arange(size)))

    return call


def _flags(has_axis: Any, args: Any) -> list[bool]:
    flags: list[bool] = []
    jax.tree.map(lambda flag, part: flags.extend([flag] * len(jax.tree.leaves(part))), tuple(has_axis), args)
    return flags


def _spread(value: Array, flag: bool, size: int) -> Array:
    return value if flag else jnp.broadcast_to(jnp.asarray(value)[..., None], (*jnp.shape(value), size))


def _evaluate(
    jaxpr: Any, consts: Values, args: Values, flags: Flags, size: int
) -> tuple[list[Any], list[bool]]:
    """Values of the outputs, and which of them have the axis."""
    known: dict[Any, tuple[Any, bool]] = {}
    for variables, values, marks in (
        (jaxpr.constvars, consts, [False] * len(consts)),
        (jaxpr.invars, args, flags),
    ):
        known.update(zip(variables, zip(values, marks, strict=True), strict=True))

    def read(atom: Any) -> tuple[Any, bool]:
        return (atom.val, False) if isinstance(atom, core.Literal) else known[atom]

    for equation in jaxpr.eqns:
        values, marks = zip(*map(read, equation.invars), strict=True) if equation.invars else ((), ())
        found, given = _apply(equation, values, marks, size)
        known.update(zip(equation.outvars, zip(found, given, strict=True), strict=True))
    ends = [read(atom) for atom in jaxpr.outvars]
    return [value for value, _ in ends], [flag for _, flag in ends]


def _apply(equation: Any, values: Values, flags: Flags, size: int) -> tuple[list[Any], list[bool]]:
    primitive, params = equation.primitive, equation.params
    if primitive.name in CALLS:
        inner = params[CALLS[primitive.name]]
        return _evaluate(inner.jaxpr, inner.consts, values, flags, size)
    if not any(flags):
        found = _bind(equation, values)
    elif primitive.name in ELEMENTWISE:
        shape = (*equation.outvars[0].aval.shape, size)
        found = _bind(
            equation, [_stretched(value, flag, shape) for value, flag in zip(values, flags, strict=True)]
        )
    elif primitive.name in SAME:
        found = _bind(equation, values)
    elif primitive.name in RULES:
        found = RULES[primitive.name](equation, values, flags, size)
    else:
        axes = tuple(-1 if flag else None for flag in flags)
        found = jax.vmap(lambda *each: _bind(equation, each), in_axes=axes, out_axes=-1)(*values)
    return list(found), [any(flags)] * len(equation.outvars)


def _bind(equation: Any, values: Values) -> list[Any]:
    found = equation.primitive.bind(*values, **equation.params)
    return list(found) if equation.primitive.multiple_results else [found]


def _stretched(value: Any, flag: bool, shape: tuple[int, ...]) -> Array:
    """An operand of an elementwise operation over the whole output with its last axis."""
    value = jnp.asarray(value)
    if value.ndim == 0 and not flag:
        return value if value.weak_type else jnp.broadcast_to(value, shape)
    value = value if flag else value[..., None]
    return jnp.broadcast_to(jnp.reshape(value, (1,) * (len(shape) - value.ndim) + value.shape), shape)


def _broadcast_in_dim(equation: Any, values: Values, flags: Flags, size: int) -> list[Array]:
    shape, places = equation.params["shape"], equation.params["broadcast_dimensions"]
    return [lax.broadcast_in_dim(values[0], (*shape, size), (*places, len(shape)))]


def _reshape(equation: Any, values: Values, flags: Flags, size: int) -> list[Array]:
    return [jnp.reshape(values[0], (*equation.params["new_sizes"], size))]


def _squeeze(equation: Any, values: Values, flags: Flags, size: int) -> list[Array]:
    return [lax.squeeze(values[0], equation.params["dimensions"])]


def _transpose(equation: Any, values: Values, flags: Flags, size: int) -> list[Array]:
    order = equation.params["permutation"]
    return [lax.transpose(values[0], (*order, len(order)))]


def _concatenate(equation: Any, values: Values, flags: Flags, size: int) -> list[Array]:
    parts = [_spread(value, flag, size) for value, flag in zip(values, flags, strict=True)]
    return [lax.concatenate(parts, equation.params["dimension"])]


def _slice(equation: Any, values: Values, flags: Flags, size: int) -> list[Array]:
    given = equation.params
    strides = given["strides"]
    return [
        lax.slice(
            values[0],
            (*given["start_indices"], 0),
            (*given["limit_indices"], size),
            None if strides is None else (*strides, 1),
        )
    ]


def _dot(equation: Any, values: Values, flags: Flags, size: int) -> list[Array]:
    """One product of matrices where one side is shared; its free axes and the scenarios are the columns of the
    result."""
    (contract, batch), (left, right) = equation.params["dimension_numbers"], values
    kind = equation.params["preferred_element_type"]
    if all(flags):
        axes = (-1, -1)
        return [jax.vmap(lambda a, b: _bind(equation, (a, b))[0], in_axes=axes, out_axes=-1)(left, right)]
    if flags[1]:
        return [lax.dot_general(left, right, (contract, batch), preferred_element_type=kind)]
    found = lax.dot_general(right, left, (contract[::-1], batch[::-1]), preferred_element_type=kind)
    shared = len(batch[0])
    from_left = left.ndim - 1 - shared - len(contract[0])
    from_right = right.ndim - shared - len(contract[0])
    order = [
        *range(shared),
        *range(shared + from_right, shared + from_right + from_left),
        *range(shared, shared + from_right),
        found.ndim - 1,
    ]
    return [lax.transpose(found, order)]


def _while(equation: Any, values: Values, flags: Flags, size: int) -> list[Array]:
    """Goes on until the last scenario is through; those that are keep what they had."""
    given = equation.params
    first, second = given["cond_nconsts"], given["cond_nconsts"] + given["body_nconsts"]
    asked, done = given["cond_jaxpr"], given["body_jaxpr"]
    begin = [_spread(value, flag, size) for value, flag in zip(values[second:], flags[second:], strict=True)]
    carried = [True] * len(begin)

    def unfinished(carry: list[Array]) -> Array:
        known = [*values[:first], *carry], [*flags[:first], *carried]
        (value,), (flag,) = _evaluate(asked.jaxpr, asked.consts, *known, size)
        return _spread(value, flag, size)

    def step(carry: list[Array]) -> list[Array]:
        known = [*values[first:second], *carry], [*flags[first:second], *carried]
        new, marks = _evaluate(done.jaxpr, done.consts, *known, size)
        going = unfinished(carry)
        return [
            jnp.where(going, _spread(value, flag, size), old)
            for value, flag, old in zip(new, marks, carry, strict=True)
        ]

    return lax.while_loop(lambda carry: jnp.any(unfinished(carry)), step, begin)


RULES: dict[str, Callable[[Any, Values, Flags, int], list[Array]]] = {
    "broadcast_in_dim": _broadcast_in_dim,
    "concatenate": _concatenate,
    "dot_general": _dot,
    "reshape": _reshape,
    "slice": _slice,
    "squeeze": _squeeze,
    "transpose": _transpose,
    "while": _while,
}
