"""Where in its range each measure's size is taken: at its low end, its central value, its high end, or between them.

A position is a word of `CUTS` or a number from 0 (low) through 0.5 (central) to 1 (high), linear in between. One position
holds for all measures of a situation together, so that a result shows what the ranges mean as a whole.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from detente.errors import InputError, unknown_name

LOW, CENTRAL, HIGH = CUTS = ("low", "central", "high")
Position = str | float
_WORDS = {0.0: LOW, 0.5: CENTRAL, 1.0: HIGH}
_Size = TypeVar("_Size", float, NDArray[np.float64])


def position(cuts: Position) -> Position:
    """The same position as a word where there is one (0, 0.5, 1), else as a number; a number may be given as text.

    Raises `InputError` for a position that does not exist.
    """
    if isinstance(cuts, str) and cuts in CUTS:
        return cuts
    advice = "A number from 0 (low) through 0.5 (central) to 1 (high) is understood too."
    try:
        number = float("nan" if isinstance(cuts, bool) else cuts)
    except (TypeError, ValueError):
        raise unknown_name("position of sizes", str(cuts), CUTS, advice) from None
    if not 0 <= number <= 1:
        raise InputError(f"The position of sizes is {cuts}; expected {', '.join(CUTS)}. {advice}")
    return _WORDS.get(number, number)


def placed(size: float | None, span: tuple[float, float] | None, cuts: Position) -> float | None:
    """The size at a position of its range; the size itself where there is no range, None for a ban.

    Raises `InputError` for a position that does not exist.
    """
    at = position(cuts)
    if size is None or span is None or at == CENTRAL:
        return size
    if isinstance(at, str):
        return span[0] if at == LOW else span[1]
    return float(between(span[0], size, span[1], at))


def between(low: _Size, central: _Size, high: _Size, at: float) -> _Size:
    """Sizes at a number from 0 to 1: linear from `low` through `central` at 0.5 to `high`; numbers or arrays alike."""
    start, end, part = (low, central, 2 * at) if at < 0.5 else (central, high, 2 * at - 1)
    return np.clip(start + part * (end - start), np.minimum(start, end), np.maximum(start, end))  # pyright: ignore[reportReturnType]


def end(cuts: Position) -> str:
    """`at their low end`, `at 0.3 of their ranges`: the position in words, after `sizes`."""
    at = position(cuts)
    return f"at their {at} end" if isinstance(at, str) else f"at {at:g} of their ranges"


def sentence(cuts: Position) -> str:
    """The position in words, for a scenario's sentences; empty for the central one."""
    at = position(cuts)
    if at == CENTRAL:
        return ""
    if isinstance(at, str):
        return f"Every size that has a range is taken at its {at} end."
    return f"Every size that has a range is taken at {at:g} of it: 0 is its low end, 0.5 its central value, 1 its high end."
