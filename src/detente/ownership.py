"""Capital that belongs to others, year by year: bans on investment, forced exits, blocked dividends, and the way back.

All is by owner and host [owner, host], relative to the baseline's stock: f = 1 is the part of the host's capital that the
owner had. Per year, with x the part sold, δ the host's depreciation and h the half-life of the return,

    under a ban       f' = (1−δ)(1−x) f;  what the owner does not replace, δ(1−x) f, is missing in the host's investment
    after relief      f' = f + (1 − 2^(−1/h)) (f* − f);  what comes back is investment in the host, or bought back
    what owners get   C f (1 − blocked) of the host's factor income, C that of the baseline

f* is f at relief and, of what was lost, the share of firms that go in again (`detente.entry`). A sale moves the stock to
the host for a part of its value, and a part of the capital that its owner has left is lost. Everything sums to zero over
the world: what the host does not get for investment its owner invests at home.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detente.entry import returned
from detente.errors import InputError


@dataclass(frozen=True)
class Holdings:
    """Who owns what at the baseline.

    claims [owner, host]: part of the host's factor income that is due to the owner; stock [owner, host]: value of the
    capital, world factor income; capital [country]: value of a host's whole capital, in the same unit; depreciation
    [country]: δ a year. Raises `InputError` where others own more than there is.
    """

    claims: NDArray
    stock: NDArray
    capital: NDArray
    depreciation: NDArray

    def __post_init__(self):
        part = self.stock.sum(axis=0) / self.capital
        if not (part <= 1).all():
            host = int(np.argmax(~(part <= 1)))
            raise InputError(
                f"Others own {part[host]:.0%} of the capital of host {host}; expected at most all of it. Look at the "
                "stocks of conduits, which pass on what others own."
            )


@dataclass(frozen=True)
class Treatment:
    """What happens to foreign capital in one year, each [owner, host] or a number.

    banned: no new investment (true or false); sold: part of what is left that is sold in the year; blocked: part of the
    income that stays with the host; proceeds: what the seller gets, as a part of value; stranded: part of the capital
    sold that is lost; half_life: years in which half of what returns is back; returning: share of what was lost that
    returns in the end; bought_back: whether it is bought from the host at `proceeds` instead of built anew.
    """

    banned: ArrayLike = False
    sold: ArrayLike = 0.0
    blocked: ArrayLike = 0.0
    proceeds: float = 1.0
    stranded: float = 0.0
    half_life: float = 3.0
    returning: ArrayLike = 1.0
    bought_back: bool = False


class Owned(NamedTuple):
    """What follows for one year: left [owner, host] (f at its beginning), claims [owner, host]; transfer, inflow and
    scrapped [country] as in `dynamics.Year` (what is scrapped is lost before the year begins)."""

    left: NDArray
    claims: NDArray
    transfer: NDArray
    inflow: NDArray
    scrapped: NDArray


@dataclass
class _State:
    """Where a path stands: f, f* while it returns, what the last year's sales strand, and where owners cannot return."""

    left: NDArray
    goal: NDArray
    stranded: NDArray
    shut: NDArray


def owned(holdings: Holdings, treatments: list[Treatment]) -> list[Owned]:
    """Foreign capital along a path, one `Treatment` a year. Raises `InputError` for a share outside [0, 1]."""
    shape = holdings.stock.shape
    state = _State(np.ones(shape), np.ones(shape), np.zeros(shape[0]), np.zeros(shape, bool))
    return [_year(holdings, treatment, state) for treatment in treatments]


def _year(holdings: Holdings, given: Treatment, state: _State) -> Owned:
    shape, stock = holdings.stock.shape, holdings.stock
    banned = np.broadcast_to(np.asarray(given.banned, bool), shape)
    sold, blocked, returning = (
        np.broadcast_to(_share(name, getattr(given, name)), shape)
        for name in ("sold", "blocked", "returning")
    )
    f, scrapped = state.left, state.stranded
    shut = banned | (sold > 0)
    freed = state.shut & ~shut
    state.goal = np.where(freed, f + returning * (1 - f), state.goal)
    quick = returned(1.0, given.half_life)
    gone = sold * f
    kept = f - gone
    lost = np.where(banned, holdings.depreciation[None, :] * kept, 0.0)
    back = np.where(shut, 0.0, quick * np.maximum(state.goal - kept, 0.0))
    built, bought = (0.0 * back, back) if given.bought_back else (back, 0.0 * back)
    state.left, state.shut = kept - lost + back, shut
    state.stranded = given.stranded * (stock * gone).sum(axis=0) / holdings.capital
    return Owned(
        left=f,
        claims=holdings.claims * f * (1 - blocked),
        transfer=_to_host(stock * given.proceeds * (bought - gone)),
        inflow=_to_host(stock * (built - lost)),
        scrapped=scrapped,
    )


def _to_host(amount: NDArray) -> NDArray:
    """What hosts get and owners give [country], for amounts [owner, host]."""
    return amount.sum(axis=0) - amount.sum(axis=1)


def _share(name: str, given: ArrayLike) -> NDArray:
    values = np.asarray(given, float)
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError(
            f"`{name}` holds {values.ravel()[np.argmax(~((values >= 0) & (values <= 1)))]:g}; expected shares from 0 to 1."
        )
    return values
