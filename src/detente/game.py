"""The game of a sanctions coalition on tables of welfare by coalition: who adds what, and for whom it pays to stay.

m members decide to keep or lift. A coalition is a bit mask in 0 … 2^m − 1: bit k is set where member k keeps. Tables
have the coalition as their last axis, in money, relative to coalition 0, in which nobody sanctions:

    target [2^m]      equivalent variation of the target, negative for a loss
    own [m, 2^m]      equivalent variation of each member, negative for a cost

Member i's payoff at S is own_i(S) − λ_i target(S): λ_i is what a dollar of the target's loss is worth to it. All that
members decide by is two effects of their keeping, given what the others do: on themselves, and on the target. Whoever
is indifferent stays where it is.
"""

from dataclasses import dataclass
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detente.errors import InputError

MOST_MEMBERS = 16  # 65 536 coalitions
ROUNDING = 1e-12  # a sum this small beside its two terms is rounding, and counts as nil


class Effects(NamedTuple):
    """What keeping does, the others given; the same at S with i and at S without.

    own: own_i(S ∪ i) − own_i(S ∖ i) [m, 2^m], negative where keeping costs.
    hurt: target(S ∖ i) − target(S ∪ i) [m, 2^m], positive where keeping hurts the target.
    """

    own: NDArray
    hurt: NDArray


class Interval(NamedTuple):
    """The values of λ at which keeping is rational: least ≤ λ ≤ most [m, 2^m]; none where least > most."""

    least: NDArray
    most: NDArray


@dataclass(frozen=True)
class Efficiency:
    """Who presses the target and who pays, in the full coalition; money.

    pressure: Shapley value of the target's loss [m], adding up to the loss.
    cost: Shapley value of each member's cost by whose keeping it is due to [bearer, cause].
    """

    pressure: NDArray
    cost: NDArray

    @property
    def borne(self) -> NDArray:
        """What each member's own welfare loses in the full coalition [m], whoever is the cause."""
        return self.cost.sum(axis=1)

    @property
    def caused(self) -> NDArray:
        """What each member's keeping costs all members together [m], itself included."""
        return self.cost.sum(axis=0)

    @property
    def borne_per_pressure(self) -> NDArray:
        """Cost borne for a dollar of pressure [m]; not a number where a member exerts none."""
        return _ratio(self.borne, self.pressure)

    @property
    def caused_per_pressure(self) -> NDArray:
        """Cost to all members for a dollar of pressure [m]; not a number where a member exerts none."""
        return _ratio(self.caused, self.pressure)


def _ratio(part: NDArray, whole: NDArray) -> NDArray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


# Coalitions -------------------------------------------------------------------------------------------------


def bits(coalition: int) -> tuple[int, ...]:
    """The members of a coalition in ascending order."""
    return tuple(k for k in range(int(coalition).bit_length()) if coalition >> k & 1)


def membership(m: int) -> NDArray:
    """Whether member k is in coalition S, bool [m, 2^m]."""
    return (np.arange(2**m)[None, :] >> np.arange(m)[:, None] & 1).astype(bool)


def table(values: ArrayLike, name: str = "table") -> NDArray:
    """`values` [..., 2^m] as floats.

    Raises `InputError` for a length that is no 2^m with 1 ≤ m ≤ 16, or a missing number.
    """
    found = np.asarray(values, float)
    length = found.shape[-1] if found.ndim else 0
    m = length.bit_length() - 1
    if length != 2 ** max(m, 0) or not 1 <= m <= MOST_MEMBERS:
        raise InputError(
            f"`{name}` has {length} coalitions on its last axis; expected 2^m for m members, 1 ≤ m ≤ {MOST_MEMBERS}."
        )
    missing = np.argwhere(~np.isfinite(found))
    if len(missing):
        where = tuple(missing[0].tolist())
        raise InputError(
            f"`{name}` at {list(where)} is {found[where]}; expected a number for the coalition of members "
            f"{list(bits(where[-1]))}. Compute every coalition before the game."
        )
    return found


def members(values: NDArray) -> int:
    """m of a table [..., 2^m]."""
    return values.shape[-1].bit_length() - 1


# What each member adds --------------------------------------------------------------------------------------


def marginal(values: ArrayLike, member: int) -> NDArray:
    """v(S ∪ i) − v(S ∖ i) of member i = `member` at every coalition [..., 2^m].

    At coalition 0 it is what the member adds alone, at the full one what it adds last. Raises `InputError` for a table
    that is none, or a member that it does not have.
    """
    v = table(values)
    m = members(v)
    if not 0 <= member < m:
        raise InputError(f"There is no member {member}; the table has members 0 to {m - 1}.")
    halves = v.reshape(*v.shape[:-1], 2 ** (m - 1 - member), 2, 2**member)
    return np.repeat(np.diff(halves, axis=-2), 2, axis=-2).reshape(v.shape)


