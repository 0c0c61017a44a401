"""Draws of parameters from their ranges, bands of what comes out of them, and a ranking of what drives it.

Nothing here solves a model: a draw is a row of numbers, and a result is any array with a value for each draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detente.errors import InputError, unknown_name
from detente.ranges import Ranges

if TYPE_CHECKING:
    from pandas import DataFrame

METHODS = LATIN, SOBOL, SALTELLI = ("latin-hypercube", "sobol", "saltelli")
LEVELS = (5.0, 25.0, 50.0, 75.0, 95.0)
CONFIDENCE, RESAMPLES = 0.95, 200


@dataclass(frozen=True)
class Draws:
    """Draws of parameters. names [parameter]; values [draw, parameter]; seed and method: what they follow from.

    asked: the number asked for, of draws or for `saltelli` of base points. note: what became of it, where that differs.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64] = field(repr=False)
    asked: int
    seed: int
    method: str
    note: str = ""

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, draw: int) -> dict[str, float]:
        """One draw: {parameter: value}."""
        return dict(zip(self.names, self.values[draw].tolist(), strict=True))

    @property
    def points(self) -> int:
        """Base points: for `saltelli`, draws ÷ (parameters + 2), else draws."""
        return len(self) // (len(self.names) + 2) if self.method == SALTELLI else len(self)

    def frame(self) -> "DataFrame":
        """The draws as a table, a row a draw, a column a parameter."""
        from pandas import DataFrame

        return DataFrame(self.values, columns=list(self.names)).rename_axis(index="draw")


class Driver(NamedTuple):
    """What a parameter does to the variance of a result, as shares of it, each ± half its 95 % confidence interval.

    first: what would go on average if the parameter were known (S_i); total: what would remain on average if all others
    were known (S_Ti), interactions included.
    """

    name: str
    first: float
    first_confidence: float
    total: float
    total_confidence: float


@dataclass(frozen=True)
class Ranking:
    """Drivers, the largest total share first. points: base points used; left_out: those with a draw without a value."""

    drivers: tuple[Driver, ...]
    points: int
    left_out: int

    def __getitem__(self, name: str) -> Driver:
        """The driver of that name. Raises `InputError` for another."""
        found = {driver.name: driver for driver in self.drivers}
        if name not in found:
            raise unknown_name("driver", name, found)
        return found[name]


