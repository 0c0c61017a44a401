"""One exit after another: best responses from a coalition that some members have left, and for which λ they end where.

Gains from keeping are those of `detente.game`, where coalitions are bit masks. Only strict gains move anybody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detente.errors import InputError
from detente.game import Effects, bits, gain, without_rounding

NARROW = 1e-12  # pieces of λ no wider than this part of λ are rounding: two break points that are one


@dataclass(frozen=True)
class Rules:
    """How a cascade goes on.

    exits: who has left for good, whatever its payoff. at_once: all who gain move in the same step; else only the one
    that gains most, of several the first. re_entry: outsiders come back where they gain, but for `exits`. start: the
    coalition before the exits, all members where it is None.
    """

    exits: tuple[int, ...] = ()
    at_once: bool = False
    re_entry: bool = False
    start: int | None = None


PLAIN = Rules()


@dataclass(frozen=True)
class Cascade:
    """The course of a cascade.

    order: members in the order in which they leave, the given exits first; with re-entry one may leave twice. steps:
    who changes sides in each step. visited: the coalition after the exits and after each step. end: the coalition in
    which nobody moves, None where there is none. cycle: the coalitions that then follow each other for ever.
    """

    order: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]
    visited: tuple[int, ...]
    end: int | None
    cycle: tuple[int, ...] = field(default=())

    @property
    def remaining(self) -> int | None:
        """How many members keep in the end; None where there is no end."""
        return None if self.end is None else self.end.bit_count()


class Piece(NamedTuple):
    """A cascade and the open interval of λ on which it is this one."""

    low: float
    high: float
    cascade: Cascade


def cascade(gains: NDArray, rules: Rules = PLAIN) -> Cascade:
    """Best responses under `rules`, from gains [m, 2^m] as `game.gain` gives.

    Ends after at most m steps without re-entry. With it, a coalition met again is a cycle: who moves depends on the
    coalition alone. Raises `InputError` for an exit that is no member of the start.
    """
    return _follow(lambda coalition: gains[:, coalition], len(gains), rules)


def cascades(found: Effects, worths: ArrayLike, rules: Rules = PLAIN) -> list[Cascade]:
    """One cascade for each λ of a grid, common to all members [L] or by member [m, L].

    Raises as `cascade` and `game.gain`.
    """
    m = len(found.own)
    grid = np.asarray(worths, float)
    grid = np.tile(grid, (m, 1)) if grid.ndim <= 1 else grid
    return [cascade(gain(found, worth), rules) for worth in grid.T]


def next_to_leave(gains: NDArray) -> tuple[int | None, ...]:
    """Who leaves next after member k alone has left the full coalition, for each k; None where all others stay."""
    after = [cascade(gains, Rules(exits=(k,))).order[1:2] for k in range(len(gains))]
    return tuple(order[0] if order else None for order in after)


def pieces(
    found: Effects, rules: Rules = PLAIN, scale: ArrayLike = 1.0, within: tuple[float, float] = (0.0, np.inf)
) -> list[Piece]:
    """The cascade as a function of λ, exactly: its pieces in ascending order, with λ_i = λ scale_i.

    scale: 1 for a λ common to all, or by member [m]; with the break-evens of the full coalition, λ is 1 + slack.
    within: the range of λ looked at. Break points are break-even λs, and λs at which two members gain the same by
    moving: only there can the course change. Between two of those of the coalitions visited it cannot, so that one
    cascade settles a whole interval. Raises as `cascade`, and for an empty range.
    """
    low, high = within
    if not (np.isfinite(low) and low < high):
        raise InputError(f"`within` is {list(within)}; expected a finite number and a larger one.")
    lines = _scaled(found, scale)
    todo, done = [(float(low), float(high))], []
    while todo:
        low, high = todo.pop()
        if low == high or (np.isfinite(high) and high - low <= NARROW * max(abs(low), abs(high))):
            continue
        probe = (low + high) / 2 if np.isfinite(high) else 2 * abs(low) + 1
        course = _follow(partial(_at, lines, probe), len(lines.own), rules)
        breaks = _breaks(lines, course, rules)
        near = np.abs(breaks - probe) <= NARROW / 4 * abs(probe)
        start = max(breaks[(breaks < probe) | near].max(initial=low), low)
        end = min(breaks[(breaks > probe) | near].min(initial=high), high)
        if not near.any():
            done.append(Piece(float(start), float(end), course))
        todo += [(low, float(start)), (float(end), high)]
    return _joined(sorted(done, key=lambda piece: piece.low))


def _scaled(found: Effects, scale: ArrayLike) -> Effects:
    factor = np.asarray(scale, float)
    if factor.shape not in ((), (len(found.own),)) or not np.isfinite(factor).all():
        raise InputError(
            f"`scale` is {factor.tolist()}; expected one finite number, or {len(found.own)} of them."
        )
    return Effects(found.own, (factor * found.hurt.T).T)


def thresholds(found: Sequence[Piece]) -> list[float]:
    """The λ between two pieces that end in different coalitions, in ascending order."""
    return [after.low for before, after in pairwise(found) if _destiny(before) != _destiny(after)]


def _destiny(piece: Piece) -> tuple[int | None, frozenset[int]]:
    return piece.cascade.end, frozenset(piece.cascade.cycle)


def _joined(found: list[Piece]) -> list[Piece]:
    """Neighbours with the same course made one."""
    joined: list[Piece] = []
    for piece in found:
        if joined and joined[-1].cascade == piece.cascade:
            joined[-1] = joined[-1]._replace(high=piece.high)
        else:
            joined.append(piece)
    return joined


def _at(lines: Effects, worth: float, coalition: int) -> NDArray:
    return without_rounding(lines.own[:, coalition], worth * lines.hurt[:, coalition])


def _inside(coalition: int, m: int) -> NDArray:
    return (coalition >> np.arange(m) & 1).astype(bool)


def _movable(coalition: int, m: int, rules: Rules) -> NDArray:
    """Who may change sides [m]."""
    free = ~np.isin(np.arange(m), rules.exits)
    return free if rules.re_entry else free & _inside(coalition, m)


def _movers(gains: NDArray, coalition: int, rules: Rules) -> tuple[int, ...]:
    """Who changes sides at a coalition, by gains from keeping [m]."""
    m = len(gains)
    benefit = np.where(_inside(coalition, m), -gains, gains)
    benefit = np.where(_movable(coalition, m, rules), benefit, 0.0)
    if rules.at_once:
        return tuple(np.flatnonzero(benefit > 0).tolist())
    best = int(benefit.argmax())
    return (best,) if benefit[best] > 0 else ()


def _follow(at: Callable[[int], NDArray], m: int, rules: Rules) -> Cascade:
    """The course under gains `at` a coalition."""
    here = 2**m - 1 if rules.start is None else rules.start
    for k in rules.exits:
        if not (0 <= k < m and here >> k & 1):
            raise InputError(f"Member {k} cannot leave: the coalition has members {list(bits(here))}.")
        here &= ~(1 << k)
    order, steps, visited = list(rules.exits), [], [here]
    while moved := _movers(at(here), here, rules):
        order += [k for k in moved if here >> k & 1]
        here ^= sum(1 << k for k in moved)
        steps.append(moved)
        if here in visited:
            cycle = tuple(visited[visited.index(here) :])
            return Cascade(tuple(order), tuple(steps), (*visited, here), None, cycle)
        visited.append(here)
    return Cascade(tuple(order), tuple(steps), tuple(visited), here)


def _breaks(lines: Effects, course: Cascade, rules: Rules) -> NDArray:
    """All λ at which somebody at a coalition of the course becomes indifferent, or gains as much as the one that moved."""
    found = []
    for place, coalition in enumerate(course.visited):
        m = len(lines.own)
        may = np.flatnonzero(_movable(coalition, m, rules))
        sign = np.where(_inside(coalition, m), -1.0, 1.0)[may]
        level, slope = sign * lines.own[may, coalition], sign * lines.hurt[may, coalition]
        found.append(_roots(level, slope))
        if place < len(course.steps) and not rules.at_once:
            mover = np.flatnonzero(may == course.steps[place][0])
            found.append(_roots(level - level[mover], slope - slope[mover]))
    return np.concatenate(found)


def _roots(level: NDArray, slope: NDArray) -> NDArray:
    return -level[slope != 0] / slope[slope != 0]
