"""How hard members sanction when each chooses its intensity between 0 and 1: each for itself, or all together.

Payoffs are smooth in the intensities x ∈ [0, 1]^m and come from a function that takes many of them at once, so that one
call gives slopes and curvatures of all members, by central differences.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from detente.errors import InputError

Payoffs = Callable[[NDArray], NDArray]  # [m, z] intensities to [m, z] payoffs

STEP = 0.05  # of central differences: wide beside what a solver's tolerance leaves in payoffs, narrow beside [0, 1]
SETTLED = 1e-3  # by how much no intensity moves any more
GRID = np.linspace(0, 1, 11)  # of deviations tried before an end is believed
MOST_STEPS = 40
STARTS = (1.0, 0.0, 0.5)


@dataclass(frozen=True)
class Intensities:
    """Where a search ended.

    x: intensities [m]; payoff [m]; gain: the most that a member gains by another intensity (`nash`) or that all gain by
    one member's (`cooperative`), of those on `GRID` [m]; steps: calls of the payoffs; converged: whether steps died out
    and no gain is left beyond `slack`; start: where all began.
    """

    x: NDArray
    payoff: NDArray
    gain: NDArray
    steps: int
    converged: bool
    start: float


class _Local(NamedTuple):
    """Slope and curvature in the members' own intensities of some function of each [m]."""

    slope: NDArray
    curvature: NDArray


def nash(
    payoffs: Payoffs, m: int, *, slack: ArrayLike = 0.0, starts: Sequence[float] = STARTS
) -> list[Intensities]:
    """Intensities from which no member gains alone, one search a start, all members beginning there.

    Each step is the best response of every member to a parabola through its payoff, half way only where it turns back.
    Where a member is found to gain on `GRID`, the search goes on from there. slack: the gain that counts as none, in the
    payoffs' unit. Raises `InputError` for a start outside [0, 1].
    """
    return [_best_responses(payoffs, m, _start(start), slack) for start in starts]


def cooperative(
    payoffs: Payoffs, m: int, *, slack: ArrayLike = 0.0, starts: Sequence[float] = STARTS
) -> list[Intensities]:
    """Intensities that maximise the sum of payoffs, one search a start (L-BFGS-B on slopes by central differences).

    The best of them comes first. Arguments and errors as in `nash`.
    """
    found = [_together(payoffs, m, _start(start), slack) for start in starts]
    return sorted(found, key=lambda each: -each.payoff.sum())


def _start(start: float) -> float:
    if not 0 <= start <= 1:
        raise InputError(f"The start {start} is no intensity; expected a number from 0 to 1.")
    return float(start)


def _best_responses(payoffs: Payoffs, m: int, start: float, slack: ArrayLike) -> Intensities:
    x, damping, last, steps, settled = np.full(m, start), np.ones(m), np.zeros(m), 0, False
    while steps < MOST_STEPS and not settled:
        near, _ = _local(payoffs, x)
        move = _response(near, x) - x
        damping = np.where(move * last < 0, 0.5 * damping, np.minimum(1.0, 1.5 * damping))
        x, last, steps = x + damping * move, move, steps + 1
        if np.abs(move).max() > SETTLED:
            continue
        payoff, gain, better = _deviations(payoffs, x)
        steps += 1
        settled = bool((gain <= np.asarray(slack)).all())
        if not settled:
            x, last = np.where(gain == gain.max(), better, x), np.zeros(m)
    payoff, gain, _ = _deviations(payoffs, x)
    return Intensities(x, payoff, gain, steps, settled, start)


def _response(near: _Local, x: NDArray) -> NDArray:
    """The maximum over [0, 1] of the parabolas [m]."""
    curved = near.curvature < 0
    top = x - np.divide(near.slope, near.curvature, out=np.zeros_like(x), where=curved)
    middle = near.slope + near.curvature * (0.5 - x)
    return np.where(curved, np.clip(top, 0, 1), (middle >= 0).astype(float))


def _local(payoffs: Payoffs, x: NDArray, weight: NDArray | None = None) -> tuple[_Local, float]:
    """Slopes and curvatures of own payoffs, or of their weighted sum, and that sum at x.

    Differences are taken about the nearest place at which both sides are inside [0, 1], and carried to x by the curvature.
    """
    m = len(x)
    centre = np.clip(x, STEP, 1 - STEP)
    points = np.repeat(x[:, None], 3 * m + 1, axis=1)
    for side, shift in enumerate((-STEP, 0.0, STEP)):
        points[np.arange(m), side * m + np.arange(m)] = centre + shift
    values = payoffs(points)
    sums = values if weight is None else np.tile(weight @ values, (m, 1))
    low, mid, high = (sums[np.arange(m), side * m + np.arange(m)] for side in range(3))
    curvature = (high - 2 * mid + low) / STEP**2
    slope = (high - low) / (2 * STEP) + curvature * (x - centre)
    return _Local(slope, curvature), float(sums[0, -1])


def _deviations(payoffs: Payoffs, x: NDArray, together: bool = False) -> tuple[NDArray, NDArray, NDArray]:
    """Payoffs at x, and the most that each member (or all together) gains by its moving on `GRID`, and where to [m]."""
    m, n = len(x), len(GRID)
    points = np.repeat(x[:, None], m * n + 1, axis=1)
    for k in range(m):
        points[k, k * n : (k + 1) * n] = GRID
    values = payoffs(points)
    at = values[:, -1]
    sums = np.tile(values.sum(axis=0), (m, 1)) if together else values
    tried = np.stack([sums[k, k * n : (k + 1) * n] - sums[k, -1] for k in range(m)])
    best = tried.argmax(axis=1)
    gain = np.maximum(tried[np.arange(m), best], 0.0)
    return at, gain, np.where(gain > 0, GRID[best], x)


def _together(payoffs: Payoffs, m: int, start: float, slack: ArrayLike) -> Intensities:
    ones, calls = np.ones(m), [0]
    scale = float(np.abs(payoffs(np.stack([np.zeros(m), ones], axis=1))).max()) or 1.0

    def loss(x: NDArray) -> tuple[float, NDArray]:
        calls[0] += 1
        near, total = _local(payoffs, x, ones)
        return -total / scale, -near.slope / scale

    x, settled, rounds = np.full(m, start), False, 0
    while not settled and rounds < 4:
        solved = minimize(
            loss, x, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * m, options={"maxiter": MOST_STEPS}
        )
        x, rounds = np.clip(solved.x, 0, 1), rounds + 1
        payoff, gain, better = _deviations(payoffs, x, together=True)
        settled = bool((gain <= np.asarray(slack)).all())
        if not settled:
            x = np.where(gain == gain.max(), better, x)
    payoff, gain, _ = _deviations(payoffs, x, together=True)
    return Intensities(x, payoff, gain, calls[0], settled, start)