def draw(ranges: Ranges, n: int, seed: int = 0, method: str = LATIN) -> Draws:
    """`n` draws of the parameters that `ranges` has to draw; the same for the same ranges, n, seed and method.

    latin-hypercube: every n-th part of every range once (McKay, Beckman & Conover 1979); sobol: a scrambled Sobol sequence
    (Owen 1998), its length the next power of two, which `note` tells; saltelli: the design for `ranking`, n base points
    (the next power of two) times parameters + 2 draws (Saltelli et al. 2010), by SALib.
    Raises `InputError` for another method, a number that is not whole and positive, and without SALib where it is needed.
    """
    if method not in METHODS:
        raise unknown_name("method of drawing", method, METHODS)
    for what, value, least in (("number of draws", n, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise InputError(f"The {what} is {value!r}; expected a whole number of at least {least}.")
    generator, k = np.random.default_rng(int(seed)), len(ranges.drawn)
    power = 1 << (int(n) - 1).bit_length()
    if method == LATIN:
        from scipy.stats import qmc

        made = qmc.LatinHypercube(k, seed=generator)  # pyright: ignore[reportCallIssue]  (`rng` since SciPy 1.15)
        unit = made.random(int(n))
    elif method == SOBOL:
        from scipy.stats import qmc

        made = qmc.Sobol(k, scramble=True, seed=generator)  # pyright: ignore[reportCallIssue]
        unit = made.random(power)
    else:
        unit = _salib().sample.sobol.sample(
            _problem(ranges.drawn), power, calc_second_order=False, seed=generator
        )
    what = "base points" if method == SALTELLI else "draws"
    note = (
        ""
        if method == LATIN or power == n
        else f"{power} {what} for {n} asked for: a Sobol sequence takes a power of two."
    )
    return Draws(ranges.drawn, ranges.quantiles(unit), int(n), int(seed), method, note)


def bands(values: ArrayLike, levels: Sequence[float] = LEVELS) -> NDArray[np.float64]:
    """Percentiles over draws [level, …] of `values` [draw, …], linear between order statistics (Hyndman & Fan 1996, no. 7).

    Raises `InputError` for a value that is not finite (its draw is named) and a level outside 0 to 100.
    """
    found = np.asarray(values, float)
    if found.ndim == 0 or len(found) == 0:
        raise InputError(f"Bands need a value for each draw; the shape given is {found.shape}.")
    bad = ~np.isfinite(found).reshape(len(found), -1).all(axis=1)
    if bad.any():
        raise InputError(
            f"{bad.sum()} of {len(found)} draws have a value that is not finite, the first draw {int(bad.argmax())}. "
            "Leave these draws out, and say how many they are."
        )
    if not all(0 <= level <= 100 for level in levels):
        raise InputError(f"The levels are {list(levels)}; expected percentages from 0 to 100.")
    return np.percentile(found, list(levels), axis=0)


def ranking(draws: Draws, values: ArrayLike) -> Ranking:
    """What drives a result: first-order and total indices of Sobol (2001), estimated after Saltelli et al. (2010) by SALib.

    draws: by the method `saltelli`; values [draw]: NaN where there is none, and its whole base point is left out.
    Confidence intervals are from 200 resamples of the base points, with the seed of the draws. Raises `InputError` for
    draws by another method, another number of values, infinite or equal ones, and too few base points to resample.
    """
    if draws.method != SALTELLI:
        raise InputError(f"A ranking needs draws by the method `{SALTELLI}`; these are by `{draws.method}`.")
    found = np.asarray(values, float)
    if found.shape != (len(draws),):
        raise InputError(f"The values have shape {found.shape}; expected one for each draw, {(len(draws),)}.")
    if np.isinf(found).any():
        raise InputError(
            f"The value of draw {int(np.isinf(found).argmax())} is infinite; expected a number, or NaN."
        )
    blocks = found.reshape(draws.points, -1)
    whole = ~np.isnan(blocks).any(axis=1)
    used = blocks[whole].ravel()
    if whole.sum() < 2:
        raise InputError(
            f"{whole.sum()} of {draws.points} base points have all their values; expected at least 2."
        )
    if np.ptp(used) == 0:
        raise InputError(f"The result is {used[0]:g} in every draw: nothing drives it.")
    result = _salib().analyze.sobol.analyze(
        _problem(draws.names),
        used,
        calc_second_order=False,
        num_resamples=RESAMPLES,
        conf_level=CONFIDENCE,
        seed=np.random.default_rng(draws.seed),
    )
    columns = (result[key].tolist() for key in ("S1", "S1_conf", "ST", "ST_conf"))
    drivers = [Driver(*row) for row in zip(draws.names, *columns, strict=True)]
    drivers.sort(key=lambda driver: -driver.total)
    return Ranking(tuple(drivers), int(whole.sum()), int((~whole).sum()))


def _problem(names: Sequence[str]) -> dict:
    """The unit cube, as SALib wants it told: indices do not change when a parameter is measured by its quantiles."""
    return {"num_vars": len(names), "names": list(names), "bounds": [[0.0, 1.0]] * len(names)}


def _salib():
    try:
        import SALib
        import SALib.analyze.sobol
        import SALib.sample.sobol
    except ImportError:
        raise InputError(
            "A ranking of what drives the uncertainty needs SALib. Install it with `pip install 'detente[sweep]'`, or draw "
            f"by `{LATIN}`, which gives bands without a ranking."
        ) from None
    return SALib
