"""Who bears a coalition's cost, and transfers that change it: an equal burden, or one under which nobody leaves.

Transfers are money added to welfare as the tables of `detente.game` have it. What they do to trade and prices is not
in them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog

from detente.errors import ConvergenceError, InputError
from detente.game import bits

NIL = 1e-9  # of the largest gain: what the linear program's arithmetic leaves of a missing sum of zero
TIGHT = {
    "primal_feasibility_tolerance": 1e-10,
    "dual_feasibility_tolerance": 1e-10,
}  # the least that HiGHS takes


@dataclass(frozen=True)
class Transfers:
    """The cheapest transfers that keep every member of a coalition in, or what is missing for it.

    feasible: whether the coalition can pay by itself. transfers: received, negative for paid [m], 0 outside the
    coalition; where it is not feasible they need `missing` from outside and add up to that, else to 0. gross: the sum
    of what is received. missing: the least money from outside. surplus: each member's gain from keeping with them [m],
    NaN outside.
    """

    feasible: bool
    transfers: NDArray
    gross: float
    missing: float
    surplus: NDArray


# An equal burden --------------------------------------------------------------------------------------------


def equal_burden(variation: ArrayLike, income: ArrayLike) -> NDArray:
    """T_i = I_i Σ_j EV_j/Σ_j I_j − EV_i: what makes (EV_i + T_i)/I_i the same for all, in money [..., m].

    variation: equivalent variation EV [..., m]; income [m], in the same money. Adds up to exactly 0, in any order. The
    rule of Chowdhry, Hinz, Kamin & Wanner (2024, Economic Policy, Brothers in arms), who equalise welfare changes in
    their model; here welfare moves one to one with the transfer. Raises `InputError` for incomes that are not above
    zero.
    """
    ev, money = np.asarray(variation, float), _income(income)
    if ev.shape[-1:] != money.shape or not np.isfinite(ev).all():
        raise InputError(
            f"`variation` is {list(ev.shape)}; expected {len(money)} finite numbers on its last axis, one an income."
        )
    common = ev.sum(axis=-1, keepdims=True) / money.sum()
    return _balanced(common * money - ev)


def _income(income: ArrayLike) -> NDArray:
    money = np.asarray(income, float)
    if money.ndim != 1 or not len(money) or not (np.isfinite(money).all() and (money > 0).all()):
        raise InputError(f"`income` is {money.tolist()}; expected one amount above zero a member.")
    return money


def _balanced(transfers: NDArray) -> NDArray:
    """Rounded to a unit fine enough to be invisible and coarse enough to add up exactly; the largest takes the rest."""
    unit = np.spacing(np.abs(transfers).sum(axis=-1, keepdims=True))
    whole = np.rint(transfers / unit)
    largest = np.abs(whole).argmax(axis=-1)[..., None]
    rest = np.take_along_axis(whole, largest, -1) - whole.sum(axis=-1, keepdims=True)
    np.put_along_axis(whole, largest, rest, -1)
    return whole * unit


# A burden that holds ----------------------------------------------------------------------------------------


def potential_surplus(gains: ArrayLike, coalition: int) -> float:
    """Σ_{i ∈ S} [payoff_i(S) − payoff_i(S ∖ i)], in money: transfers can make S internally stable where it is at least 0.

    gains [m, 2^m] as `game.gain` gives. Potential internal stability (Carraro, Eyckmans & Finus 2006; Eyckmans & Finus
    2004).
    """
    return float(_within(gains, coalition).sum())


def surplus_shares(gains: ArrayLike, coalition: int, share: ArrayLike | None = None) -> NDArray:
    """T_i = share_i Σ_j gain_j − gain_i for i ∈ S: each gets what it would have outside and a share of the surplus; [m].

    share: by member of S, in its order, adding up to one; None for equal ones. Outside S nobody pays or gets. In the
    spirit of the almost ideal sharing scheme (Eyckmans & Finus 2004; Carraro, Eyckmans & Finus 2006). Raises
    `InputError` for shares that are none.
    """
    inside, found = list(bits(coalition)), _within(gains, coalition)
    part = np.full(len(inside), 1 / len(inside)) if share is None else np.asarray(share, float)
    if part.shape != found.shape or not (part >= 0).all() or abs(part.sum() - 1) > NIL:
        raise InputError(
            f"`share` is {part.tolist()}; expected {len(inside)} numbers of at least 0 that add up to 1, for the members "
            f"{inside}."
        )
    out = np.zeros(len(np.asarray(gains)))
    out[inside] = _balanced(part / part.sum() * found.sum() - found)
    return out


def cheapest_transfers(gains: ArrayLike, coalition: int, limit: ArrayLike | None = None) -> Transfers:
    """The transfers with the least gross sum under which no member of the coalition gains by leaving.

    min Σ T⁺ subject to gain_i(S) + T_i ≥ 0, −T_i ≤ limit_i, Σ T_i = 0 over i ∈ S; transfers end for whoever leaves.
    limit: the most that a member pays [m], 0 for one that may not, ∞ or None for no limit. Where nothing satisfies
    this, the least money from outside is found first. Other payers may do as well at the same gross sum. Raises
    `InputError` for an empty coalition or a bad limit, `ConvergenceError` where the linear program fails.
    """
    inside, found = list(bits(coalition)), _within(gains, coalition)
    m = len(np.asarray(gains))
    most = np.full(m, np.inf) if limit is None else np.asarray(limit, float)
    if most.shape != (m,) or not (most >= 0).all():
        raise InputError(
            f"`limit` is {most.tolist()}; expected {m} amounts of at least 0: the most each member pays."
        )
    unit = float(np.abs(found).max()) or 1.0
    received, paid, missing = _programme(found / unit, most[inside] / unit)
    feasible = missing <= NIL
    transfers, surplus = np.zeros(m), np.full(m, np.nan)
    net = unit * (received - paid)
    transfers[inside] = _balanced(net) if feasible else net
    surplus[inside] = found + transfers[inside]
    gross = float(transfers[transfers > 0].sum())
    return Transfers(feasible, transfers, gross, 0.0 if feasible else unit * missing, surplus)


def _within(gains: ArrayLike, coalition: int) -> NDArray:
    """Gains from keeping of a coalition's members, in ascending order."""
    found = np.asarray(gains, float)
    if not 0 < coalition < found.shape[-1]:
        raise InputError(
            f"There is no coalition {coalition} to pay for; expected a bit mask in 1 … {found.shape[-1] - 1}."
        )
    return found[list(bits(coalition)), coalition]


def _programme(found: NDArray, limit: NDArray) -> tuple[NDArray, NDArray, float]:
    """Received, paid and missing, for gains in a unit of order one: first the least missing, then the least received."""
    n = len(found)
    gross, outside = np.repeat([1.0, 0.0], [n, n + 1]), np.repeat([0.0, 1.0], [2 * n, 1])
    stay = np.hstack([-np.eye(n), np.eye(n), np.zeros((n, 1))])
    budget = np.repeat([1.0, -1.0], [n, n])[None, :]
    bounds = [(0, None)] * n + [(0, None if np.isinf(most) else most) for most in limit]
    missing, x = 0.0, np.zeros(2 * n + 1)
    for cost in (outside, gross):
        last = (0, None) if cost is outside else (missing, missing)
        even = np.hstack([budget, [[-1.0]]])
        solved = linprog(cost, stay, found, even, [0.0], [*bounds, last], method="highs-ds", options=TIGHT)
        if solved.status != 0:
            raise ConvergenceError(f"The linear program of transfers was not solved: {solved.message}")
        x = solved.x
        missing = float(x[-1])
    return x[:n], x[n : 2 * n], missing
