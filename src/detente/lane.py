"""How the years of paths are solved: side by side, each beginning where the last one ended.

Where all paths fit into one frame, only what measures touch is worked out (`detente.cells`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detente.batch import COUNTRY, Equilibria, solve_many, solve_ready
from detente.cells import Frame, frame, sheet
from detente.economy import Economy
from detente.errors import DetenteError
from detente.response import Preconditioner
from detente.shock import Shock
from detente.stack import Shape, Stack
from detente.system import Point

OWN = ("endowment", "claims", "transfer")  # of each path, though all may have the same in a year
POINT = ("wage_change", "price_change", "spending")  # what a year's search may begin with in the next


class Lane:
    """The quick way through the years: the frame of all paths, and where the last year ended."""

    def __init__(self, frame: Frame, made: Preconditioner):
        self.frame, self.made = frame, made
        economy = frame.economies[0]
        stuck = economy.factor_mobility is not None or economy.resource_share is not None
        self.ongoing = economy.use_share is None and not stuck  # then prices and spending are a point
        self.last: dict[str, NDArray] | None = None

    def solve(
        self, year: int, pairs: Sequence[tuple[Economy, Shock]], how: tuple[float, int, tuple[int, ...]]
    ) -> Equilibria:
        """A year of all paths."""

        def stack_of(places: Sequence[int]) -> Stack:
            return self.frame.stack([pairs[p][1] for p in places], year, places)

        names = (*COUNTRY, *POINT[1:])
        found = solve_ready(
            pairs,
            stack_of,
            self.made,
            names=names,
            tolerance=how[0],
            block=how[1],
            begin=self._begin(len(pairs)),
        )
        self.last = found.values
        return found

    def _begin(self, paths: int) -> Point | None:
        """Where the last year ended, the baseline where there is none, with the path on the last axis."""
        if not self.ongoing:
            return None
        n, s = self.frame.economies[0].spending.shape
        base = np.zeros((n, 1)), np.zeros((n, s, 1)), np.asarray(self.frame.economies[0].spending)[..., None]
        if self.last is None:
            return tuple(np.repeat(each, paths, axis=-1) for each in base)  # pyright: ignore[reportReturnType]
        wage, price, spending = (self.last[name] for name in POINT)
        there = np.isfinite(wage).all(axis=0)
        ends = np.log(wage), np.log(price), spending
        return tuple(np.where(there, x, b) for x, b in zip(ends, base, strict=True))  # pyright: ignore[reportReturnType]


def lane_of(
    economies: Sequence[Economy],
    shocks: Sequence[Sequence[Shock]],
    apart: tuple[int, ...],
    made: Preconditioner,
) -> Lane | None:
    """The lane of paths with these shocks [path][year], whose trade differs at the countries `apart`.

    None where paths do not fit into one frame, or some year is refused: `solve_many` says why."""
    try:
        sheets = [sheet(economy, path) for economy, path in zip(economies, shocks, strict=True)]
    except DetenteError:
        return None
    made_frame = frame(economies, sheets, Shape(apart, OWN))
    return None if made_frame is None else Lane(made_frame, made)


def solve_year(
    where: tuple[Sequence[Economy], Lane | None],
    how: tuple[float, int, tuple[int, ...]],
    year: int,
    shocks: Sequence[Shock],
    names: Sequence[str],
) -> Equilibria:
    """A year of all paths, on the lane where there is one."""
    pairs, lane = list(zip(where[0], shocks, strict=True)), where[1]
    if lane is not None:
        return lane.solve(year, pairs, how)
    shape = Shape(how[2], OWN)
    return solve_many(pairs[0][0], pairs, names=names, tolerance=how[0], block=how[1], shape=shape)