def shapley(values: ArrayLike) -> NDArray:
    """φ_i = Σ_{S ∌ i} s! (m − 1 − s)!/m! [v(S ∪ i) − v(S)] of every table [..., 2^m]; [..., m], in the table's unit.

    Shapley (1953, A value for n-person games). Exact: every coalition enters. Adds up to v(N) − v(∅).
    """
    v = table(values)
    m = members(v)
    inside = membership(m)
    size = inside.sum(axis=0)
    weight = np.array([1 / (m * comb(m - 1, s)) for s in range(m)] + [0.0])[size]
    parts = [np.where(inside[i], 0.0, marginal(v, i) * weight).sum(axis=-1) for i in range(m)]
    return np.stack(parts, axis=-1)


def alone(values: ArrayLike) -> NDArray:
    """v({i}) − v(∅): what each member adds to nobody [..., m]."""
    v = table(values)
    return v[..., 1 << np.arange(members(v))] - v[..., :1]


def last(values: ArrayLike) -> NDArray:
    """v(N) − v(N ∖ i): what each member adds to all the others [..., m].

    Its negative is what the table's owner, be it the target, a member or a bystander, gets when member i alone leaves
    the full coalition.
    """
    v = table(values)
    full = v.shape[-1] - 1
    return v[..., full:] - v[..., full - (1 << np.arange(members(v)))]


def efficiency(target: ArrayLike, own: ArrayLike) -> Efficiency:
    """Shapley values of the target's loss and of each member's cost; tables as in `effects`, which says what it raises."""
    t, o = _tables(target, own)
    return Efficiency(shapley(-t), shapley(-o))


# When keeping is rational -----------------------------------------------------------------------------------


def effects(target: ArrayLike, own: ArrayLike, negligible: float = 0.0) -> Effects:
    """Effects of keeping on the member itself and on the target, from target [2^m] and own [m, 2^m], in money.

    negligible: an effect of at most this size counts as nil; what a solver's tolerance leaves of a true zero would
    otherwise divide another such remainder. Raises `InputError` where shapes do not match or a number is missing.
    """
    t, o = _tables(target, own)
    m = members(t)
    if not (np.isfinite(negligible) and negligible >= 0):
        raise InputError(f"`negligible` is {negligible}; expected an amount of money of at least 0.")
    on_self = np.stack([marginal(o[i], i) for i in range(m)])
    on_target = -np.stack([marginal(t, i) for i in range(m)])
    return Effects(*(np.where(np.abs(x) <= negligible, 0.0, x) for x in (on_self, on_target)))


def _tables(target: ArrayLike, own: ArrayLike) -> tuple[NDArray, NDArray]:
    t, o = table(target, "target"), table(own, "own")
    m = members(t)
    if t.ndim != 1 or o.shape != (m, 2**m):
        raise InputError(
            f"`target` is {list(t.shape)} and `own` {list(o.shape)}; expected [2^m] and [m, 2^m] for m members."
        )
    return t, o


def rational(found: Effects) -> Interval:
    """Solutions in λ of own + λ hurt ≥ 0, for every member at every coalition [m, 2^m].

    hurt > 0: from −own/hurt upwards, below zero where the member gains from keeping. hurt < 0, keeping helps the
    target: up to −own/hurt. hurt = 0: every λ where own ≥ 0, none where own < 0.
    """
    own, hurt = found
    root = np.divide(-own, hurt, out=np.zeros_like(own), where=hurt != 0)
    never = (hurt == 0) & (own < 0)
    least = np.where(hurt > 0, root, np.where(never, np.inf, -np.inf))
    most = np.where(hurt < 0, root, np.where(never, -np.inf, np.inf))
    return Interval(least, most)


def break_even(found: Effects) -> NDArray:
    """λ*_i(S) = [own_i(S ∖ i) − own_i(S ∪ i)]/[target(S ∖ i) − target(S ∪ i)]: the least λ at which i keeps [m, 2^m].

    For an outsider it is the least λ at which it joins. At most zero: keeping pays by itself (−∞ where it does not
    hurt the target besides). +∞: no λ ≥ 0 makes keeping rational, since it costs and does not hurt the target. Where
    keeping helps the target there may also be a largest λ: see `rational`. From payoff_i = own_i − λ_i target.
    """
    least, most = rational(found)
    return np.where(most < 0, np.inf, least)


