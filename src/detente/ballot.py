"""How a bloc of states decides: unanimity, or a qualified majority of states and population.

States of a bloc keep or lift together. Each has a gain from the bloc's keeping, as members of a coalition have in
`detente.game`; a rule makes of their gains one decision.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detente.errors import InputError
from detente.game import marginal, table, without_rounding

Proposal = Literal["keep", "lift"]
HAIR = 1e-12  # relative: a share that is met up to this is met


@dataclass(frozen=True)
class Ballot:
    """What a proposal needs: a share of states and a share of population, each in [0, 1], of all there are.

    blocking: where fewer states than this are not in favour, the share of population does not count.
    """

    states: float
    population: float = 0.0
    blocking: int = 0

    def __post_init__(self):
        if not (0 < self.states <= 1 and 0 <= self.population <= 1 and self.blocking >= 0):
            raise InputError(
                f"A ballot of {self.states} of states, {self.population} of population and a blocking minority of "
                f"{self.blocking} is none; expected shares in [0, 1], of states above 0, and a number of states."
            )


UNANIMITY = Ballot(1.0)  # TEU art. 31(1): decisions on restrictive measures; nobody abstains here
QUALIFIED_MAJORITY = Ballot(
    0.55, 0.65, 4
)  # TEU art. 16(4), on a proposal of the Commission or High Representative


def passes(favour: ArrayLike, ballot: Ballot, population: ArrayLike | None = None) -> NDArray:
    """Whether a proposal with these states in favour passes, bool [...] from favour [..., state].

    population [state], in any unit, may be left out where the ballot does not ask for it. Whoever is not in favour is
    against. TEU art. 16(4) deems a majority attained against fewer than four states; that bears on population alone,
    since three of 27 never keep the others below 55 % of states. Raises `InputError` for populations that do not
    match.
    """
    yes = np.asarray(favour, bool)
    n = yes.shape[-1]
    people = _population(population, n, ballot)
    number = yes.sum(axis=-1)
    enough_states = number >= ballot.states * n * (1 - HAIR)
    enough_people = yes @ people >= ballot.population * people.sum() * (1 - HAIR)
    return enough_states & (enough_people | (n - number < ballot.blocking))


def _population(population: ArrayLike | None, n: int, ballot: Ballot) -> NDArray:
    if population is None and ballot.population == 0:
        return np.ones(n)
    people = np.asarray(np.nan if population is None else population, float)
    if people.shape != (n,) or not (np.isfinite(people).all() and (people >= 0).all() and people.sum() > 0):
        raise InputError(
            f"`population` is {people.tolist()}; expected {n} numbers of at least 0, one a state, not all 0."
        )
    return people


def keeps(
    gains: ArrayLike,
    ballot: Ballot,
    population: ArrayLike | None = None,
    proposal: Proposal = "keep",
) -> NDArray:
    """Whether the bloc keeps its sanctions, bool [...] from each state's gain from keeping, in money [..., state].

    proposal: 'keep', a renewal, for which states with a gain of at least 0 vote (under unanimity one other state ends
    the sanctions); or 'lift', a repeal, for which those with a gain below 0 vote (one other state prolongs them).
    Raises as `passes`.
    """
    found = np.asarray(gains, float)
    if proposal == "keep":
        return passes(found >= 0, ballot, population)
    if proposal == "lift":
        return ~passes(found < 0, ballot, population)
    raise InputError(f"There is no proposal `{proposal}`; expected keep or lift.")


def pivotal_gain(
    gains: ArrayLike,
    ballot: Ballot,
    population: ArrayLike | None = None,
    proposal: Proposal = "keep",
) -> NDArray:
    """The gain of the state that decides [...], in money, from gains [..., state].

    At least 0 exactly where the bloc `keeps`. For a renewal: the largest amount that enough states gain at least.
    Under unanimity the least gain, for a repeal the largest. It stands for the bloc in a table of gains, with sign and
    size. Raises as `keeps`.
    """
    if proposal == "lift":
        return -pivotal_gain(-np.asarray(gains, float), ballot, population)
    if proposal != "keep":
        raise InputError(f"There is no proposal `{proposal}`; expected keep or lift.")
    found = np.asarray(gains, float)
    order = np.argsort(-found, axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1, kind="stable")
    enough = np.stack([passes(rank <= k, ballot, population) for k in range(found.shape[-1])], axis=-1)
    pivot = np.take_along_axis(order, enough.argmax(axis=-1)[..., None], axis=-1)
    return np.take_along_axis(found, pivot, axis=-1)[..., 0]


def state_gains(target: ArrayLike, states: ArrayLike, member: int, worth: ArrayLike) -> NDArray:
    """Each state's gain from the keeping of its bloc, member `member` of the coalition, in money [2^m, state].

    target [2^m] and states [state, 2^m]: equivalent variations as in `detente.game`; worth: λ, one for all or by
    state. `pivotal_gain` of it is the bloc's row of a table of gains. Raises `InputError` where shapes do not match.
    """
    t, s = table(target, "target"), table(states, "states")
    lam = np.asarray(worth, float)
    if t.ndim != 1 or s.ndim != 2 or s.shape[1] != len(t) or lam.shape not in ((), (len(s),)):
        raise InputError(
            f"`target` is {list(t.shape)}, `states` {list(s.shape)} and `worth` {list(lam.shape)}; expected [2^m], "
            "[state, 2^m], and one number or [state]."
        )
    hurt = -marginal(t, member)
    return without_rounding(marginal(s, member), np.multiply.outer(np.broadcast_to(lam, len(s)), hurt)).T
