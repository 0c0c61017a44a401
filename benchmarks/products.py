"""The matrix products inside a solve of many scenarios, each alone: compiled einsums of the same shapes.

Price and spending steps of the solver are products of the baseline's shares, which all scenarios have in common, with
prices and demand of all of them. The weights of a scenario's own that are held apart (`equations.Cross`) are small sums
and not counted.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks.solve import timed
from detente.equations import Situation
from detente.response import Preconditioner

Product = tuple[str, Any, Any]  # an einsum and its two operands


def products_of_a_sweep(at: Situation, made: Preconditioner, size: int) -> list[Product]:
    """Einsums, with operands, of one price step and one spending step for so many scenarios."""
    n, s = at.consumption_share.shape
    country, sector = np.ones((n, s, size)), np.ones((s, n, size))
    rough = country.astype(np.float32)
    axis = "b" if at.trade_weight.ndim == 4 else ""  # weights of each scenario's own
    by_seller, by_buyer = f"jni{axis},jib->jnb", f"jni{axis},jnb->jib"
    found = [
        ("njk,njb->nkb", at.input_share, country),
        (by_seller, at.trade_weight, sector),
        ("nac,ncb->nab", made.first_inverse, rough),
        (by_buyer, at.trade_weight if at.sales_weight is None else at.sales_weight, sector),
        ("njk,nkb->njb", at.input_share, country),
        ("nac,ncb->nab", made.second_inverse, rough),
    ]
    if at.tariff_weight is not None:
        found.append((by_seller, at.tariff_weight, sector))
    if at.export_tax_weight is not None:
        found.append((by_buyer, at.export_tax_weight, sector))
    return found


def products_of_a_step(at: Situation, made: Preconditioner, size: int) -> list[Product]:
    """What an outer step has beside its sweeps: costs and flows once, and the inner blocks carried along."""
    inner = [each for each in products_of_a_sweep(at, made, size) if each[0] != "nac,ncb->nab"]
    responses = made.first_response, made.second_response
    shift = np.ones((responses[0].shape[2], size), np.float32)
    return [*inner[:1], *inner[2:], *(("nkp,pb->nkb", response, shift) for response in responses)]


def seconds_of(products: Sequence[Product], repeats: int = 20) -> tuple[float, float]:
    """Fewest seconds of all these products in one compiled call, and how many thousand million operations they are."""

    @jax.jit
    def run(left: list[Array], right: list[Array]) -> list[Array]:
        how = [each[0] for each in products]
        return [jnp.einsum(text, a, b) for text, a, b in zip(how, left, right, strict=True)]

    left, right = ([jnp.asarray(each[k]) for each in products] for k in (1, 2))
    timed(lambda: run(left, right))
    seconds = min(timed(lambda: run(left, right))[0] for _ in range(repeats))
    operations = 0.0
    for text, a, b in products:
        sizes = dict(
            zip(text.replace("->", ",").replace(",", ""), (*jnp.shape(a), *jnp.shape(b)), strict=False)
        )
        operations += 2.0 * float(np.prod(list(sizes.values())))
    return seconds, operations / 1e9


def best_rate(size: int = 1500) -> float:
    """Thousand million operations per second of one large product of square matrices in double precision."""
    seconds, operations = seconds_of([("ab,bc->ac", np.ones((size, size)), np.ones((size, size)))], 5)
    return operations / seconds