def after_exits(values: NDArray) -> NDArray:
    """Column i of a table by member and coalition [m, 2^m] at the full coalition without k [leaver k, member i].

    Of `break_even` it is what λ keeps member i after k has left; of `Effects.own`, negated, what member i forgoes when
    it does not follow. On the diagonal: at the full coalition, all others being in.
    """
    m = len(values)
    return values[:, 2**m - 1 - (1 << np.arange(m))].T


def just_rational(found: Effects, slack: float = 0.0) -> NDArray:
    """λ_i [m] at which keeping is just rational for each member of the full coalition, times (1 + slack), at least 0.

    Raises `InputError` where no λ makes keeping rational for a member.
    """
    least, most = rational(found)
    worth = np.maximum(least[:, -1], 0.0)
    for i in np.flatnonzero((worth == np.inf) | (most[:, -1] < 0)):
        raise InputError(
            f"No value of the target's loss makes member {i} keep: its keeping costs {-found.own[i, -1]:.6g} and hurts the "
            f"target by {found.hurt[i, -1]:.6g}. Leave it out of the coalition."
        )
    return (1 + slack) * worth


def gain(found: Effects, worth: ArrayLike) -> NDArray:
    """Gain from keeping, payoff_i(S ∪ i) − payoff_i(S ∖ i) = own + λ hurt, in money.

    worth: λ, one for all, by member [m], or a grid [m, L]. Gives [m, 2^m], for a grid [L, m, 2^m]. A sum below
    `ROUNDING` of its terms is nil, so that whoever is given its break-even is indifferent. Raises `InputError` for
    another shape or a λ that is not finite.
    """
    m = len(found.own)
    lam = np.asarray(worth, float)
    if lam.ndim == 0:
        lam = np.full(m, lam)
    if lam.ndim > 2 or len(lam) != m or not np.isfinite(lam).all():
        raise InputError(
            f"`worth` is {np.asarray(worth).tolist()}; expected one finite number, {m} of them, or a grid [{m}, L]."
        )
    return without_rounding(found.own, lam.T[..., None] * found.hurt)


def without_rounding(first: NDArray, second: NDArray) -> NDArray:
    """first + second, and nil where the two cancel up to `ROUNDING` of their size."""
    total = first + second
    return np.where(np.abs(total) <= ROUNDING * (np.abs(first) + np.abs(second)), 0.0, total)


# Stability --------------------------------------------------------------------------------------------------


def internal(gains: NDArray) -> NDArray:
    """No member gains by leaving: gain_i(S) ≥ 0 for all i ∈ S. gains [..., m, 2^m] as `gain` gives; bool [..., 2^m].

    d'Aspremont, Jacquemin, Gabszewicz & Weymark (1983), for environmental agreements Barrett (1994).
    """
    return np.asarray(((gains >= 0) | ~membership(gains.shape[-2])).all(axis=-2))


def external(gains: NDArray) -> NDArray:
    """No outsider gains by joining: gain_i(S) ≤ 0 for all i ∉ S. Shapes and sources as in `internal`."""
    return np.asarray(((gains <= 0) | membership(gains.shape[-2])).all(axis=-2))


def stable(gains: NDArray) -> NDArray:
    """Stable from inside and outside, bool [..., 2^m]: a Nash equilibrium of keep or lift."""
    return internal(gains) & external(gains)


def stable_coalitions(gains: NDArray) -> list[int]:
    """All stable coalitions of gains [m, 2^m], in ascending order of the bit mask."""
    return np.flatnonzero(stable(gains)).tolist()


def stable_intervals(found: Effects) -> list[tuple[float, float, int]]:
    """For every coalition that is stable at some λ ≥ 0 common to all: least λ, largest λ, and the coalition; by least λ.

    Members ask for gain_i ≥ 0, which is `rational`, outsiders for gain_i ≤ 0. Each is an interval, since gains are linear
    in λ, and what all ask for together is one.
    """
    own, hurt = found
    inside = membership(len(own))
    least, most = rational(found)
    root = np.divide(-own, hurt, out=np.zeros_like(own), where=hurt != 0)
    joins = (hurt == 0) & (own > 0)
    low = np.where(inside, least, np.where(hurt < 0, root, np.where(joins, np.inf, -np.inf))).max(axis=0)
    high = np.where(inside, most, np.where(hurt > 0, root, np.where(joins, -np.inf, np.inf))).min(axis=0)
    low = np.maximum(low, 0.0)
    at = np.flatnonzero((low <= high) & np.isfinite(low))
    return sorted((float(low[s]), float(high[s]), int(s)) for s in at)
