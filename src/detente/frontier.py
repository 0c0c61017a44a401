"""The most pressure for each cost: cuts that no others beat, found by their slopes.

At a price μ, in dollars of the target's loss that a dollar of own cost must bring, the cuts minimise −loss + μ · cost
within their bounds (L-BFGS-B: Byrd, Lu, Nocedal & Zhu 1995, SIAM Journal on Scientific Computing 16:5). The minima at
falling prices trace the frontier as far as it is concave; where it is not, they jump. Loss and cost are not concave in
cuts, so a minimum may be local: each price begins from several starts, the best of all that was found for any price
counts, and the spread of the starts is told.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize

from detente.design import Point, Task, point, slopes, weighed
from detente.errors import InputError

LEAPS, STEPS, CLOSE = 4, 40, 1e-6  # of a descent, and its gain at which it ends, of the sum of all slopes
SMALLEST = 1e-9  # of the largest slope: instruments below it are scaled as if they had this one
HALVINGS = 8  # of the bracket of prices around a budget
NEAR = 1e-3  # of the budget, from which it is spent on the way to the dearer point, and of the bracket
CURVE = 13  # points of a rule of thumb
BUDGET = 1e-4  # of a budget, to which it is met

Rule = Callable[[float], NDArray]


class Best(NamedTuple):
    """The best cuts found at a price. spread: by how much the worst start fell short, in dollars of loss."""

    price: float
    point: Point
    spread: float
    starts: int


@dataclass(frozen=True)
class Frontier:
    """Best cuts by falling price, after the slopes [instrument] of loss and cost at no cuts; descents: how many."""

    loss_slope: NDArray
    cost_slope: NDArray
    points: tuple[Best, ...]
    descents: int


def frontier(
    of: Task,
    points: int = 9,
    starts: int = 3,
    seed: int = 0,
    progress: Callable[[str], None] = lambda text: None,
) -> Frontier:
    """The frontier at prices that spread its points evenly over own cost, to first order; the last price is nil.

    starts: descents at each price: from the point before, from the first-order ranking, from half of all, then from
    cuts at random. progress is told what is being sought. Raises `InputError` for fewer than 2 points or 1 start, and
    what `solve` raises.
    """
    if points < 2 or starts < 1:
        raise InputError(f"A frontier needs at least 2 points and 1 start; got {points} and {starts}.")
    loss, cost = slopes(of, np.zeros(of.count))
    draw = np.random.default_rng(seed)
    before, found, ends = np.zeros(of.count), [], []
    prices = spaced(loss, cost, points)
    for k, price in enumerate(prices):
        progress(f"Point {k + 1} of {points} of the frontier")
        ranked = np.where(loss > price * cost, of.most, 0.0)
        begins = [before, ranked, np.full(of.count, of.most / 2)]
        begins += [draw.uniform(0, of.most, of.count) for _ in range(starts - len(begins))]
        ends.append([descend(of, price, begin, (loss, cost)) for begin in begins[:starts]])
        before = min(ends[-1], key=lambda each: _worth(each, price)).cuts
    pool = [each for group in ends for each in group]
    for price, group in zip(prices, ends, strict=True):
        best = min(pool, key=lambda each: _worth(each, price))
        worst = max(_worth(each, price) for each in group)
        found.append(Best(price, best, worst - _worth(best, price), len(group)))
    return Frontier(loss, cost, tuple(found), len(pool))


def _worth(at: Point, price: float) -> float:
    return -at.loss + price * at.cost


def spaced(loss: NDArray, cost: NDArray, points: int) -> list[float]:
    """Falling prices at which cuts, taken in the order of loss for cost, add up to even parts of all cost; then 0."""
    paying = (cost > 0) & (loss > 0)
    if not paying.any():
        return list(np.geomspace(1, 1e-3, points - 1)) + [0.0]
    ratio = loss[paying] / cost[paying]
    order = np.argsort(-ratio)
    reached = np.cumsum(cost[paying][order]) / cost[paying].sum()
    at = np.searchsorted(reached, np.arange(1, points) / points)
    return [*ratio[order][at], 0.0]


def descend(of: Task, price: float, begin: NDArray, first: tuple[NDArray, NDArray]) -> Point:
    """A local minimum of −loss + price · cost from some cuts. first: slopes of loss and cost that scale the cuts.

    The problem is nearly linear: leaps to the corner that the slopes point to go first, as long as they gain. In
    y = x √|slope| all cuts would then reach their bounds in the same step.
    """
    size = abs(first[0]) + price * abs(first[1])
    size = np.maximum(size, SMALLEST * size.max())
    whole = of.most * size.sum()
    scale = np.sqrt(of.most * whole / size)

    def value(cuts: NDArray) -> tuple[float, NDArray]:
        nonlocal best
        at, by = weighed(of, cuts, -1.0, price)
        best = min(best or at, at, key=lambda each: _worth(each, price))
        return _worth(at, price) / whole, by / whole

    best: Point | None = None
    worth, by = value(np.clip(begin, 0.0, of.most))
    for _ in range(LEAPS):
        before = worth
        worth, by = value(np.where(by < 0, of.most, 0.0))
        if worth > before - CLOSE:
            break
    assert best is not None

    def scaled(y: NDArray) -> tuple[float, NDArray]:
        worth, by = value(np.clip(y * scale, 0.0, of.most))
        return worth, by * scale

    bounds = list(zip(np.zeros(of.count), of.most / scale, strict=True))
    options = {"maxiter": STEPS, "ftol": CLOSE, "gtol": CLOSE, "maxls": 10}
    minimize(scaled, best.cuts / scale, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return best


# A budget ---------------------------------------------------------------------------------------------------


def within(of: Task, known: Frontier, budget: float) -> Point:
    """The most pressure found for an own cost of at most `budget`; less is spent where more would bring nothing.

    The price is bisected between the points of the frontier around the budget; what is left of the budget is spent on
    the way to the next dearer point. Raises `InputError` for a negative budget.
    """
    if not budget >= 0:
        raise InputError(f"The budget is {budget:g}; expected at least 0.")
    none = Point(np.zeros(of.count), 0.0, 0.0, np.zeros(len(of.senders)))
    within = [each for each in known.points if each.point.cost <= budget]
    low = max([none, *(each.point for each in within)], key=lambda each: each.loss)
    beyond = [each for each in known.points if each.point.cost > budget and each.point.loss > low.loss]
    if not beyond:
        return low
    dear = min(beyond, key=lambda each: each.point.cost)
    high, bottom = dear.point, dear.price
    top = min([each.price for each in within if each.price > bottom], default=2 * bottom)
    for _ in range(HALVINGS):
        if low.cost >= budget * (1 - NEAR) or top - bottom <= NEAR * top:
            break
        price = 0.5 * (top + bottom)
        found = descend(of, price, low.cuts, (known.loss_slope, known.cost_slope))
        if found.cost <= budget:
            low, top = max(low, found, key=lambda each: each.loss), price
        else:
            high, bottom = min(high, found, key=lambda each: each.cost), price
    return _between(of, low, high, budget)


def _between(of: Task, low: Point, high: Point, budget: float) -> Point:
    """The point on the straight way from one within the budget to one beyond it that spends it, if it presses more."""

    def on_way(share: float) -> Point:
        return point(of, low.cuts + share * (high.cuts - low.cuts))

    return max(low, _spent(on_way, budget, 0.0, 1.0), key=lambda each: each.loss)


def _spent(path: Callable[[float], Point], budget: float, low: float, high: float) -> Point:
    """The point of a path between one place within the budget and one beyond it that costs it, and never more."""
    seen: list[Point] = []

    def over(place: float) -> float:
        seen.append(path(place))
        return seen[-1].cost - budget * (1 - BUDGET / 2)

    if over(low) < 0 < over(high):
        brentq(over, low, high, xtol=1e-12, maxiter=60, disp=False)
    return max((each for each in seen if each.cost <= budget), key=lambda each: each.loss, default=seen[0])


# Rules of thumb ---------------------------------------------------------------------------------------------


def uniform(of: Task) -> Rule:
    """The same cut everywhere: share of the largest → cuts [instrument]."""
    return lambda share: np.full(of.count, of.most * share)


def proportional(of: Task) -> Rule:
    """Cuts in proportion to trade, as far as the largest cut allows."""
    part = of.flows.value / of.flows.value.max()
    return lambda share: of.most * np.minimum(1.0, part * share / max(1.0 - share, 1e-6))


def curve(of: Task, rule: Rule) -> tuple[tuple[float, Point], ...]:
    """Points of a rule of thumb from nothing to all."""
    return tuple((float(share), point(of, rule(share))) for share in np.linspace(0, 1, CURVE))


def at_cost(of: Task, rule: Rule, along: Sequence[tuple[float, Point]], cost: float) -> Point | None:
    """What a rule of thumb achieves for at most this cost; None where it always costs more. along: its `curve`."""
    places = [k for k, (_, each) in enumerate(along) if each.cost <= cost]
    if not places:
        return None
    last = places[-1]
    best = max((along[k][1] for k in places), key=lambda each: each.loss)
    if last == len(along) - 1:
        return best
    spent = _spent(lambda share: point(of, rule(share)), cost, along[last][0], along[last + 1][0])
    return max(best, spent, key=lambda each: each.loss)
