"""Claims on capital abroad: which can be, and what they bring."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detente.errors import InputError


def net_receipts(claims: ArrayLike, factor_income: ArrayLike) -> NDArray:
    """What owners get from abroad less what they are owed at home [country], for claims [owner, host]; sums to zero."""
    paid = np.asarray(claims, float) * np.asarray(factor_income, float)[None, :]
    return paid.sum(axis=1) - paid.sum(axis=0)


def checked_claims(given: ArrayLike, countries: Sequence[str]) -> NDArray:
    """Claims [owner, host] with a diagonal of zeros and columns below 1. Raises `InputError` naming the first bad cell."""
    values, n = np.asarray(given, dtype=float), len(countries)
    if values.shape != (n, n):
        raise InputError(f"`claims` has shape {values.shape}; expected ({n}, {n}) [owner, host].")
    bad = ~(np.isfinite(values) & (values >= 0)) | (np.eye(n, dtype=bool) & (values != 0))
    if bad.any():
        o, h = np.argwhere(bad)[0]
        needed = (
            "0, since nobody owns abroad at home"
            if o == h
            else "a share of the host's factor income of at least 0"
        )
        raise InputError(
            f"`claims` is {values[o, h]:g} at owner {countries[o]}, host {countries[h]}; expected {needed}."
        )
    whole = values.sum(axis=0)
    if (whole >= 1).any():
        h = int(whole.argmax())
        raise InputError(
            f"`claims` on {countries[h]} sum to {whole[h]:.3g} of its factor income; expected less than 1."
        )
    return values
